"""Checks that data which was read has the shape that it must have. Pure.

A shape is a type, a list of one shape (any number of these), a tuple of shapes (a row), or a function that checks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def shaped(value: Any, shape: Any) -> Any:
    """Check a value that was read, and return it with lists as tuples. Raises TypeError or ValueError for another shape.

    A shape is a type, a list of one shape (any number of these), a tuple of shapes (a row), or a function that checks.
    """
    if isinstance(shape, list):
        return tuple(shaped(each, shape[0]) for each in _row(value))
    if isinstance(shape, tuple):
        row: tuple[Any, ...] = _row(value)
        if len(row) != len(shape):
            raise ValueError(f"{value!r} has not {len(shape)} values")
        return tuple(shaped(each, kind) for each, kind in zip(row, shape))
    if not isinstance(shape, type):
        return shape(value)
    if type(value) is not shape:
        raise TypeError(f"{value!r} is no {shape.__name__}")
    return value


def _row(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{value!r} is no list")
    return value


def number(value: Any) -> float:
    """Check a number and return it as float; serves as a shape of `shaped`."""
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def pid_of(value: Any) -> int:
    """Check a pid; serves as a shape."""
    pid: int = shaped(value, int)
    if pid <= 1:
        raise ValueError(f"nobody has pid {pid}")
    return pid


def fields_of(shapes: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Check those fields of some data that have a shape, and return them."""
    return {name: shaped(data[name], shape) for name, shape in shapes.items() if name in data}

"""Modules that a daemon loads when it first uses them, and objects that it then makes: what nobody uses costs no memory.

    if TYPE_CHECKING:
        from taskmasterd.survival import upgrade
    else:
        upgrade = on_demand("taskmasterd.survival.upgrade")

Type checkers and import contracts see the import; at run time `upgrade.Upgrade` loads the module. In a daemon it comes from
the copy of its code (`codecopy`), whatever is installed by then. No other file of the daemon imports by name.
"""

from __future__ import annotations

import gc
import os
import sys

from taskmasterd.reserve import Reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, TypeVar

    T = TypeVar("T")
else:

    class Generic:
        """Stands in for `typing.Generic`, which must not be resident."""

        def __class_getitem__(cls, _parameter: object) -> type:
            return cls

    T = None

RESERVE = 2
"""Descriptors that an import takes: one for a directory or a library."""
NO_RESERVE = Reserve(0)
_names: dict[str, None] = {}
_reserves: dict[int, Reserve] = {}
"""The reserve of this process, by its pid."""


class _Module:
    """Stands in for a module until one of its names is used."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(sys.modules.get(self._name) or load(self._name), attribute)


def on_demand(name: str) -> Any:
    """Return a stand-in for the module `name`, which loads it when one of its names is first used."""
    _names[name] = None
    return _Module(name)


def keep_reserve() -> None:
    """Keep descriptors for what a module imports of the standard library: programs may have taken all others by then."""
    reserve = _reserves[os.getpid()] = Reserve(RESERVE)
    reserve.fill()


def load(name: str) -> Any:
    """Return a module; import it if that has not happened yet. Raises ImportError."""
    if name not in sys.modules:
        # without one in a fork, which may have closed the descriptors, or use their numbers for others
        reserve = _reserves.get(os.getpid(), NO_RESERVE)
        reserve.release(RESERVE)
        try:
            __import__(name)
        finally:
            reserve.fill()
    return sys.modules[name]


def load_all() -> None:
    """Load every module that somebody has named, and those that these name in turn. Raises ImportError for a missing one."""
    done: set[str] = set()
    while left := [name for name in _names if name not in done]:
        for name in left:
            load(name)
            done.add(name)


def unload(*names: str) -> None:
    """Forget modules that only the start of a daemon needs: the programs that it starts get their memory."""
    for name in names:
        package, _, leaf = name.rpartition(".")
        if sys.modules.pop(name, None):
            delattr(sys.modules[package], leaf)
    gc.collect()  # functions and the names of their module hold each other


class Made(Generic[T]):
    """An object that is made when it is first called for. `made` is the object, or None."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.made: T | None = None

    def __call__(self) -> T:
        """Return the object."""
        if self.made is None:
            self.made = self._make()
        return self.made

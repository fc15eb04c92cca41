"""`Record`: the one base of the project's immutable values.

Not dataclasses (2.5 MB more resident, measured by a swap, 3.11: they import inspect) and not named tuples (records of
different types with equal fields compare equal, which hides impossible events from tests).
A field that is not given is not stored: 10 000 program records share their defaults.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from operator import attrgetter
    from typing import Any

    from typing_extensions import Self, dataclass_transform
else:
    from _operator import attrgetter

    def dataclass_transform(**_options: bool) -> Callable[[type], type]:
        """Return the class as it is: the decorator speaks to type checkers only."""
        return lambda cls: cls


NO_DEFAULT = object()
_readers: dict[type, Callable[[object], object]] = {}
"""What reads all fields of a record, in C; only of the classes whose records were hashed or written."""
_store = object.__setattr__
"""Field by field: an instance whose `__dict__` is filled at once has a table of its own, three times the memory."""


def _share_keys(cls: type) -> None:
    """Make all instances share one table of keys: CPython closes it soon after the first ones, which may have few fields."""
    first: object = object.__new__(cls)
    for name in cls.fields_:  # type: ignore[attr-defined]
        _store(first, name, None)


def _reader(kind: type[Record]) -> Callable[[object], object]:
    """Return what reads all fields of these records, and keep it."""
    read = _readers[kind] = attrgetter(*kind.fields_) if kind.fields_ else type
    return read


@dataclass_transform(frozen_default=True)
class Record:
    """An immutable value with named, annotated fields; equal only to a record of the same type and fields.

    Subclasses annotate fields and give defaults as class attributes. Fields may be given by position
    (in the order of their annotations) or by name. Raises TypeError for a missing or unknown field.
    """

    fields_: tuple[str, ...] = ()
    required_: tuple[str, ...] = ()
    defaults_: tuple[object, ...] = ()

    def __init_subclass__(cls) -> None:
        cls.fields_ = cls.fields_ + tuple(name for name in cls.__annotations__ if name not in cls.fields_)
        cls.required_ = tuple(name for name in cls.fields_ if not hasattr(cls, name))
        cls.defaults_ = tuple(getattr(cls, name, NO_DEFAULT) for name in cls.fields_)
        _share_keys(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        fields = self.fields_
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} fields, not {len(args)}")
        for name, value in zip(fields, args):
            _store(self, name, value)
        if kwargs:
            by_name = fields[len(args) :]
            for name, value in kwargs.items():
                if name not in by_name:
                    raise TypeError(f"{type(self).__name__} has no field {name!r}, or it is given twice")
                _store(self, name, value)
        for name in self.required_:
            if not hasattr(self, name):
                raise TypeError(f"{type(self).__name__} lacks its field {name!r}")

    def replace(self, **changes: object) -> Self:
        """Return a copy with `changes` in place. Raises TypeError for an unknown field."""
        held = self.__dict__
        for name in changes:
            if name not in held and name not in self.fields_:  # to look in a table is cheaper than along the fields
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
        copy = object.__new__(type(self))
        values = {**held, **changes}
        any(map(_store, [copy] * len(values), values, values.values()))  # in C, three times as fast
        return copy

    def changed_fields(self, other: Self) -> tuple[str, ...]:
        """Return the names of the fields in which `other` differs, in the order of declaration."""
        return tuple(name for name in self.fields_ if getattr(self, name) != getattr(other, name))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        # what is stored decides nearly always; a field at its default may be stored in one and not in the other
        return self.__dict__ == other.__dict__ or all(
            getattr(self, name) == getattr(other, name) for name in self.fields_
        )

    def __hash__(self) -> int:
        kind = type(self)
        read = _readers.get(kind) or _reader(kind)
        return hash((kind, read(self)))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({inner})"

    def to_data(self) -> dict[str, Any]:
        """Return the fields that are not at their default, as values that JSON can carry (tuples become lists there)."""
        return {
            name: value
            for name, default, value in zip(self.fields_, self.defaults_, self.field_values())
            if value is not default and value != default
        }

    def field_values(self) -> tuple[Any, ...]:
        """Return the values of all fields, in the order of declaration."""
        kind = type(self)
        read = _readers.get(kind) or _reader(kind)
        found: Any = read(self)
        return found if len(self.fields_) > 1 else (found,) if self.fields_ else ()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the record that `to_data` was made from. Raises TypeError for an unknown or missing field."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})

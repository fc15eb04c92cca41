"""`Nested`: the base of records that group their keys in records of their own.

Code reads `program.policy.stoptime`; files, rows on disk and plans know the key `stoptime`. The methods here translate.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

    from typing_extensions import Self


class Nested(Record):
    """A record some of whose fields are records of keys: those whose default is a record. Other fields are keys.

    `parts_` are the types of those records by field; `part_of_` maps each key to the field that holds it, "" for a key
    of this record.
    """

    if TYPE_CHECKING:
        parts_: ClassVar[Mapping[str, type[Record]]]
        part_of_: ClassVar[Mapping[str, str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.parts_ = {
            name: type(default) for name, default in zip(cls.fields_, cls.defaults_) if isinstance(default, Record)
        }
        cls.part_of_ = {
            **{name: "" for name in cls.fields_ if name not in cls.parts_},
            **{key: name for name, part in cls.parts_.items() for key in part.fields_},
        }

    @classmethod
    def of(cls, **keys: object) -> Self:
        """Return the record with these keys, each at its place. Raises TypeError for an unknown or missing key."""
        return cls(**cls._placed(keys, {}))

    def with_keys(self, **keys: object) -> Self:
        """Return a copy with these keys changed. Raises TypeError for an unknown key."""
        return self.replace(**self._placed(keys, {name: getattr(self, name) for name in self.parts_}))

    @classmethod
    def _placed(cls, keys: Mapping[str, object], present: Mapping[str, Record]) -> dict[str, object]:
        """Return `keys` as fields of this record; the keys of a part replace those of its `present` value."""
        fields: dict[str, object] = {}
        inner: dict[str, dict[str, object]] = {}
        for key, value in keys.items():
            part = cls.part_of_.get(key, "")
            (inner.setdefault(part, {}) if part else fields)[key] = value
        for part, values in inner.items():
            fields[part] = present[part].replace(**values) if part in present else cls.parts_[part](**values)
        return fields

    def value(self, key: str) -> Any:
        """Return the value of a key, wherever it stands. Raises KeyError for an unknown one."""
        part = self.part_of_[key]
        return getattr(getattr(self, part) if part else self, key)

    def changed_keys(self, other: Self) -> tuple[str, ...]:
        """Return the keys whose values differ in `other`."""
        changed: list[str] = []
        for name in self.changed_fields(other):
            part = getattr(self, name)
            changed += part.changed_fields(getattr(other, name)) if name in self.parts_ else (name,)
        return tuple(changed)

    def to_data(self) -> dict[str, Any]:
        """Return the keys that are not at their default, all on one level."""
        data: dict[str, Any] = {}
        for name, default, value in zip(self.fields_, self.defaults_, self.field_values()):
            if value is default:
                continue
            if name in self.parts_:
                data.update(value.to_data())
            elif value != default:
                data[name] = value
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any], known: dict[tuple[object, ...], Record] | None = None) -> Self:
        """Return the record that `to_data` was made from. Raises TypeError for an unknown or missing key.

        Records made with one `known` share equal parts: most programs of a file have the same policy, and 5 000 that do
        not share it hold another MB.
        """
        fields: dict[str, Any] = {}
        inner: dict[str, dict[str, Any]] = {}
        for key, value in data.items():
            part = cls.part_of_.get(key)
            (inner.setdefault(part, {}) if part else fields)[key] = tuple(value) if isinstance(value, list) else value
        known = {} if known is None else known
        for part, values in inner.items():
            token = (part, *values.items())
            record = known.get(token)
            if record is None:
                record = known[token] = cls.parts_[part](**values)
            fields[part] = record
        return cls(**fields)

"""The old and the new value of each key that a reload changes, as objects of the wire. Pure.

Values of env are secrets until somebody who may see them asks for them: else only the names are there whose values differ.
"""

from __future__ import annotations

from taskmaster_common.config import KIND
from taskmasterd.core.words.settings import setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from taskmaster_common.config import DaemonConfig, ProgramConfig
    from taskmasterd.core.programs.table import Entry

OCTAL = ("umask", "socket_mode")
"""Keys of `taskmasterd:` whose numbers are written in octal."""
MOST_TEXT = 512 * 1024
"""Most characters of values in one plan; the programs behind them have none."""


class Changes:
    """Makes the values of one plan, program by program; `values`: those of env may be seen."""

    def __init__(self, signals: Mapping[int, str], *, values: bool) -> None:
        self._signals = signals
        self._values = values
        self._room = MOST_TEXT

    def of_program(
        self, slots: Iterable[Entry], wanted: ProgramConfig, keys: Iterable[str]
    ) -> dict[str, dict[str, Any]]:
        """Return `{key: {"old": ..., "new": ...}}`; of instances that differ the first one that is not as wanted counts."""
        known = {id(each): each for slot in slots if not slot.removed for each in (slot.present, slot.wanted)}.values()
        found: dict[str, dict[str, Any]] = {}
        for key in keys:
            pair = self._pair(known, wanted, key) if key in KIND and self._room > 0 else None
            if pair is not None:
                found[key] = {"old": pair[0], "new": pair[1]}
                self._room -= sum(len(repr(each)) for each in pair)
        return found

    def _pair(self, known: Iterable[ProgramConfig], wanted: ProgramConfig, key: str) -> tuple[Any, Any] | None:
        new = self._setting(wanted, key)
        old = next((each for each in (self._setting(before, key) for before in known) if each != new), new)
        if old == new:
            return None
        if KIND[key] != "environment":
            return old, new
        differ = sorted(name for name in {**old, **new} if name not in old or name not in new or old[name] != new[name])
        if self._values:
            return {name: old[name] for name in differ if name in old}, {n: new[n] for n in differ if n in new}
        return [name for name in differ if name in old], [name for name in differ if name in new]

    def _setting(self, program: ProgramConfig, key: str) -> Any:
        return setting(program, key, self._signals, values=True)


def of_daemon(before: DaemonConfig, after: DaemonConfig, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the same of keys of `taskmasterd:` whose values are plain, no mappings as roles are."""
    found: dict[str, dict[str, Any]] = {}
    for key in keys:
        old, new = (_plain(key, getattr(config, key)) for config in (before, after))
        if not isinstance(old, dict) and not isinstance(new, dict):
            found[key] = {"old": old, "new": new}
    return found


def _plain(key: str, value: Any) -> Any:
    return f"{value:03o}" if key in OCTAL and value is not None else value

"""Reads the state of an earlier daemon from the lines that `writer` wrote, and accepts it only as a whole.

Any deviation is a StateError: a state that is only half understood could make the daemon kill a stranger's processes.
"""

from __future__ import annotations

from taskmaster_common.config import Config, DaemonConfig, ProgramConfig, groups_of
from taskmaster_common.errors import TaskmasterError
from taskmaster_common.jsontext import read_json
from taskmaster_common.states import STOPPING
from taskmasterd.core.words.snapshot import entry_from_data
from taskmasterd.survival.shapes import number, shaped
from taskmasterd.survival.state import STATE_VERSION, Facts, Saved, SavedInstance, SavedSlot, hook_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from taskmasterd.core.programs.orphans import Slot


class StateError(TaskmasterError):
    """A state file cannot be used; `stale`: it is from another boot, which is no fault."""

    def __init__(self, reason: str, *, stale: bool = False) -> None:
        super().__init__(reason)
        self.stale = stale


def saved_of(lines: Sequence[bytes], identity: Mapping[str, Any], formerly: str = "") -> Saved:
    """Return the state in the lines of a state file. Raises StateError if it is not ours, or makes no sense.

    It is ours if boot, user and socket are those of `identity`; the socket may also be `formerly`, our earlier one.
    """
    try:
        first = read_json(lines[0].decode("ascii"))
        version = first.pop("taskmaster_state")
        if version != STATE_VERSION:
            raise StateError(f"it has version {version!r}, this is {STATE_VERSION}")
        for name in ("boot", "socket", "uid"):
            value = identity[name]
            if first[name] != value and (name != "socket" or first[name] != formerly):
                raise StateError(f"its {name} is {first[name]!r}, not {value!r}", stale=name == "boot")
        return _Lines(lines[1:]).result()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise StateError(f"it makes no sense ({type(error).__name__}: {error})") from None


class _Lines:
    """Goes through the lines; the docstring of `rows` lists the kinds."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._config: dict[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self._programs: dict[str, ProgramConfig] = {}
        self._slots: dict[Slot, SavedSlot] = {}
        self._spawning: dict[Slot, tuple[float, tuple[int, ...]]] = {}
        kinds: dict[str, Callable[[Any], None]] = {
            "config": self._config_line,
            "facts": self._facts.update,
            "program": self._program_line,
            "slot": self._slot_line,
            "gone": self._gone_line,
            "end": self._end_line,
            "spawning": self._spawning_line,
        }
        for text in lines:
            for kind, value in read_json(text.decode("ascii")).items():
                if kind not in kinds:
                    raise StateError(f"it was written by a later version, which writes of {kind!r}, too")
                kinds[kind](value)

    def result(self) -> Saved:
        """Return the state."""
        config = Config(
            path=self._config["path"],
            daemon=DaemonConfig.from_data(self._config["daemon"]),
            programs=tuple(self._programs[name] for name in self._config["order"]),
            files=tuple((path, mtime_ns, size) for path, mtime_ns, size in self._config["files"]),
            groups=groups_of(self._config),
            alerts=self._config.get("alerts", {}),
        )
        return Saved(config, Facts.from_data(self._facts), tuple(self._slots.values()), self._spawning)

    def _config_line(self, value: dict[str, Any]) -> None:
        for data in value.pop("programs", ()):
            self._program_line(data)
            value.setdefault("order", []).append(data["name"])
        self._config = value

    def _program_line(self, value: dict[str, Any]) -> None:
        program = ProgramConfig.from_data(value)
        self._programs[program.name] = program

    def _slot_line(self, value: dict[str, Any]) -> None:
        entry = entry_from_data(value, self._programs)
        began: tuple[str, int] = shaped(value.get("began", ("", 0)), (str, int))
        instance = SavedInstance.from_data(value["copy"]) if "copy" in value else None
        process = entry.process
        if process.pid != (instance.pid if instance else None) and not (
            instance and process.pid is None and process.state == STOPPING
        ):
            raise ValueError(f"{entry.canonical} has pid {process.pid}, and {instance} is alive of it")
        self._slots[entry.program, entry.index] = SavedSlot(entry, instance, began, hook_row(value.get("hook")))
        self._spawning.pop((entry.program, entry.index), None)

    def _gone_line(self, value: Any) -> None:
        slot: Slot = shaped(value, (str, int))
        self._slots.pop(slot, None)

    def _end_line(self, value: Any) -> None:
        name, index, status = shaped(value, (str, int, int))
        slot = self._slots[name, index]
        if slot.instance is not None:
            self._slots[name, index] = slot.replace(instance=slot.instance.replace(ended=status))

    def _spawning_line(self, value: Any) -> None:
        name, index, began, inodes = shaped(value, (str, int, number, [int]))
        self._spawning[name, index] = (began, inodes)

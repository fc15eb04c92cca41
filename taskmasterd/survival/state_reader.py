"""What an earlier daemon left, read back from the lines that `state_writer` has written, and believed only as a whole.

Whatever is not as it was written is a StateError: a state that is half understood could end somebody else's processes.
"""

from __future__ import annotations

from taskmaster_common.config import LOG_LEVELS, Config, DaemonConfig, ProgramConfig
from taskmaster_common.errors import TaskmasterError
from taskmaster_common.jsontext import read_json
from taskmaster_common.records import Record
from taskmaster_common.states import STOPPING
from taskmasterd.core.words.snapshot import entry_from_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterd.core.programs.orphans import Slot
    from taskmasterd.core.programs.table import Entry

STATE_VERSION = 1
Birth = tuple[float, float]
"""`boot_seconds` before and after a process was spawned."""


class StateError(TaskmasterError):
    """A state file cannot be used; `stale`: it is of another boot, which is in order."""

    def __init__(self, reason: str, *, stale: bool = False) -> None:
        super().__init__(reason)
        self.stale = stale


class SavedCopy(Record):
    """What was alive of a slot: its leader's pid and birth, (inode, path) of its pipes, (pid, signal) of who was told what.

    `sessions` and `left` ((pid, start time in ticks) of those whom a leader had left behind) tell who else belongs to it.
    `ended` is the leader's wait status where its end was seen, and not yet what followed.
    """

    pid: int
    birth: Birth
    pipes: tuple[tuple[int, str], ...] = ()
    told: tuple[tuple[int, int], ...] = ()
    sessions: tuple[int, ...] = ()
    left: tuple[tuple[int, int], ...] = ()
    ended: int | None = None


class SavedSlot(Record):
    """A slot as it was; `began` is the file of stderr and its size when the last copy was started."""

    entry: Entry
    copy: SavedCopy | None
    began: tuple[str, int]


class Saved(Record):
    """All that was written.

    `spawning` maps slots to (boot seconds, pipes) of copies that were about to be spawned.
    """

    config: Config
    facts: Mapping[str, Any]
    slots: tuple[SavedSlot, ...]
    spawning: Mapping[Slot, tuple[float, tuple[int, ...]]] = {}


def saved_of(lines: Sequence[bytes], identity: Mapping[str, Any], formerly: str = "") -> Saved:
    """Return what the lines of a state file say. Raises StateError where they are not for us, or make no sense.

    They are for us where boot, user and socket are those of `identity`; the socket may be the one that was ours `formerly`.
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
        return _Reading(lines[1:]).result()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise StateError(f"it makes no sense ({type(error).__name__}: {error})") from None


class _Reading:
    def __init__(self, lines: Sequence[bytes]) -> None:
        self._config: dict[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self._programs: dict[str, ProgramConfig] = {}
        self._slots: dict[Slot, SavedSlot] = {}
        self._spawning: dict[Slot, tuple[float, tuple[int, ...]]] = {}
        for text in lines:
            for kind, value in read_json(text.decode("ascii")).items():
                getattr(self, f"_{kind}_line")(value)

    def result(self) -> Saved:
        """Return what was read."""
        config = Config(
            path=self._config["path"],
            daemon=DaemonConfig.from_data(self._config["daemon"]),
            programs=tuple(self._programs[name] for name in self._config["order"]),
            files=tuple((path, mtime_ns, size) for path, mtime_ns, size in self._config["files"]),
        )
        return Saved(config, self._facts, tuple(self._slots.values()), self._spawning)

    def _config_line(self, value: dict[str, Any]) -> None:
        for data in value.pop("programs", ()):
            self._program_line(data)
            value.setdefault("order", []).append(data["name"])
        self._config = value

    def _facts_line(self, value: dict[str, Any]) -> None:
        _check_facts(value)
        self._facts.update(value)

    def _program_line(self, value: dict[str, Any]) -> None:
        program = ProgramConfig.from_data(value)
        self._programs[program.name] = program

    def _slot_line(self, value: dict[str, Any]) -> None:
        entry = entry_from_data(value, self._programs)
        path, size = value.get("began", ("", 0))
        copy = _copy_of(value["copy"]) if "copy" in value else None
        process = entry.process
        if process.pid != (copy.pid if copy else None) and not (
            copy and process.pid is None and process.state == STOPPING
        ):
            raise ValueError(f"{entry.canonical} has pid {process.pid}, and {copy} is alive of it")
        self._slots[entry.program, entry.index] = SavedSlot(entry, copy, (_is(path, str), _is(size, int)))
        self._spawning.pop((entry.program, entry.index), None)

    def _gone_line(self, value: list[Any]) -> None:
        name, index = value
        self._slots.pop((name, index), None)

    def _end_line(self, value: list[Any]) -> None:
        name, index, status = value
        slot = self._slots[name, index]
        if slot.copy is not None:
            self._slots[name, index] = slot.replace(copy=slot.copy.replace(ended=_is(status, int)))

    def _spawning_line(self, value: list[Any]) -> None:
        name, index, began, inodes = value
        self._spawning[name, index] = (_number(began), tuple(_is(inode, int) for inode in inodes))


def _copy_of(data: Mapping[str, Any]) -> SavedCopy:
    """Return what `Instance.to_data` was written of."""
    pid, (began, ended) = _is(data["pid"], int), data["birth"]
    if pid <= 1:
        raise ValueError(f"nobody has pid {pid}")
    return SavedCopy(
        pid,
        (_number(began), _number(ended)),
        tuple((_is(inode, int), _is(path, str)) for inode, path in data.get("pipes", ())),
        tuple((_is(each, int), _is(number, int)) for each, number in data.get("told", ())),
        tuple(_is(session, int) for session in data.get("sessions", ())),
        tuple((_is(each, int), _is(started, int)) for each, started in data.get("left", ())),
        _is(data["ended"], int) if "ended" in data else None,
    )


def _check_facts(facts: Mapping[str, Any]) -> None:
    """Raise ValueError or TypeError where one of the facts is not what is written."""
    _is(facts.get("proven_since", 0), int)
    for name in ("ignored", "freed"):
        for pid in facts.get(name, ()):
            _is(pid, int)
    for text in facts.get("problems", ()):
        _is(text, str)
    for inode, path in facts.get("pipes", ()):
        _is(inode, int)
        _is(path, str)
    for name, index, orphans in facts.get("occupied", ()):
        _is(name, str)
        _is(index, int)
        _is(orphans, list)
    for pid, started in facts.get("left", ()):
        _is(pid, int)
        _is(started, int)
    for number in facts.get("door") or ():
        _is(number, int)
    if facts.get("loglevel", LOG_LEVELS[0]) not in LOG_LEVELS:
        raise ValueError(f"{facts['loglevel']!r} is no level")


def _is(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    return float(value)

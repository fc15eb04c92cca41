"""The state that one daemon leaves to the next: its typed records, and the registry of the parts that it comes from.

Two ways lead to the next daemon, and both carry the same facts and slots. The state file (`disk`) is for whoever comes after a
crash; a live upgrade adds what only a process can hand over (`ProcessState`). A record is read back from what any version has
written: names that this one does not know are left out, and a value of the wrong shape raises TypeError or ValueError.
"""

from __future__ import annotations

from taskmaster_common.config import LOG_LEVELS
from taskmaster_common.records import Record
from taskmasterd.core.programs.orphans import Orphan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from typing_extensions import Self

    from taskmaster_common.config import Config
    from taskmasterd.core.programs.orphans import Slot
    from taskmasterd.core.programs.table import Entry

Birth = tuple[float, float]
"""`boot_seconds` before and after a process was spawned."""


# -- shapes


def shaped(value: Any, shape: Any) -> Any:
    """Return a value that was read, as it is used: lists as tuples. Raises TypeError or ValueError for another shape.

    A shape is a type, a list of one shape (any number of these), a tuple of shapes (a row), or a function that checks.
    """
    if isinstance(shape, list):
        return tuple(shaped(each, shape[0]) for each in _row(value))
    if isinstance(shape, tuple):
        row = _row(value)
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
    """Check a number, a shape as those of `shaped`."""
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _pid(value: Any) -> int:
    pid: int = shaped(value, int)
    if pid <= 1:
        raise ValueError(f"nobody has pid {pid}")
    return pid


def _level(value: Any) -> str:
    if value not in LOG_LEVELS:
        raise ValueError(f"{value!r} is no level")
    return str(value)


def _pair(value: Any) -> tuple[int, int] | None:
    pair: tuple[int, int] | None = None if value is None else shaped(value, (int, int))
    return pair


def _fields(shapes: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shaped(data[name], shape) for name, shape in shapes.items() if name in data}


# -- on the disk


class Facts(Record):
    """What the state says of the daemon itself; a fact that was not written has its default.

    `ignored` are pids of children that belong to no program, `freed` sessions whose program leaves its descendants alone, `left`
    (pid, start time) of processes that an orderly stop left alone, `pipes` (inode, path) of pipes that outlived their instance,
    `occupied` the slots that an earlier daemon's processes may occupy, `door` (device, inode) of the control socket. What was
    started before `proven_since`, in clock ticks since boot, may carry a mark without proof. `ended`: after an orderly stop.
    """

    ignored: tuple[int, ...] = ()
    freed: tuple[int, ...] = ()
    left: tuple[tuple[int, int], ...] = ()
    proven_since: int | None = None
    stopping: bool = False
    problems: tuple[str, ...] = ()
    loglevel: str | None = None
    pipes: tuple[tuple[int, str], ...] = ()
    door: tuple[int, int] | None = None
    occupied: tuple[tuple[str, int, tuple[Orphan, ...]], ...] = ()
    ended: bool = False

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the facts in some lines. Raises TypeError or ValueError where one makes no sense."""
        return cls(**_fields(FACTS, data))


FACTS: Mapping[str, Any] = {
    "ignored": [int],
    "freed": [int],
    "left": [(int, int)],
    "proven_since": int,
    "stopping": bool,
    "problems": [str],
    "loglevel": _level,
    "pipes": [(int, str)],
    "door": _pair,
    "occupied": [(str, int, [Orphan.from_data])],
    "ended": bool,
}


class SavedInstance(Record):
    """What was alive of a slot: its leader's pid and birth, (inode, path) of its pipes, (pid, signal) of who got which signal.

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

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return what `Instance.to_data` wrote. Raises TypeError or ValueError where it makes no sense."""
        return cls(**_fields(INSTANCE, data))


INSTANCE: Mapping[str, Any] = {
    "pid": _pid,
    "birth": (number, number),
    "pipes": [(int, str)],
    "told": [(int, int)],
    "sessions": [int],
    "left": [(int, int)],
    "ended": int,
}


class SavedSlot(Record):
    """A slot as it was; `began` is the file of stderr and its size when the last instance was started."""

    entry: Entry
    instance: SavedInstance | None
    began: tuple[str, int]


class Saved(Record):
    """All that was written; `spawning` maps slots to (boot seconds, pipes) of instances that were about to be spawned."""

    config: Config
    facts: Facts
    slots: tuple[SavedSlot, ...]
    spawning: Mapping[Slot, tuple[float, tuple[int, ...]]] = {}


# -- handed over on a descriptor


class ProcessState(Record):
    """What only a process can hand over, at a live upgrade: the lines of the state file, and what depends on descriptors.

    `pipes` are (inode, descriptor, path), `handles` (pid, pidfd), `started` is monotonic. The rest belongs to subscriptions, sinks
    and connections. The names are those of the JSON.
    """

    lines: tuple[str, ...]
    pipes: tuple[tuple[int, int, str], ...]
    handles: tuple[tuple[int, int], ...]
    started: float
    sequence: int
    sinks: Mapping[str, Any]
    connections: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_data` wrote, here or in another version."""
        return cls(**_fields(PROCESS, data))

    def descriptors(self) -> list[int]:
        """Return the descriptors that have to be inherited."""
        rows = (*self.sinks["open"].values(), *self.connections)
        operations = [row["operation"] for row in self.connections if row["operation"]]
        fds = [fd for _, fd, _ in self.pipes] + [handle for _, handle in self.handles] + [row["fd"] for row in rows]
        fds += [reader["fd"] for operation in operations for _, reader in operation.get("open_logs", ())]
        return [fd for fd in fds if fd is not None and fd >= 0]


PROCESS: Mapping[str, Any] = {
    "lines": [str],
    "pipes": [(int, int, str)],
    "handles": [(int, int)],
    "started": number,
    "sequence": int,
    "sinks": dict,
    "connections": [dict],
}


class Handed(Record):
    """What a resident daemon is handed as JSON: by the launcher, again by a guardian, or by itself before an upgrade.

    `places` and `fds` are the daemon's paths and descriptors by name, `config` is a configuration as data, `nofile` the limits
    that the launcher was started with, `path` where our packages are found. `notes` are (level, text) for the event log,
    `formerly` is the socket that the state file was written for, `door` our socket as in `Facts`.
    """

    places: Mapping[str, Any]
    fds: Mapping[str, int | None]
    config: Mapping[str, Any]
    nofile: tuple[int, int]
    loglevel: str
    foreground: bool
    pid1: bool
    orphans: str
    path: tuple[str, ...]
    mark_key: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    formerly: str = ""
    door: tuple[int, int] | None = None
    life: ProcessState | None = None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return what was handed over. Raises KeyError, TypeError or ValueError where it makes no sense."""
        return cls(**_fields(HANDED, data))

    def to_data(self) -> dict[str, Any]:
        """Return all of it as JSON can carry it."""
        data = super().to_data()
        return {**data, "life": self.life.to_data()} if self.life else data


HANDED: Mapping[str, Any] = {
    "places": dict,
    "fds": dict,
    "config": dict,
    "nofile": (int, int),
    "loglevel": str,
    "foreground": bool,
    "pid1": bool,
    "orphans": str,
    "path": [str],
    "mark_key": str,
    "notes": [(str, str)],
    "formerly": str,
    "door": _pair,
    "life": ProcessState.from_data,
}


# -- the parts


class Registry:
    """The parts of this daemon of which the next one has to know, each under the name of its fact.

    A part registers once, with the pair of functions that are its side of the state: `to_data()` returns its fact as JSON can
    carry it, `resume(data)` is given what the earlier daemon wrote of it. The state writer asks for `changes` whenever it writes:
    comparing a few short facts is cheaper than a mark in each place that changes one, and none is forgotten.
    """

    def __init__(self, inherited: Facts) -> None:
        self._inherited = inherited
        self._parts: dict[str, Callable[[], object]] = {}
        self._written: dict[str, object] = {}

    def register(self, name: str, to_data: Callable[[], object], resume: Callable[[Any], None] | None = None) -> None:
        """Remember a part from now on; it resumes at once where the earlier daemon has left anything of it."""
        left = getattr(self._inherited, name, None)
        if resume is not None and left is not None:
            resume(left)
        self._parts[name] = to_data

    def to_data(self) -> dict[str, Any]:
        """Return the facts of all parts."""
        return {name: to_data() for name, to_data in self._parts.items()}

    def changes(self) -> dict[str, Any]:
        """Return the facts that differ from what was written, which count as written from now on."""
        facts = self.to_data()
        changed = {
            name: fact for name, fact in facts.items() if name not in self._written or self._written[name] != fact
        }
        self._written = facts
        return changed

"""The state that one daemon leaves to the next: its typed records, and the registry of the parts that contribute to it.

Two ways lead to the next daemon, and both carry the same facts and slots. The state file (`disk`) serves the daemon that starts
after a crash; a live upgrade adds what only a process can hand over (`ProcessState`). Records can be read from the data of any
version: unknown names are left out, and a value of the wrong shape raises TypeError or ValueError.
"""

from __future__ import annotations

from taskmaster_common.config import LOG_LEVELS
from taskmaster_common.records import Record
from taskmasterd.core.programs.orphans import Orphan
from taskmasterd.survival.shapes import fields_of, number, pid_of, shaped

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


STATE_VERSION = 1


def _level(value: Any) -> str:
    if value not in LOG_LEVELS:
        raise ValueError(f"{value!r} is no level")
    return str(value)


def _anything(value: Any) -> Any:
    """Let those who read a value judge it."""
    return value


def _optional(shape: Any) -> Callable[[Any], Any]:
    """Return the shape of a value that may be None."""
    return lambda value: None if value is None else shaped(value, shape)


# -- on the disk


class Cause(Record):
    """Why the daemon ends by itself: its exit code, who asked for the stop, and a sentence about it for the event log."""

    code: int
    by: str
    text: str

    @classmethod
    def from_data(cls, data: object) -> Self:
        """Return the cause in some data. Raises TypeError or ValueError if it makes no sense."""
        return cls(*shaped(data, (int, str, str)))

    def to_row(self) -> tuple[int, str, str]:
        """Return the fact as `from_data` reads it."""
        return self.code, self.by, self.text


class Facts(Record):
    """The state of the daemon itself; a fact that is missing in the data has its default.

    `ignored` are pids of children that belong to no program, `freed` sessions whose program leaves its descendants alone,
    `reloaded_at` the moment of the last reload, `left` (pid, start time) of processes that an orderly stop left alone, `pipes`
    (inode, path) of pipes that outlived their instance, `rolls` rolling restarts, `trial` a reload on trial, `alerts` (rule, what
    delivers its messages), `sockets` those on which we listen for programs (`OpenSocket.to_data`), `occupied` slots that an earlier daemon's processes may occupy, `door` (device, inode) of our socket.
    `scales` (program, number of instances, the file's, who asked, when), `loggers` what reads the output of slots (`Logger.to_data`).
    Processes from before `proven_since`, in clock ticks since boot, may have no proof. `cause` is that of a stop for which no
    operator has asked. `ended`: the daemon has stopped in order.
    """

    ignored: tuple[int, ...] = ()
    freed: tuple[int, ...] = ()
    left: tuple[tuple[int, int], ...] = ()
    proven_since: int | None = None
    stopping: bool = False
    problems: tuple[str, ...] = ()
    reloaded_at: float | None = None
    loglevel: str | None = None
    pipes: tuple[tuple[int, str], ...] = ()
    door: tuple[int, int] | None = None
    occupied: tuple[tuple[str, int, tuple[Orphan, ...]], ...] = ()
    cause: Cause | None = None
    rolls: tuple[Mapping[str, Any], ...] = ()
    trial: Mapping[str, Any] | None = None
    alerts: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    sockets: tuple[Mapping[str, Any], ...] = ()
    scales: tuple[tuple[str, int, int, str, float], ...] = ()
    loggers: tuple[Mapping[str, Any], ...] = ()
    ended: bool = False

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the facts in some data. Raises TypeError or ValueError for one that makes no sense."""
        return cls(**fields_of(FACTS, data))


def _roll(value: Any) -> Mapping[str, Any]:
    row: Mapping[str, Any] = shaped(value, dict)
    shaped(row["program"], str)
    return row


def _logger(value: Any) -> Mapping[str, Any]:
    return {name: shaped(value[name], shape) for name, shape in LOGGER.items()}


LOGGER: Mapping[str, Any] = {
    "program": str,
    "index": int,
    "target": str,
    "key": str,
    "pid": int,
    "tag": _optional(int),
    "started": int,
}

FACTS: Mapping[str, Any] = {
    "ignored": [int],
    "freed": [int],
    "left": [(int, int)],
    "proven_since": int,
    "stopping": bool,
    "problems": [str],
    "reloaded_at": _optional(number),
    "loglevel": _level,
    "pipes": [(int, str)],
    "door": _optional((int, int)),
    "occupied": [(str, int, [Orphan.from_data])],
    "cause": _optional(Cause.from_data),
    "rolls": [_roll],
    "trial": _optional(dict),
    "alerts": [(str, dict)],
    "sockets": [dict],
    "scales": [(str, int, int, str, number)],
    "loggers": [_logger],
    "ended": bool,
}


class SavedInstance(Record):
    """A slot's instance: its leader's pid and birth, its pipes as (inode, path), the signals sent as `told` (pid, signal).

    `sessions` and `left`, survivors of a leader as (pid, start time in ticks), tell which other processes belong to it. `ended`
    is the leader's wait status if the earlier daemon saw only the end. `input`: the kind of what it reads, the key that a keeper has.
    `cgroup` is the path of its control group.
    """

    pid: int
    birth: Birth
    pipes: tuple[tuple[int, str], ...] = ()
    told: tuple[tuple[int, int], ...] = ()
    sessions: tuple[int, ...] = ()
    left: tuple[tuple[int, int], ...] = ()
    ended: int | None = None
    input: tuple[str, str] | None = None
    cgroup: str = ""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the data of `Instance.to_data` as a record. Raises TypeError or ValueError if it makes no sense."""
        return cls(**fields_of(INSTANCE, data))


INSTANCE: Mapping[str, Any] = {
    "pid": pid_of,
    "birth": (number, number),
    "pipes": [(int, str)],
    "told": [(int, int)],
    "sessions": [int],
    "left": [(int, int)],
    "ended": int,
    "input": (str, str),
    "cgroup": str,
}


class SavedSlot(Record):
    """A slot as it was; `began` is the file of stderr, and its size at the start of the last instance.

    `hook` is the hook that ran, as HOOK has it: its pid, when it was started (clock ticks), its tag, and where its output begins.
    """

    entry: Entry
    instance: SavedInstance | None
    began: tuple[str, int]
    hook: Mapping[str, Any] | None = None


def hook_row(value: Any) -> Mapping[str, Any] | None:
    """Check what `Hook.to_data` has written, None where there was nothing. Raises TypeError or ValueError if it makes no sense."""
    if value is None:
        return None
    return {name: shaped(value[name], shape) for name, shape in HOOK.items()}


HOOK: Mapping[str, Any] = {"hook": str, "pid": pid_of, "started": int, "tag": _optional(int), "log": (str, int)}


class Saved(Record):
    """The whole saved state; `spawning` maps slots to (boot seconds, pipes) of instances that were about to be spawned."""

    config: Config
    facts: Facts
    slots: tuple[SavedSlot, ...]
    spawning: Mapping[Slot, tuple[float, tuple[int, ...]]] = {}


# -- handed over on a descriptor


class Legacy(Record):
    """What arrives together with the state.

    `pipes` maps inodes to (read end, path) of pipes that were kept open, `announced` what a guardian has kept of `probing` to the
    descriptors. `ends` maps pids that the guardian has reaped meanwhile to (status, start time of a session leader, or 0). `same`:
    the daemon is the process of before, so its children are still its own, and `handles` maps pids of leaders that are not its
    children to pidfds, which reveal ends even after they are reaped. `guarded`: the guardian reports all ends not in `ends`.
    """

    pipes: Mapping[int, tuple[int, str]] = {}
    ends: Mapping[int, tuple[int, int]] = {}
    same: bool = False
    handles: Mapping[int, int] = {}
    guarded: bool = False
    announced: Mapping[str, int] = {}


class ProcessState(Record):
    """What only a process can hand over, at a live upgrade: the lines of the state file, and state that depends on descriptors.

    `pipes` are (inode, descriptor, path), `handles` (pid, pidfd), `sockets` (address, descriptor), `started` is in monotonic seconds. `runs`
    are the rows of schedules that are not on the disk. The other fields belong to subscriptions, sinks, connections, readiness, health and
    planned restarts. The names are those of the JSON.
    """

    lines: tuple[str, ...]
    pipes: tuple[tuple[int, int, str], ...]
    handles: tuple[tuple[int, int], ...]
    started: float
    sequence: int
    sinks: Mapping[str, Any]
    connections: tuple[Mapping[str, Any], ...]
    announced: tuple[Mapping[str, Any], ...] = ()
    health: tuple[Mapping[str, Any], ...] = ()
    sockets: tuple[tuple[str, int], ...] = ()
    renewing: tuple[Mapping[str, Any], ...] = ()
    runs: tuple[tuple[str, str, Any], ...] = ()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the data of `to_data`, of this or another version, as a record."""
        return cls(**fields_of(PROCESS, data))

    def descriptors(self) -> list[int]:
        """Return the descriptors that the next code has to inherit."""
        rows = (*self.sinks["open"].values(), *self.connections, *self.announced)
        operations = [row["operation"] for row in self.connections if row["operation"]]
        fds: list[int | None] = [fd for _, fd, _ in self.pipes]
        fds += [fd for _, fd in self.sockets]
        fds += [handle for _, handle in self.handles] + [row["fd"] for row in rows]
        fds += [reader["fd"] for operation in operations for _, reader in operation.get("open_logs", ())]
        return [fd for fd in fds if fd is not None and fd >= 0]


PROCESS: Mapping[str, Any] = {
    "lines": [str],
    "pipes": [(int, int, str)],
    "handles": [(int, int)],
    "started": number,
    "sequence": int,
    "sinks": dict,
    "sockets": [(str, int)],
    "runs": [(str, str, _anything)],
    **{part: [dict] for part in ("connections", "announced", "health", "renewing")},
}


class Handed(Record):
    """The JSON that a resident daemon gets: from the launcher, again from a guardian, or from itself before an upgrade.

    `places` and `fds` are the daemon's paths and descriptors by name, `config` is a configuration as data, `nofile` the limits
    that the launcher was started with, `path` the import path of our packages. `notes` are (level, text) for the event log,
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
        """Return the data as a record. Raises KeyError, TypeError or ValueError if it makes no sense."""
        return cls(**fields_of(HANDED, data))

    def to_data(self) -> dict[str, Any]:
        """Return all fields as values that JSON can carry."""
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
    "door": _optional((int, int)),
    "life": ProcessState.from_data,
}


# -- the parts


class Registry:
    """The parts of this daemon that contribute a fact to the state, by the name of the fact.

    A part registers once, with a pair of functions: `to_data()` returns its fact as JSON can carry it, `resume(data)` gets the
    fact that the earlier daemon wrote. The state writer asks for `changes` in each turn in which it writes: comparing a few short
    facts is cheaper than a flag at each place that changes one, and cannot miss a change.
    """

    def __init__(self, inherited: Facts) -> None:
        self._inherited = inherited
        self._parts: dict[str, Callable[[], object]] = {}
        self._written: dict[str, object] = {}

    def register(self, name: str, to_data: Callable[[], object], resume: Callable[[Any], None] | None = None) -> None:
        """Add a part; it resumes at once if the earlier daemon has left its fact."""
        left = getattr(self._inherited, name, None)
        if resume is not None and left is not None:
            resume(left)
        self._parts[name] = to_data

    def to_data(self) -> dict[str, Any]:
        """Return the facts of all parts."""
        return {name: to_data() for name, to_data in self._parts.items()}

    def changes(self) -> dict[str, Any]:
        """Return the facts that have changed since the last call."""
        facts = self.to_data()
        changed = {
            name: fact for name, fact in facts.items() if name not in self._written or self._written[name] != fact
        }
        self._written = facts
        return changed

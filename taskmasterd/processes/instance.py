"""What is alive of a slot, as data for a later daemon, and all of that by slot and by leader."""

from __future__ import annotations

from taskmaster_common.config import DISCARD
from taskmasterd.core.process.marks import QUEUED, UNSETTLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from taskmasterd.core.process.events import Failure
    from taskmasterd.core.process.marks import Stage
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.pipe import LogPipe
    from taskmasterd.output.streams import Outputs
    from taskmasterd.processes.members.group import Group
    from taskmasterd.processes.members.groups import Groups
    from taskmasterd.system.procfs import Survivor

    class Input(Protocol):
        """What one instance reads, seen from the daemon's end. `kind` and `key` are its row in the state."""

        kind: str
        key: str

        def settle(self) -> bool:
            """Have moved what the instance has written, if its output comes this way; return whether there was a need to."""

        def release(self) -> None:
            """Let go of it: nothing is left of the instance."""

    class Recorder(Protocol):
        """Writes down what a later daemon has to know."""

        def flush(self) -> None:
            """Write what has changed."""

        def changed(self, entry: Entry, /) -> None:
            """Write down later what is alive of a slot: it has changed."""

        def spawning(self, entry: Entry, log_start: float, pipes: Sequence[int], /) -> None:
            """Write now that an instance is about to be spawned, and which pipes it will hold."""

        def ends(self, entry: Entry, status: int, /) -> None:
            """Write now how the leader of a slot ended: it is about to be reaped."""


class Instance:
    """What is alive of one slot, or was a moment ago. `birth`: `boot_seconds` before and after its spawn.

    `stage` is that of `core.process.marks`; `survivors` are what the leader left, `ended` is its wait status, None while it
    lives or where nobody knows it; `failure` is the step of its set-up that failed. `input` is our end of what it reads, None for
    /dev/null.
    """

    __slots__ = ("birth", "ended", "entry", "failure", "group", "input", "pipes", "stage", "starved", "survivors")

    def __init__(
        self,
        entry: Entry,
        group: Group,
        pipes: Sequence[LogPipe],
        birth: tuple[float, float],
        reads: Input | None = None,
    ) -> None:
        self.entry = entry
        self.input = reads
        self.group = group
        self.pipes = pipes
        self.birth = birth
        self.stage: Stage = QUEUED
        self.failure: Failure | None = None
        self.survivors: Sequence[Survivor] = ()
        self.ended: int | None = None
        self.starved = ""

    def fail(self, failure: Failure) -> None:
        """Know which step of its set-up failed."""
        self.failure = failure

    def end(self, status: int | None, starved: str = "") -> None:
        """Know how its leader ended, and whether it was killed because memory was short."""
        self.ended, self.starved = status, starved

    def leave(self, survivors: Sequence[Survivor]) -> bool:
        """Know what is alive of it without its leader; return whether that has changed."""
        changed, self.survivors = self.survivors != survivors, survivors
        return changed

    def drain(self) -> None:
        """Move what it has written by now into its logs."""
        self.drain_pipes()
        if self.input and self.input.settle():
            self.drain_pipes()

    def drain_pipes(self) -> None:
        """Move what is in its pipes into its logs."""
        for pipe in self.pipes:
            pipe.drain()

    def replace_pipes(self, pipes: Sequence[LogPipe]) -> None:
        """Know through which pipes its output comes from now on."""
        self.pipes = pipes

    @property
    def silent(self) -> bool:
        """Whether it ended with 0, had nothing to read and is known to have written nothing."""
        return (
            self.ended == 0
            and self.input is None
            and self.entry.present.stdin == DISCARD
            and bool(self.pipes)
            and not any(pipe.wrote for pipe in self.pipes)
        )

    def to_data(self) -> dict[str, object]:
        """Return what a later daemon needs to take this instance over."""
        data: dict[str, object] = {"pid": self.group.pid, "birth": self.birth}
        pipes = [(pipe.inode, pipe.path) for pipe in self.pipes if not pipe.closed]
        if pipes:
            data["pipes"] = pipes
        if self.input:
            data["input"] = (self.input.kind, self.input.key)
        if self.group.signalled:
            data["told"] = list(self.group.signalled)
        if self.group.sessions:
            data["sessions"] = list(self.group.sessions)
        if self.group.cgroup:
            data["cgroup"] = self.group.cgroup
        if self.survivors:
            data["left"] = [(survivor.pid, survivor.started) for survivor in self.survivors]
        if self.ended is not None:
            data["ended"] = self.ended
        return data


class Instances:
    """All instances, one a slot, with their groups and pipes, and which leader is whose."""

    def __init__(self, groups: Groups, outputs: Outputs) -> None:
        self.groups = groups
        self.outputs = outputs
        self._by_entry: dict[Entry, Instance] = {}
        self._by_leader: dict[int, Instance] = {}
        self._unsettled: set[Instance] = set()

    def __iter__(self) -> Iterator[Instance]:
        yield from self._by_entry.values()

    def of(self, entry: Entry) -> Instance | None:
        """Return what is alive of a slot, None where nothing is."""
        return self._by_entry.get(entry)

    def row(self, entry: Entry) -> dict[str, object]:
        """Return what the line of a slot in the state tells of what is alive of it."""
        instance, began = self.of(entry), self.outputs.last_words.log_start(entry)
        return {**({"copy": instance.to_data()} if instance else {}), **({"began": began} if began[0] else {})}

    def led_by(self, pid: int) -> Instance | None:
        """Return the instance whose leader has this pid, None where it is no leader's."""
        return self._by_leader.get(pid)

    def add(self, instance: Instance, *, leader: bool) -> None:
        """Take in an instance; `leader`: its leader is not reaped, so the pid is its own."""
        self._by_entry[instance.entry] = instance
        if leader:
            self._by_leader[instance.group.pid] = instance
            self.groups.add(instance.group)

    def enter(self, instance: Instance, stage: Stage) -> None:
        """Let an instance be in a stage from now on."""
        instance.stage = stage
        if stage in UNSETTLED:
            self._unsettled.add(instance)
        else:
            self._unsettled.discard(instance)

    def lose_leader(self, instance: Instance) -> None:
        """Forget the pid of a leader that is about to be reaped: it may become anybody's."""
        del self._by_leader[instance.group.pid]
        self.groups.reaped(instance.group.pid)

    def remove(self, instance: Instance) -> None:
        """Forget an instance of which nothing is left."""
        del self._by_entry[instance.entry]
        if instance.input:
            instance.input.release()
        self.outputs.leave(instance.pipes)

    @property
    def settled(self) -> bool:
        """Whether no child is between fork and exec, and every end that was seen has been delivered."""
        return not self._unsettled

    @property
    def unsettled(self) -> list[Entry]:
        """The slots for which that is not so."""
        return [instance.entry for instance in self._unsettled]

"""Takes over what an earlier daemon left: slots as they were, live instances with their pipes, and ends that no daemon saw.

Identity comes first: an instance is ours only if a pidfd holds its leader and the start time is the recorded one. Processes
that the state does not know are found by the proofs in their variables. The core decides what follows: an instance that is gone
becomes an Exited event like any other.
"""

from __future__ import annotations

import os

from taskmaster_common.config import PIPE, ProgramConfig
from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.records import Record
from taskmaster_common.states import STARTING
from taskmasterd.core.process.events import (
    SCHEDULE,
    UNQUEUE,
    Bounce,
    Executed,
    Exited,
    Failure,
    HookEnded,
    Opened,
    Restart,
    Spawned,
    Start,
    Stop,
)
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.orphans import Orphan
from taskmasterd.core.programs.table import Entry
from taskmasterd.ondemand import on_demand
from taskmasterd.output.targets import leads_to_a_pipe
from taskmasterd.processes.instance import Instance
from taskmasterd.processes.members.group import Group, Heritage
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.pidfds import awaits_exec, open_leader
from taskmasterd.system.procfs import (
    TICKS_PER_S,
    boot_seconds,
    everybody,
    is_within,
    look,
    open_pipe,
    parent_of,
    pipe_at,
    ticks_now,
)
from taskmasterd.system.spawner import is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.programs.orphans import Slot, Verdict
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.words import describe
    from taskmasterd.ondemand import Made
    from taskmasterd.output.pipe import LogPipe
    from taskmasterd.processes.performer import Performer
    from taskmasterd.survival.guardian_channel import End
    from taskmasterd.survival.state import Legacy, Saved, SavedInstance
    from taskmasterd.system.procfs import Survivor
    from taskmasterd.terminals.inputs import Inputs
else:
    describe = on_demand("taskmasterd.core.words.describe")

STREAMS = ((1, "stdout"), (2, "stderr"))
LOST = "nobody knows whether it has run: the daemon died while it was starting it"


class AdoptionEffects(Record):
    """Where a take-over turns to: `deliver` passes an event to the supervisor, `say(level, text)` writes to the event log."""

    deliver: Callable[[Entry, Event], None]
    say: Callable[[str, str], None]
    now: Callable[[], float]


class Adoption:
    """One take-over. `inputs` knows what was kept of what instances read."""

    def __init__(
        self,
        supervisor: Supervisor,
        performer: Performer,
        legacy: Legacy,
        inputs: Made[Inputs],
        effects: AdoptionEffects,
    ) -> None:
        self._supervisor = supervisor
        self._performer = performer
        self._legacy = legacy
        self._inputs = inputs
        self._deliver = effects.deliver
        self._say = effects.say
        self._now = effects.now
        self._known: frozenset[int] = frozenset()
        self._pipes = dict(legacy.pipes)
        self._processes: dict[int, Survivor] | None = None
        self._searched_at = 0
        self._spawning: Mapping[Slot, tuple[float, tuple[int, ...]]] = {}

    def take_over(self, saved: Saved) -> None:
        """Fill the empty table with the slots of an earlier daemon, and continue with their live instances.

        It delivers ends before any deadline can pass, because they happened while each process was as the state says.
        """
        self._spawning = saved.spawning
        self._known = frozenset(slot.instance.pid for slot in saved.slots if slot.instance)
        ended: list[tuple[Instance, int | None]] = []
        for slot in saved.slots:
            self._supervisor.restore(slot.entry)
            self._performer.outputs.last_words.begin(slot.entry, slot.began)
            untold = slot.instance is not None and self._take_copy(slot.entry, slot.instance, ended)
            self._supervisor.resume(slot.entry, waiting=not untold)
        self._performer.admit_ended(ended)
        for slot in saved.slots:
            copy = self._performer.instances.of(slot.entry)
            if copy and copy.group.leader_alive and not slot.entry.process.executed:
                self._go_on(slot.entry, copy)
        for inode, path in saved.facts.pipes:
            self._take_left_pipe(inode, path)
        if not self._legacy.same:
            alive = sum(copy.group.leader_alive for copy in self._performer.instances)
            count = f"{len(saved.slots)} process{'' if len(saved.slots) == 1 else 'es'}"
            self._say("info", f"took over {count} of an earlier daemon, {alive} of them alive")

    def finish(self) -> None:
        """Continue to read kept pipes that belong to no instance: processes that left their program may still write to them."""
        for fd, path in self._pipes.values():
            self._performer.outputs.take_over_left(path, fd).drain()
        self._pipes.clear()

    # -- instances that the state knows

    def _take_copy(self, entry: Entry, saved_copy: SavedInstance, ended: list[tuple[Instance, int | None]]) -> bool:
        """Admit the instance of a slot as saved, or add it to `ended`; returns whether the guardian has yet to report its end."""
        pid, birth, legacy = saved_copy.pid, saved_copy.birth, self._legacy
        status, since = legacy.ends.get(pid, (None, 0))
        if since and not is_within(since, birth):
            status = None  # of another process that had the same pid
        if saved_copy.ended is not None:
            status = saved_copy.ended
        gone = entry.process.pid is None or saved_copy.ended is not None
        child = not gone and parent_of(pid) == os.getpid()
        is_ours_alone = child or legacy.same
        sessions = frozenset(saved_copy.sessions or (() if is_ours_alone else (pid,)))
        now, handle = ticks_now(), None
        if not (gone or child):
            handle = legacy.handles[pid] if pid in legacy.handles else _leader(entry, pid, birth)
        ours_until = now if handle is not None or self._session_goes_on(sessions, saved_copy) else 0
        inodes = () if entry.present.tty else tuple(inode for inode, _path in saved_copy.pipes)
        group = _group(
            entry, pid, inodes, Heritage(sessions, handle, ours_until, frozenset(saved_copy.told), saved_copy.cgroup)
        )
        reads = None
        if saved_copy.input:
            reads, log = self._inputs().adopt(entry, saved_copy.input)
            if log >= 0:
                self._log_of(log, saved_copy.pipes[0][1] if saved_copy.pipes else "")
        copy = Instance(entry, group, self._pipes_of(entry, pid, saved_copy.pipes), birth, reads)
        if entry.process.pid is None:
            self._performer.admit_leaderless(copy)
        elif child or handle is not None:
            self._performer.admit(copy)
        elif legacy.guarded and status is None:
            self._performer.admit(copy, awaited=True)  # it ended after the guardian wrote down what it hands over
            return True
        else:
            ended.append((copy, status))
        return False

    @staticmethod
    def _session_goes_on(sessions: frozenset[int], saved_copy: SavedInstance) -> bool:
        """Return whether one of the saved survivors is still alive: then no stranger can have got the session's number."""
        left = ((look(pid), started) for pid, started in saved_copy.left)
        return any(one and one.started == started and one.session in sessions for one, started in left)

    def _pipes_of(self, entry: Entry, pid: int, rows: Iterable[tuple[int, str]]) -> list[LogPipe]:
        """Return those pipes of an instance that we can still read."""
        found: list[LogPipe] = []
        for inode, path in rows:
            kept = self._pipes.pop(inode, None)
            try:
                fd = kept[0] if kept else self._open_pipe(pid, inode)
            except OSError as error:
                reason = system_reason(error)
                self._say("error", f"{entry.canonical}: cannot read its output any more: {reason}; restart it")
                continue
            if fd is not None:
                found.append(self._performer.outputs.take_over(entry, path, fd))
        return found

    def _open_pipe(self, pid: int, inode: int) -> int | None:
        """Open a pipe through the leader that holds it, or else through a member of its session."""
        fd = open_pipe(pid, inode)
        if fd is not None:
            return fd
        members = [one.pid for one in self._everybody().values() if one.session == pid and one.pid != pid]
        return next((fd for member in members if (fd := open_pipe(member, inode)) is not None), None)

    def _take_left_pipe(self, inode: int, path: str) -> None:
        """Continue to read a pipe that outlived its instance, opened through a process that holds it."""
        if inode in self._pipes:
            return  # `finish` takes it
        holders = (one.pid for one in self._everybody().values() if one.pid != os.getpid())
        try:
            fd = next((fd for pid in holders if (fd := open_pipe(pid, inode)) is not None), None)
        except OSError:
            fd = None
        if fd is not None:
            self._performer.outputs.take_over_left(path, fd)

    def _everybody(self) -> dict[int, Survivor]:
        if self._processes is None:
            self._processes = everybody()
        return self._processes

    def _go_on(self, entry: Entry, copy: Instance) -> None:
        """Take a live leader for executed, unless it is not: nobody would learn how its set-up ends, so its start is made again."""
        if not awaits_exec(copy.group.pid):
            self._deliver(entry, Executed())
            return
        copy.group.signal_leader(signal.SIGKILL)
        if entry.process.state == STARTING:
            self._say(
                "info", f"{entry.canonical}: pid {copy.group.pid} had not executed its program; starting it again"
            )
            self._deliver(entry, Bounce("the daemon's start"))

    # -- processes that the state does not know

    def settle(
        self, orphans: Mapping[Slot, Verdict], searched_at: int, tell: Callable[[], list[End]], *, kill: bool
    ) -> None:
        """Adopt or kill what `OrphanSearch` has found at that time, or name it in the log; the table holds the configuration.

        `tell()` returns the ends that the guardian, if there is one, has seen since it handed over (`Guard.tell`).
        """
        self._searched_at = searched_at
        for slot, verdict in orphans.items():
            try:
                self._settle(slot, verdict, tell, kill=kill)
            except OSError as error:
                if is_shortage(error):
                    raise
                self._performer.occupants.by_slot[slot] = list(verdict.all)
                named = ", ".join(map(str, verdict.all[: describe.NAMED_LEFT]))
                reason = f"the system refuses to watch {named} of an earlier daemon ({system_reason(error)})"
                self._say("error", f"{slot[0]}:{slot[1]} is not started: {reason}; end it, then start the program")
        for slot in self._spawning.keys() - orphans.keys():
            entry = self._entry(slot)
            if entry and _awaits_start(entry) and not self._take_end(slot, entry, tell):
                self._start_again(entry)

    def _start_again(self, entry: Entry) -> None:
        """Go on with a start of which nothing is left; not with one by a schedule, which may have run and must not run twice."""
        if entry.process.cause != SCHEDULE or entry.process.phase or entry.process.hook:
            text = "an earlier daemon died while it was starting it; starting it again"
            self._say("info", f"{entry.canonical}: {text}")
            return
        self._performer.perform(entry, UNQUEUE)
        self._deliver(entry, Exited(None, Failure("orphan", LOST, permanent=True)))

    def _settle(self, slot: Slot, verdict: Verdict, tell: Callable[[], list[End]], *, kill: bool) -> None:
        """Do `settle` for one slot. Raises OSError if the system refuses to watch a process."""
        entry = self._entry(slot)
        named = ", ".join(map(str, verdict.all[: describe.NAMED_LEFT]))
        if kill:
            self._say("warning", f"{slot[0]}:{slot[1]}: ending what an earlier daemon left: {named}")
            self._kill(entry, slot, verdict)
        elif entry is None:
            self._say("warning", f"left alone: {named} of {slot[0]}, which is not in the configuration")
        elif verdict.leader is not None and self._adopt(entry, verdict.leader, frozenset({verdict.leader.pid})):
            self._say("warning", f"{entry.canonical}: adopted {verdict.leader}, which an earlier daemon had started")
        elif not self._take_end(slot, entry, tell):
            self._performer.occupants.by_slot[slot] = list(verdict.all)
            self._say("error", f"{entry.canonical} is not started: nobody knows which of {named} is its copy")

    def _kill(self, entry: Entry | None, slot: Slot, verdict: Verdict) -> None:
        """End all processes of a slot by the slot's own rules, and start it afterwards if it is to run."""
        by, now = "--orphans kill", self._now()
        sessions = frozenset(orphan.session for orphan in verdict.all)
        if entry is None:
            entry = Entry(ProgramConfig(slot[0], ("",)), slot[1], Process(since=now))
            entry.removed = True
            self._supervisor.restore(entry)
        wanted = entry.process.state == STARTING
        first = () if verdict.leader is None else (verdict.leader,)
        if any(self._adopt(entry, orphan, sessions) for orphan in (*first, *verdict.all)) or entry.removed:
            self._supervisor.handle(entry, Restart(by) if wanted else Stop(by), now)

    def _adopt(self, entry: Entry, orphan: Orphan, sessions: frozenset[int]) -> bool:
        """Adopt a process that no state mentions as the instance of a slot; returns whether the process was still there."""
        second = orphan.started / TICKS_PER_S
        birth = (second, second + 1 / TICKS_PER_S)
        handle = open_leader(orphan.pid, birth)
        if handle is None:
            return False
        if entry.process.state != STARTING:
            self._supervisor.handle(entry, Start("the daemon's start"), self._now())
        streams = [(pipe_at(orphan.pid, fd), self._performer.outputs.log_path(entry, name)) for fd, name in STREAMS]
        rows = {inode: path for inode, path in reversed(streams) if inode is not None and leads_to_a_pipe(path)}
        group = _group(entry, orphan.pid, tuple(rows), Heritage(sessions, handle, self._searched_at))
        copy = self._instead_of_a_start(entry, group, rows.items(), birth)
        self._performer.admit(copy)
        self._deliver(entry, Spawned(orphan.pid))
        self._go_on(entry, copy)
        return True

    def _take_end(self, slot: Slot, entry: Entry, tell: Callable[[], list[End]]) -> bool:
        """Record the exit of an instance that was spawned just before the earlier daemon died; returns whether there was one.

        Processes that were alive when `orphans` looked are adopted by now or have ended since, so the guardian knows the end of
        each other one. The instance is the one session leader that began after the spawn and is not an instance in the state.
        """
        if slot not in self._spawning or not _awaits_start(entry):
            return False
        began, inodes = self._spawning[slot]
        birth = began, boot_seconds()
        ends = [(pid, *end) for pid, end in self._legacy.ends.items()] + tell()
        found = [end for end in ends if end[0] not in self._known and is_within(end[2], birth)]
        if len(found) != 1:
            return False
        pid, status, _since = found[0]
        group = _group(entry, pid, inodes, Heritage(frozenset({pid})))
        rows = [(inode, self._pipes[inode][1]) for inode in inodes if inode in self._pipes]
        copy = self._instead_of_a_start(entry, group, rows, birth)
        self._deliver(entry, Spawned(pid))
        self._deliver(entry, Executed())
        self._performer.admit_ended([(copy, status)])
        return True

    def _instead_of_a_start(
        self, entry: Entry, group: Group, rows: Iterable[tuple[int, str]], birth: tuple[float, float]
    ) -> Instance:
        """Return the instance that an earlier daemon has started, and cancel the slot's own start, at whichever gate it is."""
        if entry.process.phase:
            self._deliver(entry, Opened())
        if entry.process.hook:
            self._deliver(entry, HookEnded(ok=True))
        self._performer.perform(entry, UNQUEUE)
        entry.current = entry.wanted
        reads = None
        if entry.wanted.stdin == PIPE or entry.wanted.tty:
            reads, log = self._inputs().find(entry)
            if log >= 0:
                rows = [self._log_of(log, self._performer.outputs.log_path(entry, "stdout"))]
        return Instance(entry, group, self._pipes_of(entry, group.pid, rows), birth, reads)

    def _log_of(self, log: int, path: str) -> tuple[int, str]:
        """Keep the read end of the pipe that a keeper moves output into, for who takes it over; return its row."""
        inode = os.fstat(log).st_ino
        try:
            if inode not in self._pipes:  # else a guardian has kept it, or it was handed over
                read = os.open(f"/proc/self/fd/{log}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._pipes[inode] = (read, path)
        finally:
            os.close(log)
        return inode, path

    def _entry(self, slot: Slot) -> Entry | None:
        return self._supervisor.table.slot(*slot)


def _group(entry: Entry, pid: int, pipes: tuple[int, ...], heritage: Heritage) -> Group:
    rule = bool(entry.wanted.stopasgroup)
    return Group(pid, (entry.program, entry.index), stop_group=rule, pipes=pipes, heritage=heritage)


def _awaits_start(entry: Entry) -> bool:
    return entry.process.state == STARTING and entry.process.pid is None


def _leader(entry: Entry, pid: int, birth: tuple[float, float]) -> int | None:
    """Return a pidfd of a leader, None if it is gone. Raises SystemFailure if the system refuses."""
    try:
        return open_leader(pid, birth)
    except OSError as error:
        reason = system_reason(error)
        raise SystemFailure("take over", f"{entry.canonical} (pid {pid})", reason, error.errno or 0) from None

"""Carries out what the core decided, and turns the kernel's news into the core's events.

It holds what is alive of each slot (`Copy`): the group and the pipes. It decides nothing about processes: which signal, when
and what follows is in the action and in the configuration.
"""

from __future__ import annotations

import os
import signal

from taskmaster_common.config import DISCARD, INHERIT
from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmasterd.core.events import Action, Event, Executed, Exited, Failure, GroupEmpty, Spawned, SpawnFailed
from taskmasterd.preparation import account_of, launch_of, targets
from taskmasterd.system.groups import Group, Groups, Survivor
from taskmasterd.system.logpipe import LogPipe
from taskmasterd.system.logread import Follower, size_of, tail_since
from taskmasterd.system.spawner import SetupError, Spawner, child_pipe, is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskmasterd.core.table import Entry
    from taskmasterd.preparation import Surroundings
    from taskmasterd.system.logsink import Sinks
    from taskmasterd.system.reactor import Reactor
    from taskmasterd.system.users import Account

SPAWN_FOR_S = 0.02
"""So long one turn spawns at most: a thousand starts must not stall an answer."""
PROBE_FIRST_S = 0.01
PROBE_MOST_S = 0.5
"""How often a group is looked at where the end of a survivor does not wake us (no Linux)."""


class Copy:
    """What is alive of one slot, or was a moment ago."""

    __slots__ = ("entry", "failure", "group", "left", "pipes")

    def __init__(self, entry: Entry, group: Group, pipes: list[LogPipe]) -> None:
        self.entry = entry
        self.group = group
        self.pipes = pipes
        self.failure: Failure | None = None
        self.left: list[Survivor] = []


class Streams(Record):
    """The descriptors that a child gets as 1 and 2, and what has to be closed or watched after the spawn.

    `began` is the file of stderr ("" where it is none) and its size before the child wrote anything.
    """

    stdout: int
    stderr: int
    children_ends: tuple[int, ...]
    pipes: tuple[LogPipe, ...]
    began: tuple[str, int]


class Performer:
    """`deliver(entry, event)` hands an event to the supervisor; `on_blind(text)` is told what /proc would not show."""

    def __init__(
        self,
        reactor: Reactor,
        groups: Groups,
        sinks: Sinks,
        around: Surroundings,
        deliver: Callable[[Entry, Event], None],
        on_blind: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._groups = groups
        self._sinks = sinks
        self._around = around
        self._deliver = deliver
        self._on_blind = on_blind
        self._spawner = Spawner(reactor, self._reported)
        self._waiting: dict[Entry, None] = {}
        self._spawning = False
        self._copies: dict[int, Copy] = {}
        self._by_entry: dict[Entry, Copy] = {}
        self._emptying: dict[Group, Copy] = {}
        self._probe_s = PROBE_FIRST_S
        self._unseen: list[tuple[Copy, int]] = []
        self._pipes: set[LogPipe] = set()
        self._began: dict[Entry, tuple[str, int]] = {}

    # -- actions

    def perform(self, entry: Entry, action: Action) -> None:
        """Carry out an action; events that answer it are delivered later."""
        if action is Action.SPAWN:
            self._waiting[entry] = None
            if not self._spawning:
                self._spawning = True
                self._reactor.call_soon(self._spawn_some)
        elif action is Action.UNQUEUE:
            self._waiting.pop(entry, None)
        elif action is Action.TERMINATE:
            self._signal(self._by_entry[entry], entry.wanted.stopsignal)
        elif action is Action.KILL:
            self._by_entry[entry].group.forget_told()
            self._signal(self._by_entry[entry], signal.SIGKILL)

    def signal_leader(self, entry: Entry, number: int) -> None:
        """Send a signal to the leader of a live process."""
        self._by_entry[entry].group.signal_leader(number)

    def _signal(self, copy: Copy, number: int) -> None:
        copy.group.whole = copy.entry.wanted.stopasgroup
        if copy.group.leader_alive:
            copy.group.signal_group(number)
        else:
            copy.group.tell(copy.left, number)

    # -- spawning

    def _spawn_some(self) -> None:
        until = self._reactor.now() + SPAWN_FOR_S
        try:
            while self._waiting and self._reactor.now() < until:
                entry = next(iter(self._waiting))
                del self._waiting[entry]
                self._spawn(entry)
        finally:  # a bug in one start must not hold up the others
            self._spawning = bool(self._waiting)
            if self._spawning:
                self._reactor.call_soon(self._spawn_some)

    def _spawn(self, entry: Entry) -> None:
        """Bring up one copy and deliver what came of it."""
        entry.current = entry.wanted
        try:
            copy, executed = self._bring_up(entry)
        except SetupError as error:
            permanent = error.step == "user"
            self._deliver(entry, Exited(failure=Failure(error.step, error.text, permanent=permanent)))
            return
        except OSError as error:
            self._deliver(entry, SpawnFailed(_shortage_text(error)))
            return
        except ValueError as error:  # a word or a variable that no exec can take
            self._deliver(entry, Exited(failure=Failure("exec", f"cannot execute {entry.wanted.cmd[0]}: {error}")))
            return
        self._groups.add(copy.group)
        self._copies[copy.group.pid] = copy
        self._by_entry[entry] = copy
        self._deliver(entry, Spawned(copy.group.pid))
        if executed:
            self._deliver(entry, Executed())

    def _bring_up(self, entry: Entry) -> tuple[Copy, bool]:
        """Return the new copy and whether it was executed already. Raises SetupError or, for a shortage, OSError."""
        program = entry.wanted
        if program.refusal:
            raise SetupError("user", program.refusal)
        who = account_of(program)
        launch = launch_of(program, entry.index, self._around, who)
        streams = self._open_streams(entry, who)
        try:
            pid, executed = self._spawner.spawn(launch, streams.stdout, streams.stderr)
        except (SetupError, OSError):
            for pipe in streams.pipes:
                pipe.close()
            raise
        finally:
            for fd in streams.children_ends:
                os.close(fd)
        self._began[entry] = streams.began
        inodes = frozenset(pipe.inode for pipe in streams.pipes)
        group = Group(pid, (entry.program, entry.index), whole=program.stopasgroup, pipes=inodes)
        return Copy(entry, group, list(streams.pipes)), executed

    def _open_streams(self, entry: Entry, who: Account | None) -> Streams:
        stdout, stderr = targets(entry.wanted, entry.index, self._around.log_dir)
        opened: dict[str, tuple[int, LogPipe | None]] = {}
        owner = (who.uid, who.gid) if who else None
        try:
            for own, target in ((1, stdout), (2, stderr)):
                if target == INHERIT:
                    opened[f"{INHERIT} {own}"] = (own, None)
                elif target not in opened:
                    opened[target] = (
                        (self._spawner.null, None) if target == DISCARD else self._pipe(entry, target, owner)
                    )
        except (SetupError, OSError):
            for fd, pipe in opened.values():
                if pipe:
                    os.close(fd)
                    pipe.close()
            raise
        fds = [
            opened[f"{INHERIT} {own}" if target == INHERIT else target][0] for own, target in ((1, stdout), (2, stderr))
        ]
        pipes = [(fd, pipe) for fd, pipe in opened.values() if pipe]
        began = (stderr, size_of(stderr)) if stderr in opened else ("", 0)
        return Streams(fds[0], fds[1], tuple(fd for fd, _ in pipes), tuple(pipe for _, pipe in pipes), began)

    def _pipe(self, entry: Entry, path: str, owner: tuple[int, int] | None) -> tuple[int, LogPipe]:
        """Return the child's end of a new pipe and its other end, which moves what comes into the file."""
        try:
            sink = self._sinks.acquire(path, entry.wanted.log_maxbytes, entry.wanted.log_backups, owner)
        except SystemFailure as failure:
            if failure.errno and is_shortage(OSError(failure.errno, failure.reason)):
                raise OSError(failure.errno, failure.reason) from None
            raise SetupError("log file", str(failure)) from None
        try:
            read, child = child_pipe(owner)
        except OSError:
            self._sinks.release(sink)
            raise

        def ended() -> None:
            self._pipes.discard(pipe)
            self._sinks.release(sink)

        pipe = LogPipe(self._reactor, read, sink, ended)
        self._pipes.add(pipe)
        return child, pipe

    def _reported(self, pid: int, failed: tuple[str, str] | None) -> None:
        """A forked child was executed, or a step of its set-up failed and its end will be reaped."""
        copy = self._copies[pid]
        if failed:
            copy.failure = Failure(failed[0], failed[1])
        else:
            self._deliver(copy.entry, Executed())

    # -- ends

    def children_ended(self, ended: Iterable[tuple[int, int]]) -> None:
        """Take the reaped children of this turn: leaders, survivors of groups, strangers."""
        dead: list[tuple[Copy, int]] = []
        strangers = False
        for pid, status in ended:
            self._spawner.settle(pid)
            copy = self._copies.pop(pid, None)
            if copy is None:
                strangers = True
            else:
                copy.group.whole = copy.entry.wanted.stopasgroup
            self._groups.reaped(pid)
            if copy is None:
                continue
            for pipe in copy.pipes:
                pipe.drain()
            dead.append((copy, status))
        self._look_at_what_is_left(dead, strangers=strangers)

    def _look_at_what_is_left(self, dead: list[tuple[Copy, int]], *, strangers: bool) -> None:
        """One look at the survivors serves every group that lost its leader, or a member, in this turn."""
        groups = [copy.group for copy, _ in dead] + (
            list(self._emptying) if strangers or not self._groups.can_see else []
        )
        try:
            left = self._groups.survivors(groups)
        except OSError as error:  # no descriptor left to look with: nobody may say that nothing is left
            self._unseen += dead
            self._reactor.call_later(PROBE_MOST_S, self._look_again)
            self._on_blind(f"cannot look for what programs left behind: {(error.strerror or str(error)).lower()}")
            return
        for copy, status in dead:
            copy.left = left.get(copy.group, [])
            if copy.left:
                self._emptying[copy.group] = copy
                self._probe_without_being_woken()
            # one by one: an error in the handling of one program must not cost another its end
            self._reactor.call_soon(lambda copy=copy, status=status: self._leader_ended(copy, status))  # type: ignore[misc]
        for group in groups[len(dead) :]:
            self._probed(self._emptying[group], left.get(group, []))

    def _look_again(self) -> None:
        dead, self._unseen = self._unseen, []
        self._look_at_what_is_left(dead, strangers=True)

    def _leader_ended(self, copy: Copy, status: int) -> None:
        if not copy.left:
            self._by_entry.pop(copy.entry, None)
        self._deliver(copy.entry, Exited(status, copy.failure, tuple(map(str, copy.left))))

    def _probed(self, copy: Copy, left: list[Survivor]) -> None:
        """A group without a leader was looked at: empty now, or with newcomers who have to be told too."""
        copy.left = left
        if left:
            number = signal.SIGKILL if copy.entry.process.killing else copy.entry.wanted.stopsignal
            copy.group.tell(left, number)
            return
        for pipe in copy.pipes:
            pipe.drain()
        del self._emptying[copy.group]
        self._by_entry.pop(copy.entry, None)
        self._deliver(copy.entry, GroupEmpty())

    def _probe_without_being_woken(self) -> None:
        if not self._groups.can_see:
            self._reactor.call_later(self._probe_s, self._probe_again)

    def _probe_again(self) -> None:
        self._look_at_what_is_left([], strangers=True)
        self._probe_s = min(self._probe_s * 2, PROBE_MOST_S) if self._emptying else PROBE_FIRST_S
        if self._emptying:
            self._probe_without_being_woken()

    @property
    def spawning(self) -> bool:
        """Whether starts are waiting for their turn."""
        return self._spawning

    # -- output

    def log_path(self, entry: Entry, stream: str) -> str:
        """Return where a stream of the slot's present or last copy goes."""
        stdout, stderr = targets(entry.present, entry.index, self._around.log_dir)
        return stderr if stream == "stderr" else stdout

    def follow(self, path: str, changed: Callable[[], None]) -> Follower:
        """Return who reads what is added to `path`; `changed` is called whenever that is something, until `unfollow`.

        Raises SystemFailure where it cannot be read back.
        """
        follower = Follower(path, retired=lambda: self._sinks.retired(path))
        self._sinks.watch(path, changed)
        return follower

    def written_since(self, path: str, moment: float) -> int:
        """Return how many of the last bytes of a log were written since then, monotonic seconds."""
        return self._sinks.written_since(path, moment)

    def unfollow(self, path: str, changed: Callable[[], None], follower: Follower) -> None:
        """Undo `follow`."""
        self._sinks.unwatch(path, changed)
        follower.close()

    def drain(self) -> None:
        """Move what is in any pipe now: the daemon is about to end."""
        for pipe in tuple(self._pipes):
            pipe.drain()

    def forget(self, entry: Entry, other: Entry | None) -> None:
        """Drop what is kept about a slot that is gone from the table; `other` is any slot of its program that stays.

        One is enough to see which logs are shared: all slots of a program have one path, or each has its own.
        """
        self._began.pop(entry, None)
        for stream in ("stdout", "stderr"):
            path = self.log_path(entry, stream)
            if other is None or self.log_path(other, stream) != path:
                self._sinks.forget(path)

    def last_words(self, entry: Entry) -> list[str]:
        """Return the last lines that the slot's last copy wrote to stderr, none where it wrote nothing."""
        path, began = self._began.get(entry, ("", 0))
        return tail_since(path, began) if path else []

    def limits_changed(self, entry: Entry) -> None:
        """Apply log_maxbytes and log_backups to the files that are open."""
        for stream in ("stdout", "stderr"):
            sink = self._sinks.find(self.log_path(entry, stream))
            if sink:
                sink.set_limits(entry.wanted.log_maxbytes, entry.wanted.log_backups)


def _shortage_text(error: OSError) -> str:
    return f"the system refuses a new process: {(error.strerror or str(error)).lower()}"

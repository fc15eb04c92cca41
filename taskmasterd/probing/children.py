"""The children of probes and hooks: started as a program's instance would be, watched, and ended with all that they left.

They are known by the variable TASKMASTER_ROLE and a proof and a tag of their own, so nobody takes one of them, or what it left, for
an instance. A child is gone when its leader is reaped and a look has found no descendant: only then its listener hears of it.
"""

from __future__ import annotations

import os

from taskmaster_common.config import LIKE_THE_DAEMON
from taskmaster_common.records import Record
from taskmasterd.output.targets import account_of
from taskmasterd.probing.leftovers import Leftovers, Mark, reader_of
from taskmasterd.processes.members.proofs import PROBE
from taskmasterd.processes.preparation import child_spec
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.loop.reactor import READ
from taskmasterd.system.pidfds import status_of
from taskmasterd.system.procfs import look, parent_of, started_at
from taskmasterd.system.signalling import has_ended, send, send_by_handle, signal_one
from taskmasterd.system.spawner import SetupError, Spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Protocol

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.processes.errand import Errands
    from taskmasterd.processes.members.groups import Groups
    from taskmasterd.processes.preparation import Inherited
    from taskmasterd.system.loop.reactor import Reactor, Timer
    from taskmasterd.system.procfs import Survivor
    from taskmasterd.system.spawner import ChildSpec
    from taskmasterd.system.users import Account

    class Listener(Protocol):
        """Whoever has asked for a child."""

        def executed(self, failure: str) -> None:
            """The child was executed, or could not be for this reason."""

        def left(self, names: tuple[str, ...]) -> None:
            """The child has ended and left these processes, which get KILL now."""

        def gone(self, status: int | None, /) -> None:
            """Nothing of the child is left; its wait status is None where nobody knows it."""


PIECE = 65_536
PIECES_AT_END = 16
"""Most bytes of one read of output, and most reads when the child is gone."""
STUCK_AFTER_S = 2.0
"""Time after KILL from which a process counts as stuck in the kernel, seconds."""
BLIND_FOR_S = 0.5
"""Pause after a look that failed, or before one that nothing will wake, seconds."""


class ChildCommand(Record):
    """What a child executes, written as `cmd` of a program is: words, or with `shell` one text. `user`: None, the program's."""

    words: tuple[str, ...]
    shell: bool = False
    user: str | None = None


class Order(Record):
    """A child to start: as which program's process, in which role, and the variables that it gets besides."""

    role: str
    program: ProgramConfig
    index: int
    command: ChildCommand
    variables: Mapping[str, str] = {}

    @property
    def as_program(self) -> ProgramConfig:
        """The program with this command and user."""
        user = self.command.user
        run_as = self.program.run_as if user is None else self.program.run_as.replace(user=user, group=None)
        return self.program.replace(cmd=self.command.words, shell=self.command.shell, run_as=run_as)

    def account(self) -> Account | None:
        """Return as whom it runs, None for the daemon's own user. Raises SetupError where that is impossible."""
        if self.program.refusal:
            raise SetupError("user", self.program.refusal)
        return account_of(self.as_program)


class Children:
    """Starts children, and takes over those of an earlier daemon."""

    def __init__(self, reactor: Reactor, errands: Errands, groups: Groups, inherited: Inherited) -> None:
        self._reactor = reactor
        self._errands = errands
        self._inherited = inherited
        self._leftovers = Leftovers(groups, inherited.proofs)
        self._spawner = Spawner(reactor, inherited.null, self._reported)
        self._listeners: dict[int, Listener] = {}
        self._number = 0

    def spawn(
        self, order: Order, who: Account | None, stdout: int, stderr: int, listener: Listener, *, stdin: int = -1
    ) -> Child:
        """Start a child; `listener.executed` follows. `stdin` is a descriptor, by default /dev/null.

        Raises SetupError for a failed step, OSError if the system refuses it, ValueError for a word that no exec can take.
        """
        self._number += 1
        role, name, index = order.role, order.program.name, order.index
        lineage = self._inherited.proofs.lineage
        tag = lineage.tag((f"{role}\0{name}\0{index}", self._number))  # each child has its own: two may run at once
        pid, _executed = self._spawner.spawn(self._spec(order, who, tag), stdout, stderr, stdin=stdin)
        self._listeners[pid] = listener
        child = Child(self._reactor, self._leftovers, Mark(pid, tag, role, name, index), listener, self.settle)
        self._errands.add(child)
        return child

    def _spec(self, order: Order, who: Account | None, tag: int | None) -> ChildSpec:
        program = order.as_program
        if order.role == PROBE:  # it says something about the program; what the program may use says nothing about it
            program = program.replace(may_use=LIKE_THE_DAEMON)
        spec = child_spec(program, order.index, self._inherited, who)
        of_role = self._inherited.proofs.variables(order.program.name, order.index, order.role)
        # these come first, as in `preparation`
        environment = {**of_role, **spec.environment, **order.variables, **of_role}
        return spec.replace(
            environment=environment, tag=tag, forked=True
        )  # a quick one could fork before its tag is there

    def resume(self, mark: Mark, started: int, listener: Listener) -> Child:
        """Go on with a child of an earlier daemon that was started at `started` (clock ticks); perhaps it has ended since.

        After a live upgrade it is still our child, and its status will be known.
        """
        child = Child(self._reactor, self._leftovers, mark, listener, self.settle)
        if started_at(mark.pid) != started:
            child.lose(None)
        elif parent_of(mark.pid) == os.getpid():
            self._errands.add(child)
        else:
            child.lose(_handle(mark.pid, started))
        return child

    def reader_of(self, fd: int, role: str, program: str, index: int) -> tuple[Mark, int] | None:
        """Return the child of an earlier daemon that reads a pipe, and its start time; None if there is none or /proc cannot be read."""
        try:
            return reader_of(self._inherited.proofs, os.fstat(fd).st_ino, role, program, index)
        except OSError:
            return None

    def settle(self, pid: int) -> None:
        """Read the report of a child that has ended."""
        self._spawner.settle(pid)
        self._listeners.pop(pid, None)

    def _reported(self, pid: int, failed: tuple[str, str] | None) -> None:
        listener = self._listeners.pop(pid, None)
        if listener:
            listener.executed(failed[1] if failed else "")


def _handle(pid: int, started: int) -> int | None:
    """Return a pidfd of a process, None if it is gone or the system refuses it."""
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
    if started_at(pid) == started:
        return handle
    os.close(handle)
    return None


class Child:
    """One child. `stuck` says which process of it KILL does not end, "" without one."""

    silent = False
    """An errand's property: whether the output has ended; the launcher alone asks."""

    def __init__(
        self, reactor: Reactor, leftovers: Leftovers, mark: Mark, listener: Listener, settle: Callable[[int], None]
    ) -> None:
        self.mark = mark
        self.pid = mark.pid
        self.stuck = ""
        self._reactor = reactor
        self._leftovers = leftovers
        self._listener = listener
        self._settle = settle
        self._alive = True
        self._ours = True
        self._owns_number = True
        self._status: int | None = None
        self._looked = False
        self._handle = -1
        self._timer: Timer | None = None

    @property
    def alive(self) -> bool:
        """Whether its end was not seen yet."""
        return self._alive

    def lose(self, handle: int | None) -> None:
        """Know it for somebody else's child: watch its end by a pidfd, or with None look at once for what it left."""
        self._ours = False
        if handle is None:
            self._alive = self._owns_number = False
            self._reactor.call_soon(self._search, self._search_later)
        else:
            self._watch(handle, partial(self._lost_ended, handle))

    def signal(self, number: int) -> None:
        """Signal its process group; KILL leaves nothing of it that has not left the group."""
        if number == signal.SIGKILL and self._timer is None:
            self._timer = self._reactor.call_later(STUCK_AFTER_S, self._is_stuck)
        if not self._alive or (not self._ours and has_ended(self._handle)):
            return
        for each in (number, signal.SIGCONT):
            reached = send(os.killpg, self.pid, each) == 0
            if not reached or each == signal.SIGKILL:  # before its setsid it is in no group of its own
                send(os.kill, self.pid, each) if self._ours else send_by_handle(self._handle, self.pid, each)

    def ended(self, status: int) -> None:
        """Note its end; its pid is nobody else's yet."""
        self._settle(self.pid)
        self._end(status)

    def _lost_ended(self, handle: int) -> None:
        self._end(status_of(handle, self.pid))

    def _end(self, status: int | None) -> None:
        self._alive, self._status = False, status
        self._reactor.call_soon(self._search, self._search_later)  # by then it is reaped

    # -- what it left

    def _search(self) -> None:
        self._reactor.rounds.begin(self._steps(), self._search_later)

    def _search_later(self) -> None:
        self._reactor.call_later(BLIND_FOR_S, self._search)

    def _steps(self) -> Generator[None, None, None]:
        try:
            found = yield from self._leftovers.of(self.mark, owns_number=self._owns_number, ours=self._ours)
        except OSError:  # no descriptor to look with
            self._search_later()
            return
        self._owns_number = any(self.pid in (one.session, one.group) for one in found)
        if found and not self._looked:
            self._listener.left(tuple(map(str, found)))
        self._looked = True
        if not found:
            self._gone()
            return
        if self._timer is None:
            self._timer = self._reactor.call_later(STUCK_AFTER_S, self._is_stuck)
        for one in found:
            signal_one(one, signal.SIGKILL)
            yield
        self._await(found[0])

    def _await(self, one: Survivor) -> None:
        """Look again when this process has ended."""
        handle = _handle(one.pid, one.started)
        if handle is not None:
            self._watch(handle, self._search)
        elif look(one.pid) is None:
            self._reactor.call_soon(self._search, self._search_later)
        else:
            self._search_later()

    def _watch(self, handle: int, ended: Callable[[], None]) -> None:
        def ready(_events: int) -> None:
            self._reactor.remove(handle)
            ended()
            os.close(handle)

        self._handle = handle
        self._reactor.watch(handle, READ, ready)

    def _is_stuck(self) -> None:
        self.stuck = f"{self.mark.role} {self.pid} cannot be killed"

    def _gone(self) -> None:
        self._reactor.cancel(self._timer)
        self.stuck = ""
        self._listener.gone(self._status)


class ChildOutput:
    """What a child writes, read as it comes, and once more when the child is gone.

    Owns `fd`, the read end of the pipe, which does not block; `take(piece)` gets what comes, at most `piece` bytes at once.
    """

    def __init__(self, reactor: Reactor, fd: int, take: Callable[[bytes], None], piece: int = PIECE) -> None:
        self._reactor = reactor
        self._fd = fd
        self._take = take
        self._piece = piece
        reactor.watch(fd, READ, self._readable)

    def finish(self) -> None:
        """Read what is in the pipe now, and close it."""
        for _ in range(PIECES_AT_END):
            if not self._read():
                break
        self.close()

    def close(self) -> None:
        """Close the pipe. A second call does nothing."""
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self, _events: int) -> None:
        self._read()

    def _read(self) -> bool:
        if self._fd < 0:
            return False
        try:
            piece = os.read(self._fd, self._piece)
        except BlockingIOError:
            return False
        if piece:
            self._take(piece)
        else:
            self.close()
        return bool(piece)

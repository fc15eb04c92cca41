"""All sockets on which the daemon listens for programs: opened before the first spawn, passed to each instance, kept meanwhile.

Each address has one socket, which several programs may share; `core.programs.sockets` says how long. A keeper has a second descriptor of each,
so that no client is refused when the daemon dies; an upgrade inherits ours.
"""

from __future__ import annotations

import os

from taskmaster_common.config.sockets import FIRST_FD, socket_on_stdin
from taskmaster_common.errors import system_reason
from taskmasterd.core.process.events import Exited
from taskmasterd.core.programs.sockets import claims_of, environment, moves, needed, without
from taskmasterd.ondemand import on_demand
from taskmasterd.sockets.opened import OpenSocket, OpenSockets, claim_in, inode_in
from taskmasterd.system.spawner import SetupError, SetupStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.sockets import SocketUse
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.sockets import regained
    from taskmasterd.system.paths.held import Inode
    from taskmasterd.system.spawner import ChildSpec, Setup
else:
    regained = on_demand("taskmasterd.sockets.regained")

LISTENING, CLOSED = "listening", "closed"


class ProgramSockets:
    """The sockets of all programs. `keeping` and `say` are those of OpenSockets, which has those that are `open`.

    `inherited` are descriptors with the inodes of their files, by address, that an upgrade, or the launcher of this daemon, has
    handed over; of an upgrade, its rows have the inodes.
    """

    def __init__(
        self,
        table: Table,
        keeping: Callable[[], Keeping],
        say: Callable[[str, str], None],
        inherited: Mapping[str, tuple[int, Inode | None]],
    ) -> None:
        self._table = table
        self._say = say
        for fd, _inode in inherited.values():
            os.set_inheritable(fd, False)
        self.open = OpenSockets(keeping, say, inherited)
        self._uses: dict[Entry, frozenset[str]] = {}
        self._promised: set[str] = set()
        self._lost: dict[str, Mapping[str, Any]] = {}
        self._alone: set[str] = set()
        self._begun = False

    # -- for a start

    def pass_on(self, entry: Entry, spec: ChildSpec) -> tuple[ChildSpec, tuple[tuple[int, int], ...], int]:
        """Return what the next instance of a slot is made from, with its sockets; opens those that are not open.

        Besides its variables: (number, descriptor) of each socket, and the one that is descriptor 0, or -1. Raises SetupError,
        OSError.
        """
        claims = claims_of(entry.wanted, entry.index)
        try:
            for claim in claims:
                self._ensure(claim)
        finally:  # if one cannot be had, the others are open for the next try, or closed after the last one
            self._settle(entry)
        held = [self.open.by_address[claim.address] for claim in claims]
        for each in held:
            self._make_blocking(each)
        name = socket_on_stdin(entry.wanted.stdin)
        stdin = next((each.fd for each, claim in zip(held, claims) if claim.socket.name == name), -1)
        step = SetupStep("sockets", "pass its sockets", _say_whose)
        variables = {**spec.environment, **environment(claims)}
        spec = spec.replace(environment=variables, steps=(*spec.steps, step))
        return spec, tuple((number, each.fd) for number, each in enumerate(held, FIRST_FD)), stdin

    def _make_blocking(self, one: OpenSocket) -> None:
        """Undo what an earlier program has set, unless somebody uses the socket: the flag is shared. Source: open(2), O_NONBLOCK."""
        address, uses = one.claim.address, self._uses.items()
        if not any(entry.process.pid is not None and address in addresses for entry, addresses in uses):
            os.set_blocking(one.fd, True)

    def _ensure(self, claim: SocketUse) -> None:
        """Have a socket open as claimed. Raises SetupError, OSError."""
        held = self.open.by_address.get(claim.address)
        if held is None:
            self.open.add(self.open.opened(claim))
            self._alone.discard(claim.address)
        elif held.has_file:
            held.follow(claim)
        else:
            self.open.open_again(held, claim)

    # -- changes

    def changed(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        """Close what is not needed any more, and mend what an instance has left behind."""
        if before.state == after.state and before.pid == after.pid:
            return
        if not entry.wanted.sockets and entry not in self._uses:
            return
        self._settle(entry)
        if isinstance(event, Exited):
            for address in self._uses.get(entry, ()):
                self._mend(self.open.by_address[address])

    def _mend(self, one: OpenSocket) -> None:
        """Bind a socket again whose file an instance has removed; if that fails, the next start says so."""
        if not one.has_file:
            try:
                self.open.open_again(one, one.claim)
            except (SetupError, OSError) as error:
                self._say("warning", error.text if isinstance(error, SetupError) else system_reason(error))

    def gone(self, entry: Entry) -> None:
        """Forget a slot that has left the table."""
        self._use(entry, frozenset())

    def _settle(self, entry: Entry) -> None:
        """Take note of what a slot needs of that which is open."""
        self._use(entry, frozenset(needed(entry)).intersection(self.open.by_address))

    def _use(self, entry: Entry, addresses: frozenset[str]) -> None:
        before = self._uses.pop(entry, frozenset())
        if addresses:
            self._uses[entry] = addresses
        self._release(before - addresses)

    def _release(self, addresses: Iterable[str]) -> None:
        """Close those of these that nobody needs."""
        for address in addresses:
            held = self.open.by_address.get(address)
            if held and address not in self._promised and not any(address in each for each in self._uses.values()):
                self.open.close(held)

    # -- a reload

    def prepare(self, plan: ReloadPlan) -> Steps[tuple[ReloadPlan, Mapping[str, str]]]:
        """Open what restarts will need, before anything is stopped; return the plan without programs for which that is impossible.

        The texts, by program, say why.
        """
        refused: dict[str, str] = {}
        self._take_up()
        for program, claims in moves(plan):
            problem, made = self.open.open_all(claims, self._alone)
            if problem:
                refused[program.name] = problem
            self._promised.update(made)
            yield
        present = {name: self._table.slots(name)[0].wanted for name in refused}
        return without(plan, refused, present), refused

    def reach(self, entry: Entry) -> str:
        """Open what a slot needs for what is pending, before it is restarted; return why that is impossible, or ""."""
        problem, made = self.open.open_all(claims_of(entry.newest, entry.index), self._alone)
        self._use(entry, self._uses.get(entry, frozenset()).union(made))
        return problem

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Apply other queues, modes and owners, and close what the plan has not used after all."""
        del plan
        promised, self._promised = self._promised, set()
        for entry in tuple(self._table):
            if entry.wanted.sockets:
                self._settle(entry)
                for claim in claims_of(entry.newest, entry.index):
                    self._follow(claim)
                yield
        self._release(promised)

    def _follow(self, claim: SocketUse) -> None:
        held = self.open.by_address.get(claim.address)
        try:
            if held:
                held.follow(claim)
        except (SetupError, OSError) as error:
            self._say("error", error.text if isinstance(error, SetupError) else system_reason(error))

    # -- another daemon

    def begin(self) -> None:
        """Open what is needed by what is up or on its way up. What fails now fails a start, which says so."""
        self._begun = False  # the table is complete by now
        self._take_up()
        for held in tuple(self.open.by_address.values()):  # of an earlier daemon, and of the launcher
            self._release([held.claim.address])
        for fd, _inode in self.open.inherited.values():
            os.close(fd)
        self.open.inherited.clear()

    def _take_up(self) -> None:
        """Open what the table needs, or get it back, where that has not been done."""
        begun, self._begun = self._begun, True
        for entry in () if begun else self._table:
            now = needed(entry, later=False)
            for address, claim in needed(entry).items():
                left = address in self.open.inherited or address in self._lost
                if address not in self.open.by_address and address not in self._alone and (left or address in now):
                    self._regain(entry, claim)
            self._settle(entry)

    def _regain(self, entry: Entry, claim: SocketUse) -> None:
        """Open a socket, or get it back from a live instance that alone has it."""
        address, pid = claim.address, entry.process.pid
        row = None if address in self.open.inherited else self._lost.get(address)
        fd = regained.from_process(pid, row["socket"]) if pid and row else -1
        try:
            self.open.add(OpenSocket(claim, fd, inode_in(row)) if row and fd >= 0 else self.open.opened(claim))
        except (SetupError, OSError):
            if pid and any(address == each.address for each in claims_of(entry.present, entry.index)):
                self._alone.add(address)
                alone = f"socket {claim.socket.name} is held by pid {pid} alone; bound again when that has ended"
                self._say("warning", f"{self._table.name(entry)}: {alone}")

    def resume(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the sockets of an earlier daemon, before anybody needs one."""
        for row in rows:
            try:
                claim, inode = claim_in(row), inode_in(row)
            except (KeyError, TypeError, ValueError, AttributeError):  # of a version with other rows
                continue
            inherited = self.open.inherited.pop(claim.address, None)
            if self.open.take_back(claim, inode, row["key"]):
                if inherited:
                    os.close(inherited[0])
            elif inherited:
                self.open.add(OpenSocket(claim, inherited[0], inode))
            else:
                self._lost[claim.address] = row

    # -- for people

    def view(self, entry: Entry) -> list[dict[str, str]]:
        """Return name, address and state of each descriptor of a slot."""
        return [
            {"name": claim.socket.name, "address": claim.address, "state": self._state(entry, claim)}
            for claim in claims_of(entry.wanted, entry.index)
        ]

    def _state(self, entry: Entry, claim: SocketUse) -> str:
        if claim.address in self.open.by_address:
            return LISTENING
        alone = claim.address in self._alone and entry.process.pid is not None
        return f"held by pid {entry.process.pid} alone" if alone else CLOSED


def _say_whose(setup: Setup) -> None:
    """Complete the variables in the child, whose pid is known there only."""
    setup.environment["LISTEN_PID"] = str(os.getpid())

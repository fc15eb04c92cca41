"""Which sockets programs need, by their addresses: what is kept, opened, closed and shared. Pure.

An address is listened at while a slot that has it is up or on its way up: clients wait while a program is down for a moment, and are
refused once nobody will serve them. Programs and instances with the same address share one socket.
"""

from __future__ import annotations

from taskmaster_common.config.sockets import FIRST_FD, Socket, sockets_of, variable
from taskmaster_common.records import Record
from taskmaster_common.states import DOWN_STATES
from taskmasterd.core.programs.plan import KEPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.plan import ProgramPlan, ReloadPlan
    from taskmasterd.core.programs.table import Entry


class SocketUse(Record):
    """One descriptor of a program: an address, and the socket of the configuration that it belongs to."""

    address: str
    socket: Socket

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"socket {self.socket.name}: {self.address}"


def claims_of(program: ProgramConfig, index: int) -> tuple[SocketUse, ...]:
    """Return what an instance gets, in the order of its descriptors."""
    if not program.sockets:
        return ()
    sockets = sockets_of(program.sockets, program.socket_options)
    return tuple(SocketUse(address, each) for each in sockets for address in each.addresses(index))


def needed(entry: Entry, *, later: bool = True) -> dict[str, SocketUse]:
    """Return what a slot needs to stay open: nothing while it is down.

    What its live instance has stays until another one is started with other addresses, those of which are open by then. `later`:
    with those of what is pending.
    """
    if entry.process.state in DOWN_STATES:
        return {}
    programs = [entry.present] if entry.process.pid is not None else []
    programs += [entry.wanted, entry.newest] if later else [entry.wanted]
    return {claim.address: claim for program in programs for claim in claims_of(program, entry.index)}


def environment(claims: Iterable[SocketUse]) -> dict[str, str]:
    """Return the variables by which a program finds its sockets, but for LISTEN_PID. Source: sd_listen_fds(3)."""
    every = tuple(claims)
    found = {"LISTEN_FDS": str(len(every)), "LISTEN_FDNAMES": ":".join(each.socket.name for each in every)}
    for number, each in enumerate(every, FIRST_FD):
        found.setdefault(variable(each.socket.name), str(number))
    return found


def moves(plan: ReloadPlan) -> Iterator[tuple[ProgramPlan, tuple[SocketUse, ...]]]:
    """Yield the programs of which a plan restarts instances, with what these will need."""
    for program in plan.programs:
        if program.wanted and program.wanted.sockets and program.restart:
            found = {each.address: each for index in program.restart for each in claims_of(program.wanted, index)}
            yield program, tuple(found.values())


def without(plan: ReloadPlan, refused: Mapping[str, str], present: Mapping[str, ProgramConfig]) -> ReloadPlan:
    """Return a plan that leaves some programs as they are: `refused` says why, `present` what is wanted of them now.

    What the file wants of them is put off, so that they count as outdated.
    """
    if not refused:
        return plan
    kept = tuple(
        program.replace(
            change=KEPT, why=f"{refused[program.name]}; it stays as it is", wanted=present[program.name],
            keys=(), create=(), start=(), stop=(), restart=(), put_off=program.wanted,
        )
        if program.name in refused
        else program
        for program in plan.programs
    )  # fmt: skip
    return plan.replace(programs=kept)

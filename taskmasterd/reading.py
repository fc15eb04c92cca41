"""The part of the composition root for what a keeper holds: what programs read, what reads their output, and the sockets on which the daemon listens for them.

Each is made with the first program that has it, or where an earlier life has left some of it.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.processes.members.proofs import KEEPER, ROLE
from taskmasterd.processes.preparation import child_environment
from taskmasterd.processes.starts import Extras
from taskmasterd.survival.disk.file import KEEPER_SUFFIX
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd import piping
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.keeping import keeping, link
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.loggers.loggers import Loggers
    from taskmasterd.piping import PipingParts
    from taskmasterd.processes.errand import Errands
    from taskmasterd.processes.instance import Instances
    from taskmasterd.processes.limits.cgroups import ControlGroups
    from taskmasterd.processes.starts import Announce
    from taskmasterd.sockets import holder, parked
    from taskmasterd.sockets.holder import ProgramSockets
    from taskmasterd.survival import execute
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.survival.state import Registry
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.terminals import inputs
    from taskmasterd.terminals.inputs import Changed, Inputs
else:
    execute = on_demand("taskmasterd.survival.execute")
    inputs = on_demand("taskmasterd.terminals.inputs")
    holder = on_demand("taskmasterd.sockets.holder")
    parked = on_demand("taskmasterd.sockets.parked")
    keeping = on_demand("taskmasterd.keeping.keeping")
    link = on_demand("taskmasterd.keeping.link")
    piping = on_demand("taskmasterd.piping")


class ReadingParts(Record):
    """What reading is made from; the functions are those of `Inputs`."""

    reactor: Reactor
    errands: Made[Errands]
    instances: Instances
    changed: Callable[[Entry], None]
    say: Callable[[str, str], None]
    bus: Bus
    table: Table
    registry: Registry


class Reading(Record):
    """The keeper, what programs read, and the sockets on which the daemon listens for them."""

    keeping: Made[Keeping]
    inputs: Made[Inputs]
    sockets: Made[ProgramSockets]

    def extras(self, announce: Announce, cgroups: Made[ControlGroups]) -> Extras:
        """Return what some starts need besides logs."""
        return Extras(
            announce,
            lambda entry, account, streams: self.inputs().open(entry, account, streams),
            lambda entry, spec: self.sockets().pass_on(entry, spec),
            cgroups,
        )

    def begin(self) -> None:
        """Open what programs that are to run need, once the table is complete."""
        if self.sockets.made:
            self.sockets.made.begin()

    def bye(self) -> None:
        """Close the sockets, and end the keeper with the daemon."""
        if self.sockets.made:
            self.sockets.made.open.close_all()
        if self.keeping.made:
            self.keeping.made.bye()


def build_reading(origin: Origin, parts: ReadingParts) -> Reading:
    """Return what makes the keeper and the inputs of programs when there is need for them: at once where an earlier life had a keeper."""
    path, places = origin.state_path and origin.state_path + KEEPER_SUFFIX, origin.handed.path

    def command(words: tuple[str, ...]) -> list[str]:
        return execute.command("--keeper", *words, *places)

    def make() -> Keeping:
        environment = {**child_environment(os.environ), ROLE: KEEPER}
        ignored = parts.instances.groups.below.ignored
        means = link.KeeperMeans(parts.reactor, parts.errands, command, environment, path, ignored.add, parts.say)
        made: Keeping = keeping.Keeping(means)
        return made

    def follow(changed: Changed, gone: Callable[[Entry], None]) -> None:
        parts.bus.join(BusMember(REACT, changed, gone=gone))

    keeper, fd = Made(make), origin.handed.fds.get("keeper")
    if fd is not None or (not origin.legacy.same and path and os.path.lexists(path)):
        keeper().take_back(fd)
    made = Made(lambda: inputs.Inputs(parts.reactor, keeper(), parts.instances, parts.changed, parts.say, follow))
    return Reading(keeper, made, _listening(origin, parts, keeper))


def _listening(origin: Origin, parts: ReadingParts, keeper: Made[Keeping]) -> Made[ProgramSockets]:
    """Return what listens for programs; it exists at once if one of them, or of an earlier life, has a socket."""
    life, fd = origin.handed.life, origin.handed.fds.get("sockets")
    handed = life.sockets if life else ()

    def make() -> ProgramSockets:
        inherited = parked.unpark(fd) if fd is not None else {}
        inherited |= {address: (each, None) for address, each in handed}
        made: ProgramSockets = holder.ProgramSockets(parts.table, keeper, parts.say, inherited)
        parts.bus.join(BusMember(REACT, made.changed, gone=made.gone, applied=made.applied))
        return made

    made = Made(make)
    parts.registry.register(
        "sockets",
        lambda: made.made.open.to_data() if made.made else (),
        lambda rows: made().resume(rows) if rows else None,
    )
    programs = (*origin.config.programs, *(origin.saved.config.programs if origin.saved else ()))
    if any(program.sockets for program in programs):
        made()
    return made


class Piping(Record):
    """The commands that read what slots write; `begin()` goes on with those of an earlier daemon, now that the table has its slots."""

    loggers: Made[Loggers]
    begin: Callable[[], None]


def build_piping(registry: Registry, parts: Callable[[], PipingParts]) -> Piping:
    """Return what has commands read the output of slots: made with the first one. `parts()` is called once all of them are there."""
    left: list[Mapping[str, Any]] = []
    made: Made[Loggers] = Made(lambda: piping.make_loggers(parts(), made))
    registry.register("loggers", lambda: made.made.to_data() if made.made else left, left.extend)

    def begin() -> None:
        if left:
            made().begin(parts().table, left)

    return Piping(made, begin)

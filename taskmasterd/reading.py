"""The part of the composition root for what programs read: made with the first program that reads something, or kept by a keeper."""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.processes.members.proofs import KEEPER, ROLE
from taskmasterd.processes.preparation import child_environment
from taskmasterd.survival.disk.file import KEEPER_SUFFIX
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.keeping import keeping, link
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.processes.errand import Errands
    from taskmasterd.processes.instance import Instances
    from taskmasterd.survival import execute
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.terminals import inputs
    from taskmasterd.terminals.inputs import Changed, Inputs
else:
    execute = on_demand("taskmasterd.survival.execute")
    inputs = on_demand("taskmasterd.terminals.inputs")
    keeping = on_demand("taskmasterd.keeping.keeping")
    link = on_demand("taskmasterd.keeping.link")


class ReadingParts(Record):
    """What reading is made from; the functions are those of `Inputs`."""

    reactor: Reactor
    errands: Made[Errands]
    instances: Instances
    changed: Callable[[Entry], None]
    say: Callable[[str, str], None]
    bus: Bus


class Reading(Record):
    """The keeper, and what programs read."""

    keeping: Made[Keeping]
    inputs: Made[Inputs]

    def bye(self) -> None:
        """End the keeper with the daemon."""
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
    return Reading(keeper, made)

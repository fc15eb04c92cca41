"""What others wait for before they go down: counted, as `gate.above` finds it, and with work that grows as the programs do."""

from __future__ import annotations

from functools import partial

import pytest

from taskmaster_common.states import STOPPED
from taskmasterd.core.process.events import TERMINATE
from tests.support.model import World, program
from tests.support.work import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.config import ProgramConfig


def chain(length: int) -> list[ProgramConfig]:
    """Return programs each of which needs the one before it."""
    return [program(f"p{i}", depends_on=(f"p{i - 1}",) if i else ()) for i in range(length)]


def hub(dependents: int) -> list[ProgramConfig]:
    """Return a program, and those that need it."""
    return [program("hub"), *(program(f"p{i}", depends_on=("hub",)) for i in range(dependents))]


def stop(world: World) -> World:
    """Stop all, and let each process end as it gets its signal."""
    entries = {entry.canonical: entry for entry in world.table}
    world.actions.clear()
    world.stop("all")
    world.settle()
    for name, _action in world.actions:  # which grows meanwhile
        world.end(entries[name])
        world.settle()
    return world


@pytest.mark.parametrize("shape", [chain, hub])
def test_a_stop_takes_work_in_proportion_to_the_number_of_programs(shape: Callable[[int], list[ProgramConfig]]) -> None:
    worlds = {size: World().load(*shape(size)).cooperate() for size in (40, 160)}
    work = {size: calls(partial(stop, world)) for size, world in worlds.items()}
    assert all(set(world.states().values()) == {STOPPED} for world in worlds.values())
    assert work[160] < 5 * work[40]


def test_an_edge_to_one_instance_lets_the_others_go_at_once() -> None:
    world = World().load(program("db", numprocs=2), program("web", depends_on=("db:1",))).cooperate()
    world.actions.clear()
    world.stop("all")
    assert world.settle().actions == [("web:0", TERMINATE), ("db:0", TERMINATE)]
    world.end(world.entry("web"))
    assert world.settle().actions[2:] == [("db:1", TERMINATE)]


def test_who_goes_down_is_waited_for_through_what_is_down_already() -> None:
    world = World().load(*chain(4)).cooperate()
    world.stop("p1", "p2")
    world.cooperate([world.entry("p1"), world.entry("p2")])
    world.actions.clear()
    world.stop("all")
    assert world.settle().actions == [("p3:0", TERMINATE)]
    world.end(world.entry("p3"))
    assert world.settle().actions == [("p3:0", TERMINATE), ("p0:0", TERMINATE)]

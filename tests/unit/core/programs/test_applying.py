"""How a plan is applied: in steps, and the edges of the new configuration count from one moment on."""

from __future__ import annotations

from taskmasterd.core.programs.applying import apply
from taskmasterd.core.steps import run
from tests.support.model import World, program

DB = program("db")
WEB = program("web", depends_on=("db",))
API = program("api", depends_on=("web",))


def test_edges_are_read_in_steps_before_anything_else_happens() -> None:
    world = World().load(WEB, DB).cooperate()
    graph = world.table.graph
    world.actions.clear()
    steps = apply(world.supervisor, world.plan(API, WEB, DB), "a reload", world.ticket())
    next(steps)
    next(steps)
    assert (world.table.graph, world.table.names(), world.actions) == (graph, ("web", "db"), [])
    run(steps)
    assert world.table.graph is not graph
    assert world.table.names() == ("api", "web", "db")


def test_a_shutdown_that_begins_while_edges_are_read_leaves_all_as_it_is() -> None:
    world = World().load(WEB, DB).cooperate()
    graph = world.table.graph
    ticket = world.ticket()
    steps = apply(world.supervisor, world.plan(API, WEB, DB), "a reload", ticket)
    next(steps)
    world.supervisor.refuse_starts()
    run(steps)
    assert ticket.failed
    assert (world.table.graph, world.table.names(), world.done) == (graph, ("web", "db"), 1)

"""`deps`: which edges make a tree, and what the daemon says of each; what a blocked start is answered with."""

from __future__ import annotations

import pytest

from taskmasterd.core.words.edges import edge_view, roots, tree
from taskmasterd.core.words.view import process_view, reason_text
from tests.support.model import World, program

DB = program("db")
WEB = program("web", depends_on=("db",))
SIGNALS = {15: "TERM"}


def diamond() -> World:
    """Return a world in which d needs b and c, both need a, and one more needs nothing."""
    edges = {"d": ("b", "c"), "b": ("a",), "c": ("a",), "a": (), "other": ()}
    return World().load(*(program(name, depends_on=needs) for name, needs in edges.items()))


def edges(world: World, *names: str, upwards: bool = False) -> list[str]:
    """Return the edges of a tree, as "who>whom"."""
    return [f"{name}>{need.program}" for name, need in tree(world.table, names, upwards=upwards)]


def said(world: World) -> list[tuple[str, str]]:
    """Return the status of each edge, and why it is not ok."""
    views = [
        edge_view(world.table, name, need, world.now, SIGNALS)
        for name, need in tree(world.table, roots(world.table, upwards=False), upwards=False)
    ]
    return [(view["status"], view["because"]) for view in views]


def test_trees_begin_where_nothing_depends_or_where_nothing_is_needed() -> None:
    world = diamond()
    assert roots(world.table, upwards=False) == ("d",)
    assert roots(world.table, upwards=True) == ("a",)
    assert roots(World().load(DB).table, upwards=False) == ()


def test_a_tree_has_every_edge_once_and_no_others() -> None:
    world = diamond()
    assert edges(world, "d") == ["d>b", "d>c", "b>a", "c>a"]
    assert edges(world, "b") == ["b>a"]
    assert edges(world, "b", upwards=True) == ["d>b"]
    assert edges(world, "a", upwards=True) == ["d>b", "d>c", "b>a", "c>a"]
    assert edges(world, "other") == []


def test_what_a_reload_has_removed_is_in_no_tree_once_it_is_gone() -> None:
    world = World().load(WEB, DB).cooperate()
    world.reload(DB)
    assert edges(world, "web") == ["web>db"]
    world.cooperate()
    assert (roots(world.table, upwards=False), roots(world.table, upwards=True)) == ((), ())
    assert edges(world, "db", upwards=True) == []


def test_an_edge_is_waiting_then_ok_and_blocked_when_nothing_leads_there() -> None:
    world = World().load(WEB, program("db", startretries=0)).settle()
    assert said(world) == [("waiting", "db is STARTING")]
    world.cooperate()
    assert said(world) == [("ok", "")]
    world.stop("db")
    world.cooperate()
    assert said(world) == [("blocked", "db is STOPPED; stopped by bob")]


def test_of_several_instances_the_one_that_is_worst_is_named() -> None:
    world = World().load(WEB, program("db", numprocs=3)).settle()
    world.cooperate([world.entry("db:1")])
    assert said(world) == [("waiting", "db:0 is STARTING")]
    world.stop("db:2")
    assert said(world) == [("blocked", "db:2 is STOPPED; stopped by bob")]


def test_an_edge_that_is_not_required_is_ok_once_it_was_tried() -> None:
    world = World().load(program("web", depends_on=("db optional",)), DB).settle()
    assert said(world) == [("waiting", "db is STARTING")]
    world.fail_set_up(world.entry("db"))
    assert said(world) == [("ok", "")]


@pytest.mark.parametrize(("edge", "ends"), [("db", "db is ready"), ("db started", "db is started")])
def test_a_blocked_start_ends_with_what_would_change_it(edge: str, ends: str) -> None:
    chain = [program("web", depends_on=("api",)), program("api", depends_on=(edge,)), program("db", startretries=0)]
    world = World().load(*chain).settle()
    world.fail_set_up(world.entry("db"))
    world.settle()
    text = reason_text(world.table, world.entry("web"), "blocked", world.now, SIGNALS)
    assert text.startswith("needs api, which needs db, which is FATAL: cannot execute /x")
    assert text.endswith(f"; it starts when {ends}")


def test_what_a_process_waits_for_is_on_the_wire_and_says_of_a_blocked_one_only_its_state() -> None:
    world = World().load(program("web", depends_on=("api",)), program("api", depends_on=("db",)), DB).settle()
    world.stop("db")
    world.settle()
    view = process_view(world.table, world.entry("web"), world.now, SIGNALS)
    assert (view["phase"], view["wanted"]) == ("blocked", False)
    assert view["waiting"] == [{"name": "api", "condition": "ready", "because": "BACKOFF", "blocked": True}]

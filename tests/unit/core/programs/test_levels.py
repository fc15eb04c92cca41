"""What many wait for is counted: with work that grows as the instances do, and with texts that stay short."""

from __future__ import annotations

from functools import partial

import pytest

from taskmaster_common.states import BACKOFF, RUNNING
from taskmasterd.core.words.gates import MOST_WAITED_FOR
from taskmasterd.core.words.view import process_view, slot_detail
from tests.support.model import World, program
from tests.support.work import calls

SIGNALS = {15: "TERM", 9: "KILL"}


def come_up(instances: int, edge: str) -> None:
    """Start that many instances of a program, each of which waits for as many of another one."""
    dependents = program("web", numprocs=instances, depends_on=(edge,))
    world = World().load(program("db", numprocs=instances), dependents).cooperate()
    assert set(world.states().values()) == {RUNNING}


@pytest.mark.parametrize("edge", ["db", "db optional", "db restart"])
def test_all_of_one_that_wait_for_all_of_another_come_up_with_work_in_proportion_to_their_number(edge: str) -> None:
    work = {instances: calls(partial(come_up, instances, edge)) for instances in (20, 80)}
    assert work[80] < 5 * work[20]


def test_an_instance_that_a_reload_removes_blocks_nobody_even_if_it_was_down() -> None:
    web = program("web", depends_on=("db",))
    world = World().load(web, program("db", numprocs=2)).settle()
    world.stop("db:1")
    world.cooperate()
    assert world.states() == {"web:0": BACKOFF, "db:0": RUNNING, "db:1": "STOPPED"}
    world.reload(web, program("db"))
    assert world.cooperate().states() == {"web:0": RUNNING, "db:0": RUNNING}


@pytest.mark.parametrize(
    ("instances", "more"),
    [(1, ""), (3, ", and 2 more"), (MOST_WAITED_FOR + 1, ", and 20 more"), (100, ", and more than 20 more")],
)
def test_who_waits_for_many_names_one_and_says_of_the_others_how_many(instances: int, more: str) -> None:
    world = World().load(program("web", depends_on=("db",)), program("db", numprocs=instances)).settle()
    name = "db" if instances == 1 else "db:0"
    said = slot_detail(world.table, world.entry("web"), world.now, SIGNALS)
    assert said == f"waiting for {name}: ready (STARTING){more}"


def test_the_wire_has_the_first_of_many_that_somebody_waits_for_and_the_number_of_the_others() -> None:
    world = World().load(program("web", depends_on=("db",)), program("db", numprocs=50)).settle()
    view = process_view(world.table, world.entry("web"), world.now, SIGNALS)
    assert [each["name"] for each in view["waiting"]] == [f"db:{index}" for index in range(MOST_WAITED_FOR)]
    assert view["waiting_more"] == 30
    view = process_view(world.table, world.entry("db:0"), world.now, SIGNALS)
    assert (view["waiting"], view["waiting_more"]) == ([], 0)


def test_what_blocks_is_named_even_behind_many_that_are_on_their_way() -> None:
    world = World().load(program("web", depends_on=("db",)), program("db", numprocs=50)).settle()
    world.stop("db:49")
    world.settle()
    assert slot_detail(world.table, world.entry("web"), world.now, SIGNALS).startswith("blocked: needs db:49")

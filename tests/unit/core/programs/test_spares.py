"""Whether a program can spare an instance that is to be replaced as planned."""

from __future__ import annotations

from taskmasterd.core.process.events import Judged, Renew
from taskmasterd.core.process.state import HEALTHY, RECYCLE
from taskmasterd.core.programs.spares import AGAIN_S, held_back, pace_of
from tests.support.model import World, program

UPDATE = {"max_unavailable": 1, "pause": 2.0, "monitor": 5.0, "on_failure": "stop"}


def three(**fields: object) -> World:
    """Return three instances that run."""
    return World().load(program("web", numprocs=3, starttime=0, **fields)).cooperate()


def reason(world: World, name: str, at_once: int = 1) -> tuple[str, float | None]:
    """Return why an instance is not replaced now, and when to look again."""
    entry = world.entry(name)
    return held_back(world.table, entry, pace_of(entry, at_once), world.now)


def recycle(world: World, name: str) -> None:
    """Replace an instance."""
    entry = world.entry(name)
    world.tell(entry, Renew(entry.process.pid or 0, RECYCLE, "age 1s"))


def test_the_second_waits_until_the_first_is_up_again() -> None:
    world = three()
    assert reason(world, "web:0") == ("", None)
    recycle(world, "web:0")
    assert reason(world, "web:1") == ("web:0 is not up", None)
    assert reason(world, "web:1", at_once=0) == ("", None), "where all may be replaced at once"
    assert reason(world, "web:1", at_once=2) == ("", None)
    world.cooperate()
    assert reason(world, "web:1") == ("", None)


def test_up_means_healthy_where_somebody_asks() -> None:
    world = three(health={"tcp": "80"})
    assert reason(world, "web:1") == ("web:0 is not up", None)
    for index in (0, 2):
        entry = world.entry(f"web:{index}")
        world.tell(entry, Judged(entry.process.pid or 0, HEALTHY, "x"))
    assert reason(world, "web:1") == ("", None)


def test_who_comes_up_no_more_holds_back_the_others_and_who_was_stopped_does_not() -> None:
    world = three(startretries=0)
    recycle(world, "web:0")
    world.end(world.entry("web:0"), 0)
    world.fail_set_up(world.entry("web:0"), permanent=True)
    assert world.states()["web:0"] == "FATAL"
    assert reason(world, "web:1") == ("web:0 is not up", None)
    world.stop("web:0")
    assert reason(world, "web:1") == ("", None)


def test_who_is_asked_whether_it_may_be_replaced_counts_as_missing() -> None:
    world = three()
    world.entry("web:0").ask("pre_restart")
    assert reason(world, "web:1") == ("web:0 is not up", None)


def test_update_says_how_many_and_how_long_the_next_one_waits() -> None:
    world = three(update=UPDATE)
    assert reason(world, "web:0") == ("web:1 is not up long enough", world.now + 7)
    world.now += 7
    assert reason(world, "web:0") == ("", None)
    assert reason(three(update={**UPDATE, "max_unavailable": 3}), "web:0") == ("", None)


def test_nobody_is_replaced_while_the_program_is_updated_or_what_it_needs_is_down() -> None:
    web = program("web", depends_on=("db", "cache optional"), starttime=0)
    world = World().load(web, program("db", starttime=0), program("cache", starttime=0)).cooperate()
    world.table.rolling.add("web")
    assert reason(world, "web") == ("web is being updated", world.now + AGAIN_S)
    world.table.rolling.discard("web")
    world.stop("cache")
    assert reason(world, "web") == ("", None)
    world.stop("db")
    world.cooperate()
    assert reason(world, "web") == ("db is down", None)

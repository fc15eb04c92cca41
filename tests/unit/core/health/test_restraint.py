"""When an unhealthy instance may be restarted: never two of one program at a time, never where it cannot help."""

from __future__ import annotations

from taskmasterd.core.process.events import Judged, Unfit
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.programs.restraint import held_back
from tests.support.model import World, program

HEALTH = {"tcp": "80", "start_period": 30.0}


def judge(world: World, name: str, verdict: str) -> None:
    """Let a process have a verdict."""
    entry = world.entry(name)
    world.tell(entry, Judged(entry.process.pid or 0, verdict, "x"))


def restart(world: World, name: str) -> None:
    """Take a process down for its health."""
    entry = world.entry(name)
    world.tell(entry, Unfit(entry.process.pid or 0))


def reason(world: World, name: str) -> str:
    """Return why a process is not restarted now."""
    return held_back(world.table, world.entry(name), world.now)


def three() -> World:
    """Return three instances that run, all of them unhealthy."""
    world = World().load(program("web", numprocs=3, health=HEALTH, starttime=0)).cooperate()
    for index in range(3):
        judge(world, f"web:{index}", UNHEALTHY)
    return world


def test_the_second_waits_until_the_first_is_healthy_again() -> None:
    world = three()
    assert reason(world, "web:0") == ""
    restart(world, "web:0")
    assert reason(world, "web:1") == "web:0 is not healthy again"
    world.cooperate()
    assert reason(world, "web:1") == "web:0 is not healthy again"
    judge(world, "web:0", HEALTHY)
    assert (reason(world, "web:1"), reason(world, "web:2")) == ("", "")


def test_it_waits_for_health_no_longer_than_start_period() -> None:
    world = three()
    restart(world, "web:0")
    world.cooperate()
    world.now += 29
    assert reason(world, "web:1")
    world.now += 1
    assert reason(world, "web:1") == ""


def test_who_is_given_up_or_stopped_holds_nobody_back() -> None:
    world = three()
    restart(world, "web:0")
    world.stop("web:0")
    assert reason(world, "web:1") == ""


def test_who_crashes_for_another_reason_holds_nobody_back() -> None:
    world = three()
    world.end(world.entry("web:0"), 256)
    assert reason(world, "web:1") == ""


def test_no_restart_helps_while_what_is_needed_is_down_or_unhealthy() -> None:
    web = program("web", health=HEALTH, depends_on=("db", "cache optional"), starttime=0)
    world = World().load(web, program("db", health=HEALTH, starttime=0), program("cache", starttime=0)).cooperate()
    judge(world, "web", UNHEALTHY)
    assert reason(world, "web") == ""
    judge(world, "db", UNHEALTHY)
    assert reason(world, "web") == "db is unhealthy"
    judge(world, "db", HEALTHY)
    assert reason(world, "web") == ""
    world.stop("db", "cache")
    world.cooperate()
    assert reason(world, "web") == "db is down"
    world.start("db")
    assert world.cooperate().states()["cache:0"] == "STOPPED"
    assert reason(world, "web") == ""

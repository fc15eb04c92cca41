"""What waits, is blocked or goes down in order says so, in `status` and in the event log."""

from __future__ import annotations

from taskmasterd.core.process.events import Bounce, Event, Exited
from taskmasterd.core.process.state import Process
from taskmasterd.core.words.gates import gate_lines
from taskmasterd.core.words.view import slot_detail
from taskmasterd.telling.eventlog import lines
from tests.support.model import World, code, program

NAMES = {15: "TERM", 9: "KILL"}
DB = program("db")
WEB = program("web", depends_on=("db",))
FOLLOWER = program("web", depends_on=("db restart",))


def said(world: World, name: str) -> str:
    """Return what `status` says of a process."""
    return slot_detail(world.table, world.entry(name), world.now, NAMES)


def logged(world: World, name: str, before: Process, event: Event) -> list[str]:
    """Return the lines of the event log about a change."""
    entry = world.entry(name)
    said = [*lines(entry, before, event, world.now, NAMES)]
    said += gate_lines(world.table, entry, before, world.now, NAMES)
    return [text for _level, text in said]


def test_what_waits_for_several_names_the_first_and_counts_the_others() -> None:
    world = World().load(program("web", depends_on=("db", "cache")), DB, program("cache")).settle()
    assert said(world, "web") == "waiting for db: ready (STARTING), and 1 more"


def test_what_is_blocked_by_something_that_is_about_to_go_down_says_after_what_that_goes() -> None:
    world = World().load(WEB, program("front", depends_on=("db",)), DB).cooperate()
    world.stop("front", "db")
    world.settle().end(world.entry("web"), code(1))
    world.settle()
    assert said(world, "web") == "blocked: needs db, which stops after front"


def test_who_follows_says_because_of_what_it_goes_down() -> None:
    world = World().load(FOLLOWER, DB).cooperate()
    before = world.entry("web").process
    world.end(world.entry("db"), code(1))
    world.settle()
    bounce = Bounce(world.entry("web").process.by)
    assert logged(world, "web", before, bounce) == ["stopping: TERM to its group, because db went down"]
    assert said(world, "web") == "stopping because db went down, SIGKILL in 10s"


def test_the_event_log_says_restarting_or_what_it_waits_for_but_not_both() -> None:
    world = World().load(WEB, DB).cooperate()
    web = world.entry("web")
    before = web.process
    world.end(web, code(1))
    assert logged(world, "web", before, Exited(code(1)))[1:] == ["restarting"]
    world.cooperate()
    before = web.process
    world.end(world.entry("db"), code(1))
    world.end(web, code(1))
    assert logged(world, "web", before, Exited(code(1)))[1:] == ["waiting for db: ready (STARTING)"]

"""Slots as plain data and back: nothing is lost on the way through JSON, and nothing impossible comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import BACKOFF, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.ends import End
from taskmasterd.core.process.events import Failure, Start
from taskmasterd.core.process.state import AWAITED, BLOCKED, ENDS, HELD, STOP, STOP_CMD, UNHEALTHY, Process
from taskmasterd.core.programs.table import Table
from taskmasterd.core.words.snapshot import entry_from_data, entry_to_data, process_from_data, process_to_data
from tests.support.model import LEFT, World, code, program

FULL = Process(
    state=STOPPING,
    since=1.5,
    pid=4711,
    executed=True,
    spawned_at=0.1,
    deadline=11.5,
    then=BACKOFF,
    then_at=12.25,
    tries=2,
    shortages=1,
    recent=(0.5, 1.25),
    starts=9,
    killing=1,
    end=End(256, Failure("user", "no such user", permanent=True), 0.3, 1.4, expected=False, started=True, left=LEFT),
    by="uid 0",
    reason="no more processes",
    refused=("sudo (9) of root",),
    free=True,
    judged_at=0.75,
    ready_at=0.6,
    sick=2,
    hook=STOP_CMD,
    hook_stage=ENDS,
    hook_at=1.75,
    cause="restart",
)


def test_what_an_instance_says_of_itself_is_saved_while_it_lives_and_only_what_it_says_by_notify() -> None:
    asked, says = program("asked", ready={"tcp": "80"}), program("says", ready={"notify": True})
    world = World().load(asked, says).settle()
    for entry in world.table:
        world.spawn(entry)
        entry.say("serving 3 clients")
    assert [entry.said for entry in through_json(world.table, asked, says)] == ["", "serving 3 clients"]
    for entry in world.table:
        world.end(entry, code(1))
    assert [entry.said for entry in through_json(world.table, asked, says)] == ["", ""]
    row = {**entry_to_data(world.entry("says")), "said": 3}
    assert entry_from_data(row, {"says": says}).said == "", "of no version"


def through_json(table: Table, *programs: ProgramConfig) -> Table:
    """Return the table that comes out of what goes in; `programs` are the configuration of both."""
    found = Table()
    for entry in table:
        row = json.loads(json.dumps(entry_to_data(entry)))
        found.add(entry_from_data(row, {each.name: each for each in programs}))
    return found


def content(table: Table) -> list[tuple[object, ...]]:
    """Return all that a table holds."""
    return [(e.canonical, e.process, e.wanted, e.current, e.removed, e.policy) for e in table]


def test_every_field_of_a_process_survives() -> None:
    assert {name for name in Process.fields_ if getattr(FULL, name) == getattr(Process, name)} == {
        "phase",
        "leaving",
        "readiness",
        "health",
    }
    leaving = Process(state=RUNNING, pid=7, executed=True, leaving=STOP)
    sick = Process(state=RUNNING, pid=7, executed=True, health=UNHEALTHY)
    awaited = Process(state=STARTING, pid=7, executed=True, readiness=AWAITED)
    for process in (
        FULL,
        leaving,
        awaited,
        sick,
        Process(state=STARTING, phase=HELD),
        Process(state=BACKOFF, phase=BLOCKED),
    ):
        assert process_from_data(json.loads(json.dumps(process_to_data(process)))) == process


@pytest.mark.parametrize(
    "process",
    [
        Process(),
        Process(state=STARTING, since=3.0),
        Process(state=RUNNING, since=3, pid=7, executed=True),
        Process(state=FATAL, tries=4, end=End(0, None, 0.0, 1.0, expected=False, started=False)),
        FULL.replace(then=STOPPED, end=None),
        FULL.replace(then=STOPPED, pid=None, end=End(None, None, 1.0, 1.0, expected=False, started=True)),
    ],
)
def test_a_process_survives_and_takes_no_room_for_defaults(process: Process) -> None:
    plain = process_to_data(process)
    assert process_from_data(json.loads(json.dumps(plain))) == process
    assert set(plain) == {name for name in Process.fields_ if getattr(process, name) != getattr(Process, name)}


def test_a_restored_process_goes_on_where_it_was() -> None:
    world = World().load(program()).cooperate()
    world.end(world.entry("web"), code(1), LEFT)
    restored = World()
    for entry in through_json(world.table, program()):
        restored.supervisor.restore(entry)
    restored.now = world.now
    restored.instances[restored.entry("web")] = world.instances[world.entry("web")]
    restored.empty(restored.entry("web"))
    assert restored.cooperate().states() == {"web:0": "RUNNING"}


def test_a_start_that_was_asked_for_is_asked_for_again_and_a_deadline_is_armed_again() -> None:
    world = World().load(program("queued"), program("running", starttime=5))
    world.spawn(world.entry("running"))
    world.execute(world.entry("running"))
    restored = World()
    for entry in through_json(world.table, program("queued"), program("running", starttime=5)):
        restored.supervisor.restore(entry)
        restored.supervisor.resume(entry)
    assert [entry.program for entry, instances in restored.instances.items() if instances.queued] == ["queued"]
    assert restored.armed == {restored.entry("running"): world.entry("running").process.deadline}


def test_a_whole_table_survives_in_its_order() -> None:
    odd = program(
        "odd", env={"A": None, "B": "\udcff\0"}, exitcodes=(0, 2), cmd=("sh", "-c", "x\0"), umask=0, autostart=False
    )
    world = World().load(program("web", numprocs=3), odd, program("zero"))
    world.cooperate()
    world.stop("web:1")
    now = (program("web", numprocs=2, umask=0o77), odd, program("added", numprocs=2))
    world.reload(*now)
    world.spawn(world.entry("added:1"))
    assert {entry.removed for entry in world.table} == {True, False}
    assert None in [entry.current for entry in world.table]
    assert content(through_json(world.table, *now)) == content(world.table)


def test_a_configuration_is_written_only_where_it_is_not_the_file_s() -> None:
    world = World().load(program("web", numprocs=2), program("gone")).cooperate()
    assert [{"wanted", "current"} & set(entry_to_data(entry)) for entry in world.table] == [set()] * 3
    world.reload(program("web", numprocs=1))
    rows = {(row["program"], row["index"]): row for row in map(entry_to_data, world.table)}
    assert "wanted" not in rows["web", 0]
    assert rows["web", 0]["current"] == program("web", numprocs=2).to_data(), "it was started with another file"
    assert rows["web", 1]["wanted"] == program("web", numprocs=2).to_data()
    assert rows["gone", 0]["wanted"] == program("gone").to_data()


def test_the_slots_of_a_program_share_one_record() -> None:
    web = program("web", numprocs=50)
    table = through_json(World().load(web).cooperate().table, web)
    assert {id(entry.wanted) for entry in table} | {id(entry.current) for entry in table} == {id(web)}


def test_slots_that_differ_in_what_they_were_started_with_keep_it() -> None:
    world = World().load(program("web", numprocs=4)).cooperate()
    world.stop("web:1")
    world.stop("web:2")
    world.cooperate()
    for index, name in ((0, "zero"), (1, None), (2, "two"), (3, None)):
        entry = world.table.slots("web")[index]
        entry.current = program("web", description=name) if name else None
    assert content(through_json(world.table, program("web", numprocs=4))) == content(world.table)


@pytest.mark.parametrize(
    "plain",
    [
        {"state": "SLEEPING"},
        {"then": 3},
        {"pids": 4},
        {"end": 5},
        {"end": {"status": 1}},
        {"end": {**process_to_data(FULL)["end"], "failure": {"steps": ""}}},
    ],
)
def test_what_is_no_process_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        process_from_data(plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "STOPPED", "pid": 7},
        {"state": "RUNNING"},
        {"state": "RUNNING", "pid": 7},
        {"state": "RUNNING", "pid": 1, "executed": True},
        {"state": "RUNNING", "pid": "7", "executed": True},
        {"state": "STARTING", "executed": True},
        {"state": "BACKOFF"},
        {"state": "STOPPED", "deadline": 3.0},
        {"state": "STOPPING", "pid": 7},
        {"state": "STOPPING", "then": "STOPPED"},
        {"since": "now"},
        {"by": None},
        {"tries": 0.5},
    ],
)
def test_a_process_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=" in Process"):
        process_from_data(changes)


@pytest.mark.parametrize(
    "row",
    [
        {"index": 0, "process": {}},
        {"program": "web", "process": {}},
        {"program": "web", "index": 0},
        {"program": "other", "index": 0, "process": {}},
        {"program": "web", "index": -1, "process": {}},
        {"program": "web", "index": "0", "process": {}},
        {"program": "web", "index": 0, "process": {}, "wanted": program("other").to_data()},
        {"program": "web", "index": 0, "process": {}, "current": 5},
    ],
)
def test_what_is_no_slot_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        entry_from_data(row, {"web": program()})


def test_a_row_is_not_the_slot() -> None:
    world = World().load(program(autostart=False))
    row = entry_to_data(world.entry("web"))
    world.tell(world.entry("web"), Start())
    assert entry_from_data(row, {"web": program()}).process.state == STOPPED


@pytest.mark.parametrize(
    ("fields", "restarts"),
    [
        ({"state": BACKOFF, "deadline": 1.0, "restarts": 3}, 2),
        ({"state": BACKOFF, "deadline": 1.0, "restarts": 3, "shortages": 1}, 3),
        ({"state": STARTING, "restarts": 1}, 0),
        ({"state": STARTING, "pid": 7, "restarts": 1}, 1),
        ({"state": RUNNING, "pid": 7, "executed": True, "restarts": 2}, 2),
    ],
)
def test_restarts_of_an_earlier_version_are_those_that_had_happened(fields: dict[str, object], restarts: int) -> None:
    assert process_from_data(fields).restarts == restarts


@pytest.mark.parametrize("rule", [True, False, "leader"])
def test_stopasgroup_survives_as_what_it_is(rule: bool | str) -> None:
    old, new = program("web", stopasgroup=rule), program("web", cmd=("sleep", "10"))
    world = World().load(old).cooperate()
    world.entry("web").want(new)
    (found,) = through_json(world.table, new)
    assert found.current is not None
    assert (found.current.stopasgroup, type(found.current.stopasgroup)) == (rule, type(rule))

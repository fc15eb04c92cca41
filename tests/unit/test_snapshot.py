"""The process table as plain data and back: nothing is lost on the way through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskmaster_common.states import BACKOFF, FATAL, STARTING, STOPPED, STOPPING
from taskmasterd.core.ends import End
from taskmasterd.core.events import Failure, Start
from taskmasterd.core.process import Process
from taskmasterd.core.snapshot import fill_table, process_from_data, process_to_data, table_to_data
from taskmasterd.core.table import Entry, Table
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
    restarts=9,
    killing=1,
    end=End(256, Failure("user", "no such user", permanent=True), 0.3, 1.4, expected=False, started=True, left=LEFT),
    by="uid 0",
    reason="no more processes",
)


def through_json(table: Table) -> Table:
    """Return the table that comes out of what goes in."""
    found = Table()
    fill_table(found, json.loads(json.dumps(table_to_data(table))))
    return found


def content(table: Table) -> list[tuple[object, ...]]:
    """Return all that a table holds."""
    return [(e.canonical, e.process, e.wanted, e.current, e.removed, e.policy) for e in table]


def test_every_field_of_a_process_survives() -> None:
    assert {name for name in Process.fields_ if getattr(FULL, name) == getattr(Process, name)} == set()
    assert process_from_data(json.loads(json.dumps(process_to_data(FULL)))) == FULL


@pytest.mark.parametrize(
    "process",
    [
        Process(),
        Process(state=STARTING, since=3.0),
        Process(state=FATAL, tries=4, end=End(0, None, 0.0, 1.0, expected=False, started=False)),
        FULL.replace(then=STOPPED, end=None),
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
    fill_table(restored.table, json.loads(json.dumps(table_to_data(world.table))))
    restored.now = world.now
    restored.copies[restored.entry("web")] = world.copies[world.entry("web")]
    restored.empty(restored.entry("web"))
    assert restored.cooperate().states() == {"web:0": "RUNNING"}


def test_a_whole_table_survives_in_its_order() -> None:
    odd = program(
        "odd", env={"A": None, "B": "\udcff\0"}, exitcodes=(0, 2), cmd=("sh", "-c", "x\0"), umask=0, autostart=False
    )
    world = World().load(program("web", numprocs=3), odd, program("zero"))
    world.cooperate()
    world.stop("web:1")
    world.reload(program("web", numprocs=2, umask=0o77), odd, program("added", numprocs=2))
    world.spawn(world.entry("added:1"))
    assert {entry.removed for entry in world.table} == {True, False}
    assert None in [entry.current for entry in world.table]
    assert content(through_json(world.table)) == content(world.table)


def test_the_slots_of_a_program_share_one_record_before_and_after() -> None:
    world = World().load(program("web", numprocs=50)).cooperate()
    rows = table_to_data(world.table)
    assert [("wanted" in row, "current" in row) for row in rows] == [(True, True)] + [(False, False)] * 49
    table = through_json(world.table)
    assert len({id(entry.wanted) for entry in table} | {id(entry.current) for entry in table}) == 1


def test_slots_that_differ_in_what_they_were_started_with_keep_it() -> None:
    world = World().load(program("web", numprocs=4)).cooperate()
    world.stop("web:1")
    world.stop("web:2")
    world.cooperate()
    for index, name in ((0, "zero"), (1, None), (2, "two"), (3, None)):
        entry = world.table.slots("web")[index]
        entry.current = program("web", description=name) if name else None
    assert content(through_json(world.table)) == content(world.table)


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


def test_rows_without_a_configuration_are_refused() -> None:
    with pytest.raises(ValueError, match="lacks its configuration"):
        fill_table(Table(), [{"index": 0, "process": {}, "removed": False}])


@pytest.mark.parametrize("missing", ["index", "process", "removed"])
def test_rows_that_lack_something_are_refused(missing: str) -> None:
    table = Table()
    table.add(Entry(program(), 0, Process()))
    (row,) = table_to_data(table)
    del row[missing]
    with pytest.raises(ValueError, match=missing):
        fill_table(Table(), [row])


def test_a_snapshot_is_not_the_table() -> None:
    world = World().load(program(autostart=False))
    rows = table_to_data(world.table)
    world.tell(world.entry("web"), Start())
    table = Table()
    fill_table(table, rows)
    assert [entry.process.state for entry in table] == [STOPPED]

"""The counters of a slot: what moves them, and that they survive as data."""

from __future__ import annotations

import json

import pytest

from taskmaster_common.config import ONESHOT
from taskmasterd.core.process.counts import NOTHING, counts_from_data, counts_view
from taskmasterd.core.words.snapshot import entry_from_data, entry_to_data
from tests.support.model import World, code, program

TERM = 15


def counted(world: World, name: str = "web") -> dict[str, int]:
    """Return the counters of a slot that are not zero, by name."""
    view = counts_view(world.entry(name).all_counts, world.now)
    flat = {**view, **view["exits"]}
    return {key: value for key, value in flat.items() if value and key != "exits"}


def test_a_start_and_an_expected_end_are_counted() -> None:
    world = World().load(program(exitcodes=(0,), autorestart="unexpected")).cooperate()
    world.end(world.entry("web"), code(0))
    assert counted(world) == {"starts": 1, "expected": 1}


def test_what_starts_again_by_itself_is_a_restart_and_an_operator_s_start_is_none() -> None:
    world = World().load(program(autorestart="always")).cooperate()
    world.end(world.entry("web"), code(3))
    world.cooperate()
    assert counted(world) == {"starts": 2, "restarts": 1, "unexpected": 1}
    world.restart("web")
    world.cooperate()
    assert counted(world) == {"starts": 3, "restarts": 1, "unexpected": 1, "expected": 1}


def test_a_signal_is_a_result_of_its_own_unless_a_stop_has_sent_it() -> None:
    world = World().load(program(autorestart="always")).cooperate()
    world.end(world.entry("web"), TERM)
    world.cooperate()
    world.stop("web")
    world.end(world.entry("web"), TERM)
    assert counted(world) == {"starts": 2, "restarts": 1, "signal": 1, "expected": 1}


def test_a_start_that_does_not_stay_up_has_failed_and_so_has_one_that_could_not_be_executed() -> None:
    world = World().load(program(startretries=5, starttime=5.0))
    entry = world.entry("web")
    world.spawn(entry)
    world.execute(entry)
    world.end(entry, code(0))
    world.deadline(entry)
    world.fail_set_up(entry)
    assert counted(world) == {"starts": 2, "restarts": 1, "failed": 2}


def test_a_job_that_ended_well_leaves_when_and_how_long_and_a_failed_run_changes_nothing_of_it() -> None:
    world = World().load(program("job", type=ONESHOT, starttime=0.0, startretries=0))
    entry = world.entry("job")
    world.spawn(entry)
    world.execute(entry)
    world.now += 2
    world.end(entry, code(0))
    world.now += 10
    success = {"ago_s": 10, "took_s": 2}
    assert counts_view(entry.counts, world.now)["success"] == success
    world.start("job")
    world.spawn(entry)
    world.execute(entry)
    world.end(entry, code(1))
    assert counts_view(entry.counts, world.now)["success"] == success
    assert counted(world, "job")["unexpected"] == 1


def test_a_job_that_was_stopped_has_not_succeeded() -> None:
    world = World().load(program("job", type=ONESHOT, starttime=0.0))
    entry = world.entry("job")
    world.spawn(entry)
    world.execute(entry)
    world.stop("job")
    world.end(entry, code(0))
    assert "success" not in counts_view(entry.counts, world.now)


def test_lost_output_is_counted_once_and_settling_says_whether_there_was_any() -> None:
    world = World().load(program())
    entry = world.entry("web")
    assert not entry.settle_losses()
    entry.lost(10)
    entry.lost(5)
    assert counted(world)["dropped_bytes"] == 15
    assert entry.settle_losses()
    assert not entry.settle_losses()
    assert counted(world)["dropped_bytes"] == 15


def test_counters_survive_as_data_with_what_was_lost_lately_and_cost_nothing_before_the_first_start() -> None:
    web = program()
    world = World().load(web)
    world.entry("web").count(NOTHING)
    assert "counts" not in entry_to_data(world.entry("web"))
    world.cooperate()
    world.entry("web").lost(7)
    row = json.loads(json.dumps(entry_to_data(world.entry("web"))))
    restored = entry_from_data(row, {"web": web})
    assert counts_view(restored.counts, 0.0) == counts_view(world.entry("web").all_counts, 0.0)
    assert restored.counts[-1] == 7


@pytest.mark.parametrize(
    "data", [[1], [0, 0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0, 0.5], [0] * 8, [*[0] * 8, "x"], [True] * 7]
)
def test_what_cannot_be_counters_is_refused(data: list[object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        counts_from_data({"counts": data})

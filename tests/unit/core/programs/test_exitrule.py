"""When the daemon ends with its programs, and with which code: each way to end, under each value of the key."""

from __future__ import annotations

from itertools import product

import pytest

from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, FATAL, RUNNING, STARTING, STATES, STOPPED, STOPPING
from taskmasterd.core.process.ends import End
from taskmasterd.core.process.events import Failure
from taskmasterd.core.process.state import BLOCKED, Process
from taskmasterd.core.programs.exitrule import all_done, code_of, essential_code, keeps_daemon, last_keeper
from tests.support.model import World, code, program

SEGV = 11


def ended(state: str, status: int | None = 0, *, expected: bool = False, step: str = "", since: float = 0.0) -> Process:
    """Return a process that has ended for good."""
    failure = Failure(step, "it failed") if step else None
    end = End(status, failure, 1.0, since, expected, started=state == EXITED)
    return Process(state=state, end=end, since=since)  # type: ignore[arg-type]


# -- the code


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (ended(EXITED, code(0), expected=True), 0),
        (ended(EXITED, code(3), expected=True), 3),
        (ended(EXITED, code(3)), 3),
        (ended(EXITED, code(255)), 255),
        (ended(EXITED, SEGV), 139),
        (ended(EXITED, SEGV | 0x80), 139),
        (ended(EXITED, 64), 192),
        (ended(FATAL, code(4)), 4),
        (ended(FATAL, SEGV), 139),
        (ended(FATAL, step="search"), 127),
        (ended(FATAL, step="exec"), 126),
        (ended(FATAL, step="user"), 1),
        (ended(FATAL, step="workingdir"), 1),
        (ended(FATAL, step="log file"), 1),
        (ended(FATAL, code(0)), 1),
        (ended(FATAL, None), 1),
        (ended(EXITED, None), 1),
        (Process(state=FATAL), 1),
    ],
)
def test_the_code_is_the_programs_a_shells_or_1(process: Process, expected: int) -> None:
    assert code_of(process) == expected


def test_an_unexpected_0_is_no_success() -> None:
    assert code_of(ended(EXITED, code(0))) == 1


@pytest.mark.parametrize("status", [0, code(5), 15, None])
def test_the_code_of_what_the_daemon_itself_ended_and_then_gave_up_is_1(status: int | None) -> None:
    assert code_of(ended(FATAL, status, expected=True)) == 1


@pytest.mark.parametrize("state", [EXITED, FATAL])
@pytest.mark.parametrize("step", ["", "search", "exec", "user"])
@pytest.mark.parametrize("expected", [False, True])
def test_whatever_the_status_the_code_fits_an_exit_status_and_is_0_for_a_good_end_only(
    state: str, step: str, expected: bool
) -> None:
    by_exit, by_signal = [code(number) for number in range(256)], range(1, 127)
    for status in (None, *by_exit, *by_signal, *(number | 0x80 for number in by_signal)):
        process = ended(state, status, expected=expected, step=step)
        found = code_of(process)
        assert 0 <= found <= 255
        assert found or (state == EXITED and expected)


# -- essential


GOOD, BAD = ended(EXITED, code(0), expected=True), ended(EXITED, code(3))


@pytest.mark.parametrize(
    ("essential", "after", "expected"),
    [
        (True, GOOD, 0),
        (True, BAD, 3),
        (True, ended(FATAL, code(3)), 3),
        ("on-failure", GOOD, None),
        ("on-failure", BAD, 3),
        ("on-failure", ended(EXITED, SEGV), 139),
        ("on-failure", ended(EXITED, None), 1),
        ("on-failure", ended(FATAL, code(0)), 1),
        ("on-failure", ended(FATAL, code(0), expected=True), 1),
        (False, GOOD, None),
        (False, BAD, None),
        (False, ended(FATAL, code(3)), None),
    ],
)
def test_the_key_says_which_end_ends_the_daemon(essential: bool | str, after: Process, expected: int | None) -> None:
    assert essential_code(essential, Process(state=RUNNING, pid=7, executed=True), after) == expected


@pytest.mark.parametrize("essential", [True, "on-failure"])
def test_only_the_change_to_exited_or_fatal_is_an_end(essential: bool | str) -> None:
    for before, after in product(STATES, STATES):
        process = BAD.replace(state=after)
        found = essential_code(essential, Process(state=before), process)
        assert (found is not None) == (after in (EXITED, FATAL) and before != after), (before, after)


@pytest.mark.parametrize("essential", [True, "on-failure"])
def test_what_somebody_stops_or_restarts_has_not_ended(essential: bool | str) -> None:
    world = World().load(program(essential=essential)).cooperate()
    ends: list[int] = []

    def changed(entry: object, before: Process, _event: object, after: Process) -> None:
        found = essential_code(world.entry("web").wanted.essential, before, after)
        ends.extend([] if found is None else [found])

    world.supervisor._bus = type("Bus", (), {"changed": staticmethod(changed), "gone": staticmethod(lambda _: None)})()
    web = world.entry("web")
    world.restart("web")
    world.end(web, SEGV)
    world.cooperate()
    world.reload(program(essential=essential, cmd=("sleep", "10")))
    world.end(web, SEGV)
    world.cooperate()
    world.stop("web")
    world.end(web, SEGV, ("left",))
    world.empty(web)
    assert (web.process.state, ends) == (STOPPED, [])
    world.start("web")
    world.cooperate()
    world.reload()
    world.end(web, SEGV)
    assert ends == []


# -- exit_when


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("deadline", [None, 7.0])
@pytest.mark.parametrize("by", ["", "uid 0"])
def test_what_is_up_on_its_way_or_stopped_by_somebody_keeps_the_daemon(
    state: str, deadline: float | None, by: str
) -> None:
    kept = {STARTING: True, RUNNING: True, STOPPING: True, EXITED: False, FATAL: False}
    kept |= {BACKOFF: deadline is not None, STOPPED: by != ""}
    process = Process(state=state, deadline=deadline, by=by)  # type: ignore[arg-type]
    assert keeps_daemon(process) is kept[state]


def world_of(needed: str = "a", **processes: Process) -> World:
    """Return a world of programs with these processes; b depends on what is `needed`."""
    needs = {"b": (needed,)} if "b" in processes else {}
    world = World().load(*(program(name, autostart=False, depends_on=needs.get(name, ())) for name in processes))
    for name, process in processes.items():
        world.entry(name).process = process
    return world


def verdict(needed: str = "a", **processes: Process) -> tuple[int, str] | None:
    """Return the code, and the program that was the first to fail."""
    world = world_of(needed, **processes)
    assert last_keeper(world.table) is None
    done = all_done(world.table, world.now)
    return done and (done[0], done[1].program if done[1] else "")


def test_good_ends_give_0_and_the_first_bad_one_gives_its_code() -> None:
    assert verdict(a=GOOD, b=GOOD) == (0, "")
    assert verdict(a=GOOD, b=BAD) == (3, "b")
    late, early = ended(EXITED, code(3), since=9.0), ended(FATAL, code(4), since=8.0)
    assert verdict(a=late, b=early, c=GOOD) == (4, "b")
    assert verdict(a=early, b=late) == (4, "a")


def test_an_expected_end_with_another_code_than_0_is_no_failure() -> None:
    assert verdict(a=ended(EXITED, code(3), expected=True)) == (0, "")


def test_what_was_never_started_does_not_count_and_alone_is_no_end() -> None:
    assert verdict(a=GOOD, b=Process()) == (0, "")
    assert verdict(a=Process(), b=Process()) is None
    assert verdict() is None


def test_what_is_blocked_counts_as_done_with_the_code_of_what_has_failed() -> None:
    blocked = Process(state=BACKOFF, phase=BLOCKED)
    assert verdict(a=ended(FATAL, code(4), since=9.0), b=blocked) == (4, "a")
    assert verdict(a=GOOD, b=blocked) == (1, "b")
    assert verdict(a=Process(), b=blocked) == (1, "b")
    assert verdict(a=ended(EXITED, code(3), expected=True), b=blocked) == (3, "b")


def test_a_gate_that_has_just_opened_is_waited_for() -> None:
    assert verdict(a=GOOD, c=GOOD, b=Process(state=BACKOFF, phase=BLOCKED), needed="c done") is None


def test_the_last_process_that_keeps_the_daemon_is_found() -> None:
    running = Process(state=RUNNING, pid=7, executed=True)
    world = world_of(a=running, b=GOOD, c=running, d=BAD)
    assert last_keeper(world.table) is world.entry("c")
    stopped = world_of(a=Process(by="uid 0"), b=GOOD)
    assert last_keeper(stopped.table) is stopped.entry("a")


def test_each_state_in_which_nothing_is_alive_is_an_end_or_somebodys_will() -> None:
    assert {state for state in STATES if state in DOWN_STATES} == {STOPPED, EXITED, FATAL}

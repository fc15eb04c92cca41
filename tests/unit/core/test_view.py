"""What the daemon says about programs and processes: values as JSON has them."""

from __future__ import annotations

import json

import pytest

from taskmaster_common.config import KIND, DaemonConfig, ProgramConfig
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.ends import End
from taskmasterd.core.process.events import Failure
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.plan import diff
from taskmasterd.core.programs.selection import select
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.core.steps import run
from taskmasterd.core.words.plans import plan_view
from taskmasterd.core.words.settings import default_keys, settings_view
from taskmasterd.core.words.view import end_view, process_view, reason_text
from tests.support.host import program
from tests.support.model import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIGNALS = {15: "TERM"}


def test_settings_are_typed() -> None:
    text = "numprocs: 2\numask: 022\nstoptime: 2.5\nenv: {B: '1', A: null}\nexitcodes: [0, 2]\nlog_maxbytes: 1MB"
    view = settings_view(program(text), SIGNALS, values=False)
    assert tuple(view) == tuple(KIND)
    typed = {
        "numprocs": 2, "umask": "022", "stoptime": 2.5, "starttime": 1, "env": ["A", "B"], "exitcodes": [0, 2],
        "log_maxbytes": 1_000_000, "autostart": True, "shell": False, "user": None, "stopsignal": "TERM", "cmd": ["run"],
    }  # fmt: skip
    assert {key: view[key] for key in typed} == typed
    assert json.loads(json.dumps(view)) == view


def test_values_of_env_are_there_where_they_may_be_seen() -> None:
    view = settings_view(program("env: {B: 'x${TASKMASTER_INSTANCE}', A: null}"), SIGNALS, values=True)
    assert view["env"] == {"A": None, "B": "x${TASKMASTER_INSTANCE}"}


def test_the_keys_are_known_that_have_their_default_values() -> None:
    found = default_keys(program("numprocs: 2\nautostart: true\nworkingdir: /srv\nstoptime: 3\nenv: {A: b}"), "/srv")
    assert {"cmd", "numprocs", "stoptime", "env"} == set(KIND) - set(found)
    assert "workingdir" in default_keys(program("workingdir: /"), "/srv"), "where its user may not enter the usual one"
    assert "workingdir" not in default_keys(program("workingdir: /opt"), "/srv")


def test_the_text_of_a_shell_is_one_text() -> None:
    assert settings_view(program("shell: true"), SIGNALS, values=False)["cmd"] == "run"


def test_the_description_of_an_instance_has_its_number() -> None:
    table = Table()
    for index in range(2):
        table.add(Entry(program("description: worker ${TASKMASTER_INSTANCE}\nnumprocs: 2"), index, Process()))
    shown = [process_view(table, entry, 5.0, SIGNALS)["description"] for entry in select(table, ("all",), 5)]
    assert shown == ["worker 0", "worker 1"]


def ended(status: int | None, failure: Failure | None = None, *, expected: bool = False) -> End:
    return End(status, failure, 1.25, 0.0, expected, started=True)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (ended(3 << 8), {"code": 3}),
        (ended(15), {"signal": "TERM"}),
        (ended(11 | 0x80), {"signal": "11", "core": True}),
        (ended(None), {"unknown": True}),
        (ended(127 << 8, Failure("exec", "cannot execute x")), {"failure": "cannot execute x"}),
    ],
)
def test_an_end_is_told_by_its_one_cause(end: End, told: dict[str, object]) -> None:
    assert end_view(end, SIGNALS) == {"after_s": 1.25, "expected": False, "core": False, **told}


def test_who_never_ended_has_no_end() -> None:
    assert end_view(None, SIGNALS) is None


@pytest.mark.parametrize(
    ("state", "end", "wanted"),
    [
        (RUNNING, None, True),
        (STOPPED, None, True),
        (BACKOFF, ended(1 << 8), False),
        (FATAL, ended(1 << 8), False),
        (EXITED, None, True),
        (EXITED, ended(0, expected=True), True),
        (EXITED, ended(1 << 8), False),
    ],
)
def test_as_wanted_is_what_nobody_has_to_look_at(state: ProcessState, end: End | None, *, wanted: bool) -> None:
    assert Process(state=state, end=end).as_wanted is wanted


@pytest.mark.parametrize(
    ("outcome", "process", "text"),
    [
        ("overtaken", Process(by="stop"), "stopped by stop while starting"),
        ("overtaken", Process(), "stopped while starting"),
        ("removed", Process(), "it is being removed from the configuration"),
        ("stuck", Process(state=STOPPING, by="stop", pid=7, deadline=3.0), "stopping for stop, SIGKILL in 2.0s"),
        ("failed", Process(state=FATAL, end=ended(3 << 8), tries=4), "exit 3 after 1.2s (try 4 of 4)"),
        ("failed", Process(state=EXITED, end=ended(3 << 8)), "exit 3 after 1.2s"),
        ("failed", Process(), "not started"),
        ("failed", Process(state=RUNNING), "it is RUNNING"),
    ],
)
def test_an_operation_that_failed_says_why(outcome: str, process: Process, text: str) -> None:
    assert reason_text(Table(), Entry(program(""), 0, process), outcome, 1.0, SIGNALS) == text


@pytest.mark.parametrize(
    ("process", "text"),
    [
        (Process(state=RUNNING), "logger: exit 1, again in 2s"),
        (Process(state=STARTING, pid=7), "logger: exit 1, again in 2s"),
        (Process(state=STOPPING, by="stop", pid=7, deadline=3.0), "stopping for stop, SIGKILL in 2.0s; logger: exit 1, again in 2s"),
        (Process(state=BACKOFF, end=ended(3 << 8), tries=1, deadline=2.0), "retry 1 of 3 in 1.0s; exit 3 after 1.2s; logger: exit 1, again in 2s"),
        (Process(state=STOPPED, by="stop"), "stopped by stop; logger: exit 1, again in 2s"),
        (Process(state=FATAL, end=ended(3 << 8), tries=4), "exit 3 after 1.2s (try 4 of 4); logger: exit 1, again in 2s"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_logger_is_said_in_each_state(process: Process, text: str) -> None:
    table, entry = Table(), Entry(program(""), 0, process)
    table.add(entry)
    entry.lack("exit 1, again in 2s", logger=True)
    assert process_view(table, entry, 1.0, SIGNALS)["detail"] == text
    entry.lack("", logger=True)
    assert "logger" not in process_view(table, entry, 1.0, SIGNALS)["detail"]


@pytest.mark.parametrize(("state", "said"), [(RUNNING, True), (EXITED, True), (FATAL, True), (STOPPED, False)])
def test_that_a_change_would_start_nothing_is_said_where_it_would(state: ProcessState, *, said: bool) -> None:
    table, entry = Table(), Entry(program(""), 0, Process(state=state, end=ended(0)))
    table.add(entry)
    entry.lack("paused: cache changes", watch=True)
    assert process_view(table, entry, 1.0, SIGNALS)["detail"].endswith("watch paused: cache changes") == said


def test_a_plan_names_each_instance_as_its_user_does() -> None:
    table = Table()
    table.add(Entry(ProgramConfig("one", ("x",)), 0, Process(state=RUNNING)))
    for index in range(2):
        table.add(Entry(ProgramConfig("two", ("x",), numprocs=2), index, Process(state=RUNNING)))
    wanted = config(ProgramConfig("two", ("y",), numprocs=2, ready={"fd": 3}), ProgramConfig("new", ("x",)))
    view = run(plan_view(table, diff(table, DaemonConfig(), wanted), DaemonConfig(), SIGNALS))
    assert [(each["name"], each["change"], each["restart"], each["stop"]) for each in view["programs"]] == [
        ("two", "restarted", ["two:0", "two:1"], []),
        ("new", "added", [], []),
        ("one", "removed", [], ["one"]),
    ]
    assert (sorted(view["programs"][0]["keys"]), view["programs"][0]["next"]) == (["cmd", "ready"], ["ready"])
    assert view["changes"]
    assert view["daemon_keys"] == view["live_keys"] == []
    values = view["programs"][0]["values"]
    assert values["cmd"] == {"old": ["x"], "new": ["y"]}
    assert values["ready"] == {"old": None, "new": {"fd": 3}}


def plan_values(before: str, after: str, *, values: bool = False) -> dict[str, Any]:
    table = Table()
    table.add(Entry(program(before), 0, Process(state=RUNNING)))
    plan = diff(table, DaemonConfig(), config(program(after)))
    view = run(plan_view(table, plan, DaemonConfig(), SIGNALS, values=values))
    found: dict[str, Any] = view["programs"][0]["values"]
    assert json.loads(json.dumps(found)) == found
    return found


def test_a_plan_names_the_variables_that_differ_and_keeps_their_values() -> None:
    before, after = "env: {SAME: s, TOKEN: secret, GONE: g}", "env: {SAME: s, TOKEN: other, NEW: n}"
    assert plan_values(before, after) == {"env": {"old": ["GONE", "TOKEN"], "new": ["NEW", "TOKEN"]}}
    assert plan_values(before, after, values=True)["env"]["new"] == {"TOKEN": "other", "NEW": "n"}


def test_the_values_of_a_plan_end_where_they_would_be_too_many() -> None:
    table, programs = Table(), []
    for number in range(20):
        table.add(Entry(ProgramConfig(f"p{number}", ("x" * 100_000,)), 0, Process(state=RUNNING)))
        programs.append(ProgramConfig(f"p{number}", ("y" * 100_000,)))
    plan = diff(table, DaemonConfig(), config(*programs))
    view = run(plan_view(table, plan, DaemonConfig(), SIGNALS))
    assert [bool(each["values"]) for each in view["programs"]] == [True] * 3 + [False] * 17


def test_a_plan_has_the_plain_values_of_the_daemon_s_own_keys() -> None:
    running = DaemonConfig(umask=0o077, socket="/run/a", shutdown_timeout=10.0, history={"size": 1, "age": 1})
    table = Table()
    view = run(plan_view(table, diff(table, running, config()), running, SIGNALS))
    assert view["daemon_values"] == {
        "umask": {"old": "077", "new": "022"},
        "socket": {"old": "/run/a", "new": None},
        "shutdown_timeout": {"old": 10.0, "new": 60.0},
    }
    assert "history" in (*view["live_keys"], *view["daemon_keys"])

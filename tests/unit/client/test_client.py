"""The public client of Python programs, against a daemon of cardboard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taskmasterctl import client
from taskmasterctl.client import (
    Change,
    FrozenError,
    LostError,
    ProcessStatus,
    RequestError,
    Snapshot,
    Taskmaster,
    TimedOutError,
    UnreachableError,
    connect,
)
from tests.support.daemon import ROOT
from tests.support.fakedaemon import CLOSE, HELLO, HOLD, FakeDaemon, end, process, result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DENIED = {"type": "end", "exit": 4, "error": {"code": "permission", "message": "not you", "hints": ["ask ada"]}}
WEB = process("web")


@pytest.fixture
def path(short_dir: Path) -> str:
    return str(short_dir / "s")


def change(name: str, before: str, state: str, **more: object) -> dict[str, Any]:
    """Return a change as the daemon sends it."""
    row = process(name, state)
    return {"type": "change", "sequence": 1, "name": name, "before": before, "state": state, "process": row, **more}


def test_a_status_is_typed_and_keeps_all_that_the_daemon_said(path: str) -> None:
    with FakeDaemon(path, {"status web": [{"type": "processes", "processes": [{**WEB, "later": 1}]}, end()]}):
        taskmaster = connect(path)
        (found,) = taskmaster.status("web")
    assert taskmaster.hello["pid"] == HELLO["pid"]
    assert (found.name, found.state, found.pid) == ("web", WEB["state"], WEB["pid"])
    assert found.data["later"] == 1
    assert "later" not in repr(found)


def test_what_failed_for_one_process_is_in_the_answer_and_no_exception(path: str) -> None:
    answers = [result("web", "started"), result("db", "failed", ok=False, reason="gone"), end(1)]
    with FakeDaemon(path, {"start --no-wait web db": answers}):
        answer = connect(path).call("start", "web", "db", no_wait=True)
    assert (answer.ok, answer.exit_code) == (False, 1)
    assert [(each.name, each.ok, each.reason) for each in answer.results] == [("web", True, ""), ("db", False, "gone")]


def test_a_refusal_is_an_exception_with_its_word_and_the_next_steps(path: str) -> None:
    problem = {"type": "problem", "text": "x.yaml:1:1: error: no"}
    answers: dict[str, Any] = {"reload": [problem, {**DENIED, "exit": 6}]}
    with FakeDaemon(path, answers), pytest.raises(RequestError, match="not you") as refused:
        connect(path).reload()
    assert (refused.value.code, refused.value.exit_code) == ("permission", 6)
    assert refused.value.hints == ("x.yaml:1:1: error: no", "ask ada")


def test_a_shutdown_that_is_refused_does_not_wait_for_the_end_of_the_daemon(path: str) -> None:
    with FakeDaemon(path, {"shutdown": [DENIED, HOLD]}), pytest.raises(RequestError, match="not you"):
        connect(path).within(0.5).call("shutdown")


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda it: it.call("wait", "web", for_="healthy"), "wait --for=healthy web"),
        (lambda it: it.call("logs", lines=5, since=12.5, follow=False, until=None), "logs --lines=5 --since=@12.5"),
        (lambda it: it.call("simulate", "web", end=["1@0.2", "KILL@3s"]), "simulate --end=1@0.2\0KILL@3s web"),
        (lambda it: it.call("disable", "web", reason="two words"), "disable --reason=two%20words web"),
        (lambda it: it.restart("web", rolling=True), "restart --rolling web"),
        (lambda it: it.stop("--odd"), "stop -- --odd"),
    ],
)  # fmt: skip
def test_flags_are_those_of_the_command_line(path: str, call: Callable[[Taskmaster], object], line: str) -> None:
    with FakeDaemon(path, {line: [end()]}) as daemon:
        call(connect(path))
    assert daemon.requests == [line]


@pytest.mark.parametrize(
    ("verb", "flags", "message"),
    [
        ("top", {}, "top is a verb of taskmasterctl"),
        ("status", {"watch": True}, "--watch is a flag of taskmasterctl"),
        ("attach", {}, "attach needs input"),
        ("send", {}, "send needs input"),
        ("nosuch", {}, 'unknown verb "nosuch"'),
        ("start", {"colour": "red"}, 'start has no flag "--colour"'),
    ],
)
def test_what_no_call_can_do_is_refused_before_anything_is_sent(
    path: str, verb: str, flags: dict[str, Any], message: str
) -> None:
    with FakeDaemon(path) as daemon, pytest.raises(RequestError, match=message):
        connect(path).call(verb, "web", **flags)
    assert daemon.requests == []


def test_a_subscription_yields_snapshots_and_changes_and_ends_with_the_daemon(path: str) -> None:
    stopping = {"type": "end", "exit": 1, "error": {"code": "stopping", "message": "stops", "hints": []}}
    messages: list[Any] = [
        {"type": "daemon", "version": "9.9"},
        {"type": "snapshot", "sequence": 0, "count": 2},
        {"type": "processes", "processes": [WEB]},
        {"type": "processes", "processes": [process("db", "STOPPED")]},
        change("web", "RUNNING", "BACKOFF", reason="exit 3", removed=False),
        {"type": "snapshot", "sequence": 1, "count": 0},
        stopping,
    ]
    with FakeDaemon(path, {"subscribe": messages}):
        first, changed, last = connect(path).subscribe()
    assert isinstance(first, Snapshot)
    assert [each.name for each in first.processes] == ["web", "db"]
    assert isinstance(changed, Change)
    assert (changed.before, changed.state, changed.reason, changed.process.name) == (
        "RUNNING",
        "BACKOFF",
        "exit 3",
        "web",
    )
    assert last == Snapshot(())


def test_a_subscription_that_is_refused_or_lost_says_so(path: str) -> None:
    with FakeDaemon(path, {"subscribe": [DENIED], "subscribe web": [{"type": "daemon"}, CLOSE]}):
        taskmaster = connect(path)
        with pytest.raises(RequestError, match="not you"):
            list(taskmaster.subscribe())
        with pytest.raises(LostError):
            list(taskmaster.subscribe("web"))


def test_output_comes_piece_by_piece(path: str) -> None:
    said = {"type": "output", "name": "web", "stream": "stderr", "text": "no\n"}
    with FakeDaemon(path, {"logs --follow web": [said, {"type": "missed", "bytes": 3}, said, end()]}):
        pieces = [(each.name, each.stream, each.text) for each in connect(path).logs("web", follow=True)]
    assert pieces == [("web", "stderr", "no\n")] * 2


def test_every_wait_has_an_end(path: str) -> None:
    with pytest.raises(UnreachableError, match="No such file"):
        connect(path)
    with FakeDaemon(path, {"wait web": [HOLD]}), pytest.raises(TimedOutError):
        connect(path).within(0.1).call("wait", "web")


def test_a_peer_that_may_not_use_the_daemon_hears_it_at_once(path: str) -> None:
    with FakeDaemon(path, hello=DENIED), pytest.raises(RequestError, match="not you"):
        connect(path)


def test_it_acts_on_no_daemon_that_runs_another_file_than_it_was_given(path: str, short_dir: Path) -> None:
    mine, other = short_dir / "mine.yaml", short_dir / "other.yaml"
    for file in (mine, other):
        file.write_text(f"taskmasterd: {{socket: {path}}}\nprograms: {{}}\n")
    with FakeDaemon(path, {"status": [end()]}, hello={**HELLO, "config": str(other)}) as daemon:
        taskmaster = connect(config=str(mine), environment={})
        assert taskmaster.status() == ()
        with pytest.raises(RequestError, match="runs another configuration"):
            taskmaster.start("web")
    assert daemon.requests == ["status"]


def test_all_that_it_raises_has_one_base_and_all_that_it_names_is_there() -> None:
    errors = [getattr(client, name) for name in client.__all__ if name.endswith("Error")]
    assert {FrozenError, LostError, RequestError} < set(errors)
    assert all(issubclass(error, client.TaskmasterError) for error in errors)
    assert ProcessStatus("web").pid is None


def test_it_loads_neither_the_shell_nor_yaml_nor_the_daemon() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import taskmasterctl.client, sys; print(*sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONPATH": f"{ROOT}:{ROOT}/common"},
    ).stdout.split()  # fmt: skip
    assert "taskmasterctl.client" in loaded
    assert {"yaml", "prompt_toolkit", "taskmasterd", "asyncio", "taskmasterctl.shell"}.isdisjoint(loaded)

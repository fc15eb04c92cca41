"""Hooks: what they get, where their output goes, how they end, and how a later daemon goes on with one."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.config import DISCARD, INHERIT
from taskmasterd.probing import hook as hooks
from taskmasterd.probing.children import ChildCommand
from taskmasterd.probing.hook import Hook, HookCall, HookContext
from taskmasterd.probing.leftovers import end_orphans
from taskmasterd.processes.members.group import Group
from taskmasterd.processes.members.proofs import HOOK, ROLE
from taskmasterd.system.procfs import listing, look
from tests.support.probing import OURS, PROOFS, SIGNALS, ProbingStage, carrying, wait_for_file
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc"),
]


class Hooks:
    """Hooks of one slot."""

    def __init__(self, home: Path, **keys: Any) -> None:
        self.stage = ProbingStage(home, **keys)
        self.context = self.new_context()

    def new_context(self) -> HookContext:
        stage = self.stage
        return HookContext(
            stage.reactor,
            stage.children,
            stage.outputs,
            SIGNALS,
            lambda entry, level, text: stage.said.append((level, f"{entry.canonical} {text}")),
            print,
        )

    def begin(self, script: str, name: str = "pre_start", **call: Any) -> Hook:
        made = Hook(self.context, self.stage.entry, name, self.stage.results.append)
        made.begin(HookCall(name, ChildCommand((script,), shell=True), "start", **call))
        assert self.stage.results == []
        return made

    def log(self, text: str) -> str:
        """Return the log once it holds a text."""
        path = self.stage.home / "p.log"
        self.stage.turn_until(lambda: path.exists() and text in path.read_text())
        return path.read_text()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Hooks]:
    run = Hooks(tmp_path)
    yield run
    run.stage.close()


def test_a_hook_gets_its_variables_and_is_no_instance(run: Hooks) -> None:
    run.begin("env > env", "post_stop", pid=4711, status=3 << 8)
    assert run.stage.result().text == "exit 0"
    environment = dict(line.split("=", 1) for line in (run.stage.home / "env").read_text().splitlines() if "=" in line)
    expected = {
        "TASKMASTER_HOOK": "post_stop",
        "TASKMASTER_REASON": "start",
        "TASKMASTER_PID": "4711",
        "TASKMASTER_EXIT_CODE": "3",
        ROLE: HOOK,
    }
    assert {name: environment[name] for name in expected} == expected
    assert "TASKMASTER_EXIT_SIGNAL" not in environment
    assert HookCall("x", ChildCommand(("true",)), "stop", status=9).variables()["TASKMASTER_EXIT_SIGNAL"] == "9"


def test_its_output_goes_to_the_programs_stderr_and_the_last_lines_to_the_result(run: Hooks) -> None:
    (run.stage.home / "p.log").write_text("of an earlier one\n")
    run.begin("seq 7; echo oops >&2; exit 3")
    result = run.stage.result()
    assert (result.ok, result.text, result.output) == (False, "exit 3", ("4", "5", "6", "7", "oops"))
    assert run.log("oops") == "of an earlier one\n1\n2\n3\n4\n5\n6\n7\noops\n"
    run.stage.turn_until(lambda: not run.stage.outputs.pipes)
    assert run.stage.outputs.left == {}


@pytest.mark.parametrize("target", [DISCARD, INHERIT])
def test_a_stderr_without_a_file_is_fine_too(tmp_path: Path, target: str, capfd: pytest.CaptureFixture[str]) -> None:
    run = Hooks(tmp_path, stderr=target)
    run.begin("echo words; exit 1")
    result = run.stage.result()
    assert (result.text, result.output) == ("exit 1", ())
    assert capfd.readouterr().err == ("words\n" if target == INHERIT else "")
    run.stage.close()


def test_what_it_leaves_behind_is_named_and_ended_before_its_result(run: Hooks) -> None:
    sleeps = "until grep -qx sleep /proc/$!/comm; do :; done"
    run.begin(f"setsid sleep 4721.{OURS} & {sleeps}; sleep 4721.{OURS} & {sleeps}; exit 0")
    assert run.stage.result().ok is True
    assert carrying(f"sleep\x004721.{OURS}") == []
    ((level, said),) = run.stage.said
    assert (level, said.partition(":")[0]) == ("warning", "p")
    assert said.startswith("p:0 pre_start left 2 processes behind; ending them: sleep (")
    run.begin(f"sleep 4721.{OURS} & {sleeps}; exit 0", "post_start")
    run.stage.result()
    assert run.stage.said[1][1].startswith("p:0 post_start left 1 process behind; ending it: sleep (")


def test_one_that_is_ended_gets_term_and_says_its_last_words(run: Hooks) -> None:
    made = run.begin(f"trap 'echo bye; exit 0' TERM; echo begun > begun; sleep 4722.{OURS} & wait")
    wait_for_file(run.stage.home / "begun")
    made.end()
    result = run.stage.result()
    assert (result.ok, result.text, result.output) == (None, "cancelled", ("bye",))
    assert carrying(f"sleep\x004722.{OURS}") == []
    assert run.stage.said == [], "what was ended with it was not left behind"


def test_one_that_ignores_term_gets_kill_a_moment_later_or_at_once(run: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "HOOK_GRACE_S", 0.1)
    made = run.begin(f"trap '' TERM; echo begun > begun; sleep 4723.{OURS}; sleep 4723.{OURS}")
    wait_for_file(run.stage.home / "begun")
    made.end()
    made.end()
    result = run.stage.result()
    assert (result.ok, result.text) == (None, "cancelled")
    assert carrying(f"sleep\x004723.{OURS}") == []
    made.end()
    monkeypatch.setattr(hooks, "HOOK_GRACE_S", 60)
    (run.stage.home / "begun").unlink()
    made = run.begin(f"trap '' TERM; echo begun > begun; sleep 4723.{OURS}; sleep 4723.{OURS}")
    wait_for_file(run.stage.home / "begun")
    made.end()
    made.kill()
    assert run.stage.result().text == "cancelled"
    assert carrying(f"sleep\x004723.{OURS}") == []


def test_what_cannot_start_says_why_and_a_shortage_is_no_result(run: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Hook(run.context, run.stage.entry, "pre_stop", run.stage.results.append)
    made.begin(HookCall("pre_stop", ChildCommand(("no-such",)), "stop"))
    result = run.stage.result()
    assert result.ok is False
    assert result.text.startswith("cannot execute no-such: not found in PATH=")

    def refuse() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", refuse)
        run.begin("exit 0")
    assert run.stage.result().ok is None
    run.stage.turn_until(lambda: not run.stage.outputs.pipes)
    assert made.to_data() == {}


def test_neither_a_hook_nor_what_it_left_is_a_survivor_of_the_program(run: Hooks) -> None:
    run.begin(f"setsid sleep 4724.{OURS} & sleep 4724.{OURS}")
    run.stage.turn_until(lambda: len(carrying(f"sleep\x004724.{OURS}")) >= 2)
    groups = run.stage.groups
    gone = Group(1 << 22, ("p", 0), stop_group=True)
    assert groups.survivors([gone]) == {}
    assert {PROOFS.judged(pid) for pid in carrying(f"sleep\x004724.{OURS}")} == {"hook 0 p"}
    assert end_orphans(PROOFS)
    run.stage.result()


# -- a later daemon


def test_after_an_upgrade_it_goes_on_and_its_status_is_known(run: Hooks) -> None:
    first = run.begin("trap 'exit 7' USR1; echo begun > begun; while :; do sleep 0.05; done")
    wait_for_file(run.stage.home / "begun")
    row = first.to_data()
    run.stage.children = run.stage.new_children()
    run.context = run.new_context()
    later = Hook.resume(run.context, run.stage.entry, row, run.stage.results.append)
    assert later.pid == first.pid
    assert run.stage.loop.ignored == {first.pid}, "still our child"
    os.kill(row["pid"], signal.SIGUSR1)
    result = run.stage.result()
    assert (result.ok, result.text) == (False, "exit 7")


def orphan(run: Hooks, script: str) -> dict[str, Any]:
    """Have another process begin a hook and die, as kill -9 leaves one; return the hook's data, whose parent is init's."""
    import ctypes
    import json

    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
    pid = os.fork()
    if pid == 0:
        try:
            home = run.stage.home
            other = Hooks(home)
            ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
            made = other.begin(script)
            wait_until((home / "begun").exists)
            (home / "row").write_text(json.dumps(made.to_data()) + "\n")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    row: dict[str, Any] = json.loads(wait_for_file(run.stage.home / "row"))
    return row


def test_one_of_a_daemon_that_died_is_watched_and_its_status_may_be_unknown(run: Hooks) -> None:
    row = orphan(
        run, f"echo begun > begun; while ! test -e end; do sleep 0.05; done; setsid sleep 4725.{OURS} & exit 0"
    )
    later = Hook.resume(run.context, run.stage.entry, row, run.stage.results.append)
    assert later.pid == row["pid"]
    assert later.mark is not None
    assert end_orphans(PROOFS, [later.mark]) == [], "it goes on"
    (run.stage.home / "end").write_text("")
    result = run.stage.result()
    assert result.ok in (None, True)
    wait_until(lambda: not carrying(f"sleep\x004725.{OURS}"))


def test_one_of_a_daemon_that_died_can_be_ended(run: Hooks) -> None:
    row = orphan(run, f"echo begun > begun; sleep 4726.{OURS}")
    Hook.resume(run.context, run.stage.entry, row, run.stage.results.append).end()
    assert run.stage.result().text == "cancelled"
    wait_until(lambda: not carrying(f"sleep\x004726.{OURS}"))


def test_one_that_ended_while_no_daemon_was_there_is_no_success_and_leaves_nothing(run: Hooks) -> None:
    row = orphan(run, f"setsid sleep 4727.{OURS} & echo begun > begun; sleep 300")
    os.kill(row["pid"], signal.SIGKILL)
    wait_until(lambda: look(row["pid"]) is None)
    Hook.resume(run.context, run.stage.entry, row, run.stage.results.append)
    result = run.stage.result()
    assert result.ok is (None if "nobody knows" in result.text else False), "a zombie that nobody reaps has a status"
    wait_until(lambda: not carrying(f"sleep\x004727.{OURS}"))

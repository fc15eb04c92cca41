"""Exec probes: real children that fork, hang, flood, hide and leave others behind."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.probing.children import ChildCommand, Order
from taskmasterd.probing.text.result import MOST_LINES, MOST_OUTPUT
from taskmasterd.probing.tries.execute import ExecTry
from taskmasterd.processes.members.proofs import PROBE, PROOF, ROLE
from taskmasterd.system.procfs import listing
from tests.support.probing import OURS, PROOFS, SIGNALS, ProbingStage, carrying, wait_for_file
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc"),
]
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[ProbingStage]:
    stage = ProbingStage(tmp_path)
    before = len(os.listdir("/dev/fd"))
    yield stage
    stage.turn_until(lambda: not stage.groups.below.ignored)
    assert len(os.listdir("/dev/fd")) == before
    stage.close()


def probe(stage: ProbingStage, script: str, timeout_s: float = 10, **variables: str) -> ExecTry:
    """Begin a probe; its result must not come within the call."""
    made = ExecTry(stage.reactor, stage.children, stage.order(script, **variables), timeout_s, SIGNALS)
    made.begin(stage.results.append)
    assert stage.results == []
    return made


@pytest.mark.parametrize(
    ("script", "ok", "text"),
    [("exit 0", True, "exit 0"), ("exit 2", False, "exit 2"), ("kill -SEGV $$", False, "killed by SIGSEGV")],
)
def test_the_exit_code_is_the_result(stage: ProbingStage, script: str, ok: bool, text: str) -> None:
    probe(stage, f"ulimit -c 0; {script}")
    result = stage.result()
    assert (result.ok, result.text, result.output) == (ok, text, ())
    assert result.took_s > 0


def test_it_runs_as_an_instance_would_with_its_role_and_nothing_on_stdin(stage: ProbingStage) -> None:
    probe(
        stage, "env > env; pwd > pwd; cat; id -g > gid; ls -l /proc/self/fd > fds; umask > umask", TASKMASTER_PID="4711"
    )
    assert stage.result().text == "exit 0"
    environment = dict(line.split("=", 1) for line in (stage.home / "env").read_text().splitlines() if "=" in line)
    assert environment["TASKMASTER_PROGRAM"] == "p"
    assert (environment[ROLE], environment["TASKMASTER_PID"]) == (PROBE, "4711")
    assert environment[PROOF] == PROOFS.proof("p", 0, PROBE) != PROOFS.proof("p", 0)
    assert (stage.home / "pwd").read_text() == f"{stage.home}\n"
    assert (stage.home / "umask").read_text() == "0022\n"


@pytest.mark.skipif(not AS_ROOT, reason="takes another identity")
def test_it_runs_as_the_programs_user_or_as_another_that_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    stage = ProbingStage(tmp_path, user="nobody", workingdir="/")
    stage.home.chmod(0o777)
    order = Order(PROBE, stage.program, 0, ChildCommand(("id", "-nu")))
    for command, name in ((order.command, "nobody"), (ChildCommand(("id", "-nu"), user="daemon"), "daemon")):
        ExecTry(stage.reactor, stage.children, order.replace(command=command), 10, SIGNALS).begin(stage.results.append)
        assert stage.result().output == (name,)
    ExecTry(
        stage.reactor, stage.children, order.replace(command=ChildCommand(("id",), user="nobody-at-all")), 10, SIGNALS
    ).begin(stage.results.append)
    result = stage.result()
    assert (result.ok, result.text) == (False, 'no user named "nobody-at-all"')
    stage.close()


def test_of_the_output_the_last_lines_are_kept_and_a_flood_ends_with_the_time(stage: ProbingStage) -> None:
    probe(stage, "seq 100 >&2; exit 1")
    assert stage.result().output == ("96", "97", "98", "99", "100")
    probe(stage, "yes oops | tee begun", timeout_s=0.5)
    wait_until(lambda: (stage.home / "begun").exists() and (stage.home / "begun").stat().st_size > 20_000)
    result = stage.result()  # the loop has stood still until now, and reads before it looks at the time
    assert (result.ok, result.text) == (False, "timed out after 0.5s")
    assert len(result.output) == MOST_LINES
    assert len("\n".join(result.output)) <= MOST_OUTPUT


def test_what_cannot_be_executed_is_a_failure_that_says_why(stage: ProbingStage) -> None:
    order = Order(PROBE, stage.program, 0, ChildCommand(("no-such-command",)))
    ExecTry(stage.reactor, stage.children, order, 10, SIGNALS).begin(stage.results.append)
    result = stage.result()
    assert result.ok is False
    assert result.text.startswith("cannot execute no-such-command: not found in PATH=")
    (stage.home / "script").write_text("#!/no/such/interpreter\n")
    (stage.home / "script").chmod(0o755)
    order = order.replace(command=ChildCommand((f"{stage.home}/script",)))
    ExecTry(stage.reactor, stage.children, order, 10, SIGNALS).begin(stage.results.append)
    result = stage.result()
    assert result.ok is False
    assert "/no/such/interpreter" in result.text


def test_a_nul_in_a_word_is_a_failure(stage: ProbingStage) -> None:
    ExecTry(stage.reactor, stage.children, stage.order("a\0b"), 10, SIGNALS).begin(stage.results.append)
    assert stage.result().ok is False


@pytest.mark.sweep
@pytest.mark.slow
def test_no_two_of_a_hanging_probes_processes_pile_up_and_none_is_left(stage: ProbingStage) -> None:
    made = ExecTry(stage.reactor, stage.children, stage.order(f"sleep 4711.{OURS} & wait"), 0.5, SIGNALS)
    for _ in range(3):
        made.begin(stage.results.append)
        seen: list[int] = []
        stage.turn_until(lambda seen=seen: seen.append(len(carrying(f"sleep\x004711.{OURS}"))) or stage.results)  # type: ignore[misc]
        assert max(seen) == 1
        assert stage.results.pop().text == "timed out after 0.5s"
        assert carrying(f"sleep\x004711.{OURS}") == [], "the result comes when nothing is left"
    assert zombies() == []


def zombies() -> list[int]:
    """Return our children that ended and are not reaped."""
    ours = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in ours if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"]


HIDING = {
    "ignores TERM": f"trap '' TERM; sleep 4712.{OURS}",
    "is in the background": f"sleep 4712.{OURS} & exit 0",
    "has a session of its own": f"setsid sleep 4712.{OURS} & exit 0",
    "has a session of its own, and so has its child": f"setsid sh -c 'setsid sleep 4712.{OURS} & exit 0' & exit 0",
    "has closed everything": f"sh -c 'exec 0<&- 1>&- 2>&-; exec env -i setsid sleep 4712.{OURS}' & exit 0",
}


@pytest.mark.parametrize("script", HIDING.values(), ids=list(HIDING))
def test_what_a_probe_leaves_is_gone_before_its_result_wherever_it_hides(stage: ProbingStage, script: str) -> None:
    if not PROOFS.lineage.usable and "setsid" in script:
        pytest.skip("the system has no tags here")
    probe(stage, script, timeout_s=0.3 if "trap" in script else 10)
    stage.result()
    assert carrying(f"sleep\x004712.{OURS}") == []


def test_the_result_waits_for_the_last_of_what_was_left(stage: ProbingStage, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskmasterd.probing import children

    with monkeypatch.context() as patch:
        patch.setattr(children, "signal_one", lambda *_arguments: True)
        probe(stage, f"sleep 4716.{OURS} & exit 0")
        stage.turn_until(lambda: not stage.groups.below.ignored)
        for _ in range(5):
            stage.loop.turn()
    assert stage.results == []
    wait_until(lambda: carrying(f"sleep\x004716.{OURS}"))  # it has executed sleep by now
    (left,) = carrying(f"sleep\x004716.{OURS}")
    os.kill(left, signal.SIGKILL)
    assert stage.result().ok is True


def test_two_probes_at_once_do_not_end_each_others_processes(stage: ProbingStage) -> None:
    probe(stage, f"setsid sh -c 'until test -e go; do sleep 0.02; done; echo done > long.{OURS}' & wait", timeout_s=60)
    stage.turn_until(lambda: carrying(f"echo done > long.{OURS}"))
    probe(stage, "setsid sleep 300 & exit 0")
    stage.turn_until(lambda: stage.results)
    (stage.home / "go").touch()
    stage.turn_until(lambda: len(stage.results) == 2)
    assert (stage.home / f"long.{OURS}").read_text() == "done\n"


def test_without_tags_the_variables_tell_what_a_probe_has_left(
    stage: ProbingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PROOFS.lineage, "usable", False)
    probe(stage, f"setsid sleep 4713.{OURS} & exit 0")
    stage.result()
    assert carrying(f"sleep\x004713.{OURS}") == []


def test_the_time_limit_counts_from_the_exec(stage: ProbingStage) -> None:
    began = time.monotonic()
    probe(stage, "sleep 300", timeout_s=0.4)
    result = stage.result()
    assert result.text == "timed out after 0.4s"
    assert 0.4 <= result.took_s <= time.monotonic() - began


def test_a_forked_child_that_cannot_be_set_up_says_which_step_failed(stage: ProbingStage) -> None:
    order = Order(PROBE, stage.program.replace(workingdir="/nowhere"), 0, ChildCommand(("true",)))
    ExecTry(stage.reactor, stage.children, order, 10, SIGNALS).begin(stage.results.append)
    result = stage.result()
    assert (result.ok, result.text) == (False, "cannot enter workingdir /nowhere: no such file or directory")


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("call", ["pipe", "fork"])
def test_a_shortage_is_no_result(stage: ProbingStage, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        ExecTry(stage.reactor, stage.children, stage.order("exit 0"), 10, SIGNALS).begin(stage.results.append)
    result = stage.result()
    assert result.ok is None
    assert os.strerror(number)[1:] in result.text


def test_a_look_without_descriptors_is_repeated(stage: ProbingStage, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskmasterd.processes.members import descendants

    refused = []

    def refuse(_pid: int) -> list[int]:
        refused.append(1)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(descendants, "children", refuse)
        probe(stage, "exit 0")
        stage.turn_until(lambda: refused)
    assert stage.result().ok is True


def test_a_cancelled_probe_is_killed_and_has_one_result_that_knows_nothing(stage: ProbingStage) -> None:
    made = probe(stage, f"trap '' TERM; echo begun > begun; sleep 4714.{OURS}")
    wait_for_file(stage.home / "begun")
    made.cancel()
    made.cancel()
    result = stage.result()
    assert (result.ok, result.text) == (None, "cancelled")
    assert carrying(f"sleep\x004714.{OURS}") == []
    made.cancel()


def test_what_kill_does_not_end_is_named_and_delays_the_result(
    stage: ProbingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskmasterd.probing import children

    monkeypatch.setattr(children, "STUCK_AFTER_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(children, "send", lambda *_arguments: 0)
        made = probe(stage, "sleep 300", timeout_s=0.1)
        pid = made._child.pid if made._child else 0
        stage.turn_until(lambda: made.stuck)
        assert (made.stuck, stage.results) == (f"probe {pid} cannot be killed", [])
    os.kill(pid, signal.SIGKILL)
    assert stage.result().text == "timed out after 0.1s"
    assert made.stuck == ""


def test_a_probe_of_a_daemon_that_died_is_told_from_an_instance_and_killed(stage: ProbingStage) -> None:
    from taskmasterd.probing.leftovers import end_orphans

    probe(stage, f"setsid sleep 4715.{OURS} & sleep 4715.{OURS}")
    stage.turn_until(lambda: len(carrying(f"sleep\x004715.{OURS}")) >= 2)
    pids = carrying(f"4715.{OURS}")
    assert {PROOFS.judged(pid) for pid in pids} == {"probe 0 p"}
    assert {PROOFS.slot_in(PROOFS.judged(pid), older=True) for pid in pids} == {None}
    assert len(end_orphans(PROOFS)) == len(pids) >= 2
    stage.result()
    wait_until(lambda: not carrying(f"sleep\x004715.{OURS}"))

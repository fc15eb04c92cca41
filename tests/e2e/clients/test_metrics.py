"""`metrics` against the real daemon: what reads it understands it, and no stale file is left."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

CONFIG = """
defaults: {starttime: 0}
programs:
  web: {cmd: sleep 86400, numprocs: 2}
  "a.b@c": {cmd: sleep 86400}
  off: {cmd: sleep 86400, autostart: false}
  job: {cmd: "true", type: oneshot}
  bad: {cmd: "false", startretries: 0, starttime: 30}
"""


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon with something of each kind."""
    daemon = share_daemon(CONFIG).start()
    daemon.wait_for("job", "EXITED")
    daemon.wait_for("bad", "FATAL")
    for name in ("web:0", "web:1", "a.b@c"):
        daemon.wait_for(name, "RUNNING")
    return daemon


def started(daemon: Daemon, *words: str) -> subprocess.Popen[str]:
    """Start `taskmasterctl metrics WORDS`, which goes on."""
    return subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "metrics", *words],
        env=daemon.environment, cwd=daemon.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(client: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    """End it by a signal; return its exit code and what it said on stderr."""
    client.send_signal(number)
    _, said = client.communicate(timeout=20)
    return client.returncode, said


def test_a_state_that_is_not_as_wanted_is_no_failure_of_metrics(shared: Daemon) -> None:
    done = shared.ctl("metrics")
    assert (done.returncode, done.stderr) == (0, "")
    values = {(s.name, *s.labels.values()): s.value for family in prometheus(done.stdout) for s in family.samples}
    assert values["taskmaster_process_state", "bad", "0", "FATAL"] == 1
    assert values["taskmaster_process_exits_total", "bad", "0", "failed"] == 1
    assert values["taskmaster_process_wanted", "a.b@c", "0"] == 1
    assert values["taskmaster_process_processes", "web", "1"] == 1
    assert values["taskmaster_process_open_fds", "web", "1"] >= 3
    assert values["taskmaster_process_memory_bytes", "web", "0"] > 0
    assert abs(values["taskmaster_job_last_success_timestamp_seconds", "job", "0"] - time.time()) < 600
    assert abs(values["taskmaster_process_start_time_seconds", "web", "0"] - time.time()) < 600
    assert ("taskmaster_process_memory_bytes", "off", "0") not in values


def test_openmetrics_is_read_by_its_parser(shared: Daemon) -> None:
    text = shared.ctl("metrics", "--format", "openmetrics").stdout
    families = {family.name: family for family in openmetrics(text)}  # type: ignore[no-untyped-call]
    assert families["taskmaster_process_starts"].type == "counter"
    assert families["taskmaster_build"].type == "info"
    assert {s.labels["program"] for s in families["taskmaster_process_wanted"].samples} >= {"a.b@c", "web", "off"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_promtool_finds_nothing_to_say(shared: Daemon) -> None:
    text = shared.ctl("metrics").stdout
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_targets_select_and_an_unknown_one_is_4(shared: Daemon) -> None:
    families = list(prometheus(shared.ctl("metrics", "web:1", "off").stdout))
    found = {tuple(s.labels.values())[:2] for f in families for s in f.samples if "program" in s.labels}
    assert found == {("web", "1"), ("off", "0")}
    assert shared.ctl("metrics", "nosuch").returncode == 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--listen", "0.0.0.0:9"), "not of the loopback interface"),
        (("--output", "x.prom", "--every", "1s"), "at least 5s"),
        (("--every", "10s"), "needs --output"),
        (("--listen", "unix:x", "--output", "x.prom"), "exclude each other"),
        (("--format", "json"), "not one of prometheus, openmetrics"),
        (("--json",), "formats of its own"),
    ],
)
def test_what_does_not_go_together_is_2(shared: Daemon, words: tuple[str, ...], says: str) -> None:
    done = shared.ctl("metrics", *words)
    assert done.returncode == 2
    assert says in done.stderr + done.stdout


def test_a_file_is_written_again_and_again_and_goes_with_its_writer(shared: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "taskmaster.prom"
    client = started(shared, "--output", str(path), "--every", "5s")
    wait_until(path.exists, within_s=20)
    assert any(family.name == "taskmaster_up" for family in prometheus(path.read_text()))
    assert ended(client) == (0, "")
    assert os.listdir(tmp_path) == []


def test_a_single_file_stays_and_one_that_cannot_be_made_leaves_none(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "taskmaster.txt"
    daemon.write("programs: {}\n")
    daemon.start()
    done = daemon.ctl("metrics", "--output", str(path))
    assert done.returncode == 0
    assert "only files that end in .prom" in done.stderr
    assert "taskmaster_up 1" in path.read_text()
    daemon.kill()
    assert daemon.ctl("metrics", "--output", str(path)).returncode == 4
    assert not path.exists()
    done = daemon.ctl("metrics", "--output", "/nonexistent/x.prom")
    assert done.returncode == 4  # the daemon is asked first


@pytest.mark.sweep
def test_requests_on_a_socket_are_answered_in_their_format_also_while_the_daemon_is_away(daemon: Daemon) -> None:
    daemon.write(CONFIG)
    daemon.start()
    path = daemon.home / "m.sock"
    client = started(daemon, "--listen", f"unix:{path}")
    wait_until(lambda: listens(path))
    head, body = asked(path, "")
    assert "200 OK" in head
    assert next(f for f in prometheus(body) if f.name == "taskmaster_up").samples[0].value == 1
    head, body = asked(path, "Accept: application/openmetrics-text\r\n")
    assert "application/openmetrics-text; version=1.0.0" in head
    assert list(openmetrics(body))  # type: ignore[no-untyped-call]
    daemon.kill()
    wait_until(lambda: "taskmaster_up 0" in asked(path, "")[1])
    daemon.start()
    wait_until(lambda: "taskmaster_up 1" in asked(path, "")[1])
    code, _said = ended(client)
    assert code == 0
    assert not path.exists()


def listens(path: Path) -> bool:
    """Return whether somebody listens: the file is there a moment before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(str(path)) == 0


def asked(path: Path, header: str) -> tuple[str, str]:
    """Return head and body of the answer to a GET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
        answer = b""
        while piece := client.recv(65_536):
            answer += piece
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


def test_it_loads_nothing_heavy(shared: Daemon) -> None:
    code = (
        "import sys; from taskmasterctl.cli import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "metrics"],
        env=shared.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0
    loaded = set(done.stderr.split())
    assert "taskmasterctl.metrics.text" in loaded
    assert not loaded & {"prompt_toolkit", "asyncio", "yaml", "ssl", "socket", "subprocess", "json"}


@pytest.mark.sweep
def test_a_thousand_programs_take_less_than_some_seconds_of_processor_time(make_daemon: Callable[..., Daemon]) -> None:
    programs = "".join(f"  p{n}: {{cmd: sleep 86400, starttime: 0}}\n" for n in range(1000))
    daemon = make_daemon(f"programs:\n{programs}").start()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()), within_s=100)
    before = os.times()
    text = subprocess.run(
        [sys.executable, "-m", "taskmasterctl", "metrics"],
        env=daemon.environment, cwd=daemon.home, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5
    assert sum(line.startswith("taskmaster_process_memory_bytes{") for line in text.splitlines()) == 1000

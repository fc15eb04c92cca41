"""The history of a real daemon: it goes on over every way in which one daemon follows another, and costs little."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.guarded import kill_daemon
from tests.support.history import files_of, history_problem, records_of
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
STRACE = shutil.which("strace")
SLEEPER = "programs: {web: {cmd: sleep 300, starttime: 0}}"


def words(daemon: Daemon) -> list[str]:
    return [f"{record['name'] or '-'} {record['event']}" for record in records_of(daemon.home)]


@pytest.mark.sweep
def test_it_tells_what_happened_before_any_client_learns_of_it(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    assert daemon.ctl("stop", "web").returncode == 0
    assert words(daemon) == [
        "- daemon-start", "web started", "web running", "- operator", "web stopping", "web exited", "web stopped",
    ]  # fmt: skip
    found = records_of(daemon.home)
    assert found[2]["pid"] == pid
    assert {key: found[3][key] for key in ("verb", "targets")} == {"verb": "stop", "targets": ["web"]}
    assert found[3]["by"]["uid"] == os.getuid()
    assert found[4]["by"] == {"uid": os.getuid()}
    assert found[5]["status"] == signal.SIGTERM


@pytest.mark.sweep
def test_numbers_go_on_over_a_kill_an_upgrade_an_orderly_stop_and_a_reload(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    daemon.kill()
    daemon.start()
    assert daemon.ctl("upgrade").returncode == 0
    assert daemon.status()["web"]["pid"] == pid
    daemon.write(SLEEPER.replace("300", "301"))
    assert daemon.ctl("reload").returncode == 0
    daemon.write("programs: {web: {cmd: 7, cmd: 8}}")
    assert daemon.ctl("reload").returncode == 6
    daemon.write(SLEEPER.replace("300", "301"))
    assert daemon.ctl("shutdown").returncode == 0
    daemon.start()
    assert [word for word in words(daemon) if word[0] == "-" or "adopted" in word or "reload" in word] == [
        "- daemon-start", "- crashed", "- daemon-start", "web adopted", "- operator", "- upgrade", "- operator", "- reload",
        "web reload", "- operator", "- reload-failed", "- operator", "- daemon-stop", "- daemon-start",
    ]  # fmt: skip
    assert history_problem(daemon.home) == ""
    (program,) = [
        record for record in records_of(daemon.home) if (record["name"], record["event"]) == ("web", "reload")
    ]
    assert (program["change"], program["keys"], program["by"]) == ("restarted", ["cmd"], {"uid": os.getuid()})


@pytest.mark.sweep
def test_a_guardian_starts_a_daemon_that_goes_on_with_the_numbers(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start("--guard")
    daemon.wait_for("web", "RUNNING")
    kill_daemon(daemon)
    wait_until(lambda: '"event":"adopted"' in "".join(path.read_text() for path in files_of(daemon.home)))
    assert "web adopted" in words(daemon)
    assert "- crashed" in words(daemon)
    assert history_problem(daemon.home) == ""


@pytest.mark.skipif(not STRACE, reason="needs strace")
def test_a_crash_costs_one_write_more(daemon: Daemon) -> None:
    kept, none = _writes_of_a_crash(daemon, "{}"), _writes_of_a_crash(daemon, "0")
    assert len(kept) == len(none) + 1, (kept, none)


def _writes_of_a_crash(daemon: Daemon, history: str) -> list[str]:
    """Return the system calls by which a daemon writes when a program is killed, with this value of the key."""
    web = "{cmd: sleep 300, starttime: 0, autorestart: never}"
    daemon.write(f"{{taskmasterd: {{history: {history}}}, programs: {{web: {web}}}}}")
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    trace = daemon.home / f"trace{history}"
    words = [STRACE or "", "-o", str(trace), "-e", "trace=write,pwrite64", "-p", str(daemon.pid)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as tracer:
        wait_until(lambda: f"TracerPid:\t{tracer.pid}" in Path(f"/proc/{daemon.pid}/status").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "slot" in trace.read_text())  # the last of the writes that a crash leads to
        tracer.send_signal(signal.SIGINT)
    assert daemon.ctl("shutdown").returncode == 0
    return [line for line in trace.read_text().splitlines() if "write" in line]


@pytest.mark.sweep
def test_a_daemon_whose_history_cannot_be_written_warns_and_works(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    (daemon.home / "history").write_text("in the way")
    daemon.start()
    daemon.wait_for("web", "RUNNING")
    assert "cannot write the history" in daemon.ctl("status").stderr + daemon.ctl("status").stdout
    (daemon.home / "history").unlink()
    assert daemon.ctl("restart", "web").returncode == 0
    assert "cannot write the history" not in daemon.ctl("status").stderr
    assert history_problem(daemon.home) == ""

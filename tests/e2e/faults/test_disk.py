"""Disks that are full, limits of file size, directories that are deleted or renamed, targets that take nothing."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.guarded import stopped
from tests.support.wait import wait_until
from tests.support.wire import ask, prompt_s, seconds_of_status

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"
TICKER = "cmd: 'while :; do echo tick; sleep 0.02; done', shell: true, starttime: 0, stoptime: 1"


def _pid(daemon: Daemon, name: str) -> int:
    return int(daemon.wait_for(name, "RUNNING")["pid"])


def _remove(directory: Path) -> None:
    """Remove a directory in which the daemon creates files: it does so again as soon as one is gone."""
    gone = directory.rename(directory.with_name(f"{directory.name}.gone"))
    shutil.rmtree(gone)


@pytest.fixture
def small_disk(daemon: Daemon) -> Iterator[Path]:
    """A disk of half a megabyte where the daemon has its event log and its programs' logs."""
    disk = daemon.home / "log"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=False).returncode:
        pytest.skip("cannot mount")
    yield disk
    daemon.destroy()
    wait_until(lambda: subprocess.run(["umount", disk], check=False, stderr=subprocess.DEVNULL).returncode == 0)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_stops_neither_programs_nor_the_daemon_and_logging_goes_on_when_there_is_space(
    daemon: Daemon, small_disk: Path
) -> None:
    daemon.write(
        f"programs: {{tick: {{{TICKER}}}, "
        f"flood: {{cmd: {PY} {PROGRAMS}/writes_lines.py 20000 linger, starttime: 0, log_maxbytes: 0, autostart: false}}}}"
    )
    daemon.start()
    tick = _pid(daemon, "tick")
    assert ask(daemon, b"start flood")[-1]["exit"] == 0
    full = "flood.log: no space left on device"
    wait_until(lambda: full in daemon.events())
    for _ in range(20):
        assert ask(daemon, b"restart flood")[-1]["exit"] == 0
    assert seconds_of_status(daemon) < prompt_s()
    assert _pid(daemon, "tick") == tick
    ask(daemon, b"stop flood")
    before = daemon.events()
    assert before.count(full) == 1, "said once, not with each chunk"
    assert shutil.disk_usage(small_disk).free < 8192
    (small_disk / "flood.log").unlink()
    ticks = daemon.log("tick").count(b"tick")
    wait_until(lambda: daemon.log("tick").count(b"tick") > ticks)
    assert ask(daemon, b"restart tick")[-1]["exit"] == 0
    wait_until(lambda: "tick running" in daemon.events()[len(before) :])
    assert "internal error" not in daemon.events()


@pytest.mark.sweep
def test_a_limit_of_file_size_costs_output_and_neither_program_nor_daemon(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{{TICKER}}}}}")
    daemon.start()
    wait_until(lambda: len(daemon.log("p")) > 10)
    with stopped(daemon.pid):  # it writes on all the time
        most = len(daemon.log("p")) + 50
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    counters = Path(f"/proc/{_pid(daemon, 'p')}/io")

    def written() -> str:
        return next(line for line in counters.read_text().splitlines() if line.startswith("wchar"))

    assert ask(daemon, b"start p")[-1]["exit"] == 0  # its event cannot be written: SIGXFSZ
    wait_until(lambda: len(daemon.log("p")) == most)
    before = written()
    wait_until(lambda: written() != before)
    for _ in range(2):  # what was in the pipe before a request came is dealt with before its answer
        ask(daemon, b"version")
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: len(daemon.log("p")) > most)
    wait_until(lambda: "can be written again" in daemon.events())


def test_a_deleted_log_directory_comes_back_with_event_log_and_programs_logs(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{{TICKER}, stdout: deep/down/p.log}}, q: {{{TICKER}}}}}")
    daemon.start()
    logs = daemon.home / "log"
    deep = daemon.home / "deep" / "down" / "p.log"
    wait_until(lambda: deep.exists() and daemon.log("q"))
    _remove(daemon.home / "deep")
    _remove(logs)
    wait_until(lambda: deep.exists() and b"tick\n" in deep.read_bytes())
    wait_until(lambda: b"tick\n" in daemon.log("q"))
    assert ask(daemon, b"restart q")[-1]["exit"] == 0
    wait_until(lambda: "q running" in daemon.events())
    for path in (daemon.home / "deep", deep, logs, logs / "q.log", logs / "taskmasterd.log"):
        assert path.stat().st_mode & 0o022 == 0, path


@pytest.mark.sweep
def test_a_renamed_log_directory_is_written_until_the_logs_are_opened_anew_and_no_byte_is_lost(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: {PY} {PROGRAMS}/writes_lines.py 300000, stdout: logs/p.log, starttime: 0, autorestart: never}}}}"
    )
    daemon.start()
    logs = daemon.home / "logs"
    wait_until(lambda: (logs / "p.log").exists() and (logs / "p.log").stat().st_size > 100_000)
    logs.rename(daemon.home / "away")
    daemon.signal(signal.SIGUSR2)
    daemon.wait_for("p", "EXITED", within_s=60)
    fresh = logs / "p.log"
    whole = (daemon.home / "away" / "p.log").read_bytes() + (fresh.read_bytes() if fresh.exists() else b"")
    assert len(whole) == 300_000 * 100
    assert whole.splitlines()[-1].startswith(b"000000299999")


@pytest.mark.sweep
@pytest.mark.parametrize("target", ["/dev/full", "fifo"])
def test_an_event_log_that_takes_nothing_stops_no_daemon(daemon: Daemon, target: str) -> None:
    path = daemon.home / target if target == "fifo" else Path(target)
    if target == "fifo":
        os.mkfifo(path)
    daemon.write(f"{{taskmasterd: {{logfile: {path}}}, programs: {{p: {{cmd: sleep 300, starttime: 0}}}}}}")
    daemon.start()
    pid = _pid(daemon, "p")
    for _ in range(300):
        assert ask(daemon, b"start p")[-1]["exit"] == 0
    assert seconds_of_status(daemon) < prompt_s()
    assert _pid(daemon, "p") == pid


def _is_directory_now(log: Path) -> bool:
    """Put a directory in the place of a log, unless the daemon is quicker and puts a file there."""
    log.unlink(missing_ok=True)
    with suppress(FileExistsError):
        log.mkdir()
    return log.is_dir()


def _refusals(daemon: Daemon) -> int:
    """Return how many lines of the event log say that the log of `p` cannot be opened."""
    return sum("cannot open log file" in line and "p.log" in line for line in daemon.events().splitlines())


def test_what_takes_the_place_of_a_log_while_it_is_written_is_never_written_through(daemon: Daemon) -> None:
    victim = daemon.home / "victim"
    victim.write_text("precious")
    daemon.write(f"programs: {{p: {{{TICKER}}}}}")
    daemon.start()
    log = daemon.home / "log" / "p.log"
    wait_until(lambda: daemon.log("p"))
    draft = daemon.home / "log" / "draft"
    for number in range(3):
        before = _refusals(daemon)
        match number:  # put there in one step where that is possible: the daemon opens the log again when it likes
            case 0:
                draft.symlink_to(victim)
                draft.replace(log)
            case 1:
                draft.hardlink_to(victim)
                draft.replace(log)
            case _:
                wait_until(lambda: _is_directory_now(log))
        daemon.signal(signal.SIGUSR1)
        assert ask(daemon, b"restart p --no-wait")[-1]["exit"] == 0
        wait_until(lambda before=before: _refusals(daemon) > before)  # type: ignore[misc]
        assert victim.read_text() == "precious"
        log.rmdir() if number == 2 else log.unlink()
        log.touch()
    assert ask(daemon, b"restart p")[-1]["exit"] == 0
    wait_until(lambda: log.is_file() and b"tick" in log.read_bytes())
    assert victim.read_text() == "precious"


@pytest.mark.sweep
def test_a_link_to_another_programs_log_is_one_programs_failed_start_and_no_error_of_the_configuration(
    daemon: Daemon,
) -> None:
    daemon.write(f"programs: {{a: {{{TICKER}, stdout: mine/a.log, startretries: 0}}, b: {{{TICKER}, stdout: b.log}}}}")
    (daemon.home / "mine").mkdir()
    (daemon.home / "b.log").write_text("")
    (daemon.home / "mine" / "a.log").symlink_to(daemon.home / "b.log")
    daemon.start()
    daemon.wait_for("a", "FATAL")
    daemon.wait_for("b", "RUNNING")
    assert ask(daemon, b"reload")[-1]["exit"] == 0
    assert "it is a symbolic link" in daemon.events()

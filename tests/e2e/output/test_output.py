"""What programs write arrives in their files, exactly; what is wrong with a file harms nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"


def _numbered(count: int) -> bytes:
    return b"".join(b"%012d %s\n" % (number, b"x" * 86) for number in range(count))


def test_a_flood_arrives_exactly_once_over_rotations_while_status_answers(daemon: Daemon) -> None:
    count = 100_000
    daemon.write(
        f"programs: {{flood: {{cmd: {PY} {PROGRAMS}/writes_lines.py {count}, log_maxbytes: 1MB, log_backups: 20, "
        "starttime: 0, autorestart: never}, quiet: {cmd: sleep 300}}"
    )
    daemon.start()
    assert daemon.ctl("status", "quiet").returncode in (0, 3)
    daemon.wait_for("flood", "EXITED", within_s=60)
    logs = sorted(
        (daemon.home / "log").glob("flood.log*"),
        key=lambda path: -int(path.suffix[1:] or 0) if path.suffix != ".log" else 1,
    )
    whole = b"".join(path.read_bytes() for path in logs)
    assert len(logs) > 5
    assert whole == _numbered(count)
    assert all(path.read_bytes().endswith(b"\n") for path in logs if path.stat().st_size)


def test_the_last_write_before_the_end_is_in_the_log_before_the_end_is_told(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/writes_on_term.py, starttime: 0}}}}")
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.log("p") == b"ready\n" + b"z" * (1 << 20)


def test_bytes_are_bytes(daemon: Daemon) -> None:
    blob = bytes(range(256)) * 3 + "snow ☃".encode()[:-1]
    (daemon.home / "blob").write_bytes(blob)
    daemon.write("programs: {p: {cmd: cat blob, starttime: 0, autorestart: never}}")
    daemon.start()
    daemon.wait_for("p", "EXITED")
    assert daemon.log("p") == blob
    shown = subprocess.run(
        [sys.executable, "-m", "taskmasterctl", "logs", "-n", "1000", "p"],
        env=daemon.environment, cwd=daemon.home, capture_output=True, check=False, timeout=10,
    )  # fmt: skip
    assert shown.stdout == blob


def test_streams_go_where_they_are_sent(daemon: Daemon) -> None:
    home = daemon.home
    daemon.write(
        "defaults: {starttime: 0, shell: true, autorestart: never, cmd: 'echo out; echo err >&2'}\n"
        "programs:\n"
        "  apart: {stdout: a.out, stderr: a.err}\n"
        "  same: {stdout: s.log, stderr: stdout}\n"
        "  default: {}\n"
        "  silent: {stdout: null, stderr: null}\n"
        "  mixed: {stdout: null, stderr: deep/down/m.err}\n"
        "  many: {numprocs: 3, stdout: 'm-${TASKMASTER_INSTANCE}.out', stderr: null}\n"
        "  shared: {numprocs: 3, stdout: all.out, stderr: null}\n"
    )
    daemon.start()
    wait_until(lambda: all(process["state"] == "EXITED" for process in daemon.status().values()))
    assert (home / "a.out").read_text() == "out\n"
    assert (home / "a.err").read_text() == "err\n"
    assert (home / "s.log").read_text() == "out\nerr\n"
    assert daemon.log("default") == b"out\nerr\n"
    assert not (home / "log" / "silent.log").exists()
    assert (home / "deep/down/m.err").read_text() == "err\n"
    assert [(home / f"m-{index}.out").read_text() for index in range(3)] == ["out\n"] * 3
    assert (home / "all.out").read_text() == "out\n" * 3
    assert (home / "a.out").stat().st_mode & 0o777 == 0o640


def test_inherit_is_the_daemons_own_stream_in_the_foreground(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: 'echo hello from p', stdout: inherit, stderr: inherit, starttime: 0, autorestart: never}}"
    )
    daemon.start_foreground()
    daemon.wait_for("p", "EXITED")
    daemon.ctl("shutdown")
    assert daemon.foreground
    daemon.foreground.wait(timeout=10)
    assert "hello from p\n" in (daemon.home / "stdout").read_text()


@pytest.mark.parametrize("kind", ["full", *in_the_sweep("fifo")])
def test_a_log_that_cannot_take_anything_now_neither_blocks_nor_kills_the_program(daemon: Daemon, kind: str) -> None:
    target = Path("/dev/full") if kind == "full" else daemon.home / "fifo"
    if kind == "fifo":
        os.mkfifo(target)
    daemon.write(
        f"programs: {{p: {{cmd: {PY} {PROGRAMS}/writes_lines.py 20000, stdout: {target}, starttime: 0, autorestart: never}}}}"
    )
    daemon.start()
    process = daemon.wait_for("p", "EXITED")
    assert process["exit"]["code"] == 0


def test_a_deleted_log_is_created_anew_and_a_renamed_one_waits_for_reopen(daemon: Daemon) -> None:
    tick = "while read line; do echo $line; done < "
    os.mkfifo(daemon.home / "in")
    daemon.write(
        f"programs: {{p: {{cmd: 'exec 3<>in; {tick} in', shell: true, stdout: logs/p.log, stderr: null, starttime: 0}}}}"
    )
    daemon.start()
    daemon.wait_for("p", "RUNNING")
    log = daemon.home / "logs/p.log"
    with (daemon.home / "in").open("w") as feed:

        def say(text: str) -> None:
            feed.write(f"{text}\n")
            feed.flush()

        say("one")
        wait_until(lambda: log.read_text() == "one\n")
        log.unlink()
        log.parent.rmdir()
        say("two")
        wait_until(lambda: log.exists() and log.read_text() == "two\n")
        log.rename(log.with_suffix(".old"))
        say("three")
        wait_until(lambda: log.with_suffix(".old").read_text() == "two\nthree\n")
        assert not log.exists()
        assert daemon.ctl("logs", "--reopen").returncode == 0
        say("four")
        wait_until(lambda: log.exists() and log.read_text() == "four\n")
        log.rename(log.with_suffix(".old"))
        daemon.signal(signal.SIGUSR2)
        wait_until(log.exists)
        say("five")
        wait_until(lambda: log.read_text() == "five\n")


def test_a_program_that_closes_its_output_lives_on_and_costs_nothing(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/closes_stdout.py, starttime: 0.2}}}}")
    daemon.start()
    daemon.wait_for("p", "RUNNING")
    ticks = _cpu_ticks(daemon.pid)
    with pytest.raises(AssertionError):
        wait_until(lambda: _cpu_ticks(daemon.pid) > ticks + 5, within_s=1)
    assert daemon.state("p") == "RUNNING"


def test_logs_shows_the_last_lines_and_follows_over_a_restart(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: 'echo \"start $$\"; echo more; exec sleep 300', shell: true, starttime: 0}}")
    daemon.start()
    wait_until(lambda: daemon.log("p").endswith(b"more\n"))
    assert daemon.ctl("logs", "-n", "1", "p").stdout == "more\n"
    follower = subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "logs", "-f", "-n", "1", "p"],
        env=daemon.environment, cwd=daemon.home, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert follower.stdout
    assert follower.stdout.readline() == "more\n"
    daemon.ctl("restart", "p")
    pid = daemon.status()["p"]["pid"]
    assert follower.stdout.readline() == f"start {pid}\n"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(timeout=20) == 130
    follower.stdout.close()
    assert "info" in daemon.ctl("logs", "--daemon", "-n", "3").stdout


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_logs_since_shows_what_was_written_since_even_after_the_program_has_ended(daemon: Daemon) -> None:
    daemon.write(
        "programs: {once: {cmd: sh -c 'echo one; echo two', autostart: false, starttime: 0, autorestart: never}}"
    )
    (daemon.home / "log").mkdir()
    (daemon.home / "log" / "once.log").write_text("long ago\n")
    daemon.start()
    nothing = daemon.ctl("logs", "--since", "1h", "once")
    assert (nothing.stdout, nothing.returncode) == ("", 0)
    assert "when older lines were written is not known" in nothing.stderr
    daemon.ctl("start", "once")
    daemon.wait_for("once", "EXITED")
    assert daemon.ctl("logs", "--since", "1h", "once").stdout == "one\ntwo\n"
    assert daemon.ctl("logs", "--since", "1h", "-n", "1", "once").stdout == "two\n"
    assert daemon.ctl("logs", "--since", "0s", "once").stdout == ""
    assert "started (pid" in daemon.ctl("logs", "--daemon", "--since", "1h").stdout
    wrong = daemon.ctl("logs", "--since", "yesterday", "once")
    assert wrong.returncode == 2
    assert '--since: "yesterday" is not a moment such as' in wrong.stderr

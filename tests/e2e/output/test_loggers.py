"""Commands that read what programs write: what they get when they, the daemon or the keeper die, and when programs end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import sys
import termios
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, marked
from tests.support.guarded import kill_daemon
from tests.support.keeper import keeper_of, kill_keeper
from tests.support.talk import upgrade
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
COUNT = """
import sys
number = 0
while True:
    sys.stdout.write("".join(f"{each}\\n" for each in range(number, number + 500)))
    number += 500
"""


COUNT_TO_THE_END = """
import os, signal
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
number = 0
while not told:
    block = memoryview("".join(f"{each}\\n" for each in range(number, number + 500)).encode())
    while block:
        block = block[os.write(1, block):]
    number += 500
with open("last", "w") as file:
    file.write(str(number - 1))
"""
"""Counts until it gets TERM, and notes the last number that it wrote."""


def written(daemon: Daemon, **programs: dict[str, object]) -> None:
    """Write a configuration of programs that are up once they are executed, with the daemon's home as their directory."""
    usual = {"starttime": 0, "stoptime": 2, "workingdir": str(daemon.home)}
    daemon.write(json.dumps({"programs": {name: {**usual, **keys} for name, keys in programs.items()}}))


def shell(cmd: str, logger: object, **keys: object) -> dict[str, object]:
    return {"cmd": cmd, "shell": True, "stdout": logger, **keys}


def loggers(daemon: Daemon, word: str) -> list[int]:
    """Return the processes in the role of a logger whose command line begins with `word`, without their children."""
    found = [pid for pid in marked(daemon.socket) if b"TASKMASTER_ROLE=logger" in _read(pid, "environ").split(b"\0")]
    parents = {
        pid: _parent(pid) for pid in found
    }  # a child has its parent's command line until it executes another one
    leaders = [pid for pid in found if parents[pid] and parents[pid] not in parents]
    return [pid for pid in leaders if _read(pid, "cmdline").startswith(word.encode())]


def _parent(pid: int) -> int:
    """Return the pid of a process's parent, 0 if the process has ended."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def test_a_stop_returns_when_the_logger_has_everything_and_a_restart_keeps_it(daemon: Daemon) -> None:
    slow = {"pipe": "while read -r line; do sleep 0.2; echo $line >> out; done", "shell": True}
    written(daemon, web=shell("echo one; echo two >&2; exec sleep 300", slow, stderr="stdout"))
    daemon.start()
    wait_until(lambda: len(loggers(daemon, "/bin/sh")) == 1)
    first = loggers(daemon, "/bin/sh")
    assert daemon.ctl("restart", "web").returncode == 0
    assert loggers(daemon, "/bin/sh") == first
    assert daemon.ctl("stop", "web").returncode == 0
    assert (daemon.home / "out").read_text().split() == ["one", "two"] * 2
    assert loggers(daemon, "/bin/sh") == []
    assert "web: stdout goes to its logger: while read" in daemon.ctl("logs", "web").stderr
    assert "| while read -r line; do sleep" in daemon.ctl("show", "web").stdout


def test_a_logger_that_cannot_be_executed_shows_and_the_next_reload_has_another_one(daemon: Daemon) -> None:
    written(daemon, web=shell("echo kept; exec sleep 300", "| ./no-such-logger"))
    daemon.start()
    wait_until(lambda: "logger: cannot execute ./no-such-logger" in str(daemon.status()["web"]["detail"]))
    daemon.wait_for("web", "RUNNING")
    (daemon.home / "no-such-logger").write_text("#!/bin/sh\nexec cat >> out\n")
    (daemon.home / "no-such-logger").chmod(0o700)
    wait_until(lambda: (daemon.home / "out").exists() and (daemon.home / "out").read_text() == "kept\n", within_s=30)
    wait_until(lambda: daemon.status()["web"]["detail"] == "")
    written(daemon, web=shell("echo more; exec sleep 300", "| sh -c 'exec cat >> other'"))
    assert daemon.ctl("reload").returncode == 0
    wait_until(lambda: (daemon.home / "other").exists() and (daemon.home / "other").read_text() == "more\n")
    wait_until(lambda: len(loggers(daemon, "")) == 1)
    assert daemon.ctl("shutdown").returncode == 0


@pytest.mark.sweep
def test_a_logger_that_keeps_ending_shows_while_its_program_fails_and_until_it_has_read_what_was_left(
    daemon: Daemon,
) -> None:
    logger = "| ./no-such-logger"
    written(
        daemon,
        fails={
            "cmd": "/bin/false",
            "stdout": logger,
            "starttime": 60,
            "startretries": 50,
            "restart_delay": 60,
            "restart_max_delay": 60,
        },
        late={"cmd": "sleep 300", "stdout": logger, "starttime": 60},
        down=shell("echo kept", logger, autorestart="never"),
    )
    daemon.start()

    missing = {("fails", "BACKOFF"), ("late", "STARTING"), ("down", "EXITED")}

    def all_seen() -> bool:
        for name, process in daemon.status().items():
            if "logger: cannot execute ./no-such-logger" in process["detail"]:
                missing.discard((name, process["state"]))
        return not missing

    wait_until(all_seen)
    wait_until(lambda: re.fullmatch("exit 0 after [0-9.]+s", daemon.status()["down"]["detail"]), within_s=40)
    assert "logger ./no-such-logger has left 5 bytes unread; they are lost" in daemon.events()


@pytest.mark.sweep
def test_a_logger_that_does_not_end_is_ended_and_said(daemon: Daemon) -> None:
    written(daemon, web=shell("exec sleep 300", "| sh -c 'trap \"\" TERM; while :; do sleep 1; done'"))
    daemon.start()
    wait_until(lambda: len(loggers(daemon, "sh")) >= 1)
    assert daemon.ctl("stop", "web").returncode == 0
    assert "has not ended 5s after its program; SIGTERM" in daemon.events()
    assert "has not ended 7s after its program; SIGKILL" in daemon.events()
    assert loggers(daemon, "sh") == []


@pytest.mark.sweep
@pytest.mark.parametrize("guardian", [False, True])
def test_no_line_is_lost_when_logger_daemon_and_keeper_die_under_full_output(daemon: Daemon, guardian: bool) -> None:
    (daemon.home / "cat.sh").write_text("#!/bin/sh\nexec dd bs=4096 of=out oflag=append conv=notrunc status=none\n")
    (daemon.home / "cat.sh").chmod(0o700)
    written(daemon, web={"cmd": ["python3", "-c", COUNT], "stdout": "| ./cat.sh"})
    daemon.start(*(["--guard"] if guardian else []))
    out, killed_at = daemon.home / "out", 0
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    for way in ("daemon", "logger", "daemon", "upgrade", "keeper", "daemon"):
        size = out.stat().st_size if out.exists() else 0
        wait_until(lambda size=size: out.exists() and out.stat().st_size > size)  # type: ignore[misc]
        if way == "daemon" and guardian:
            kill_daemon(daemon)
            wait_until(lambda: daemon.ctl("pid").returncode == 0)
        elif way == "daemon":
            daemon.kill()
            daemon.start()
        elif way == "upgrade":
            upgrade(daemon)
        elif way == "keeper":
            kill_keeper(daemon)
            keeper_of(daemon)
        else:
            logger, killed_at = loggers(daemon, "dd")[0], out.stat().st_size
            _kill_logger(daemon, pid)
            wait_until(lambda: loggers(daemon, "dd") not in ([], [logger]))  # noqa: B023
            daemon.status()  # by now the daemon has noted the new one, and the next daemon adopts it
    assert daemon.status()["web"]["pid"] == pid
    assert daemon.ctl("stop", "web").returncode == 0
    lines = out.read_text().split("\n")
    whole = lines if lines[-1] else lines[:-1]
    wrong = next((at for at, line in enumerate(whole[:-1]) if line != str(at)), None)  # the last one may be cut
    said = "\n".join(line for line in daemon.events().splitlines() if "logger" in line)
    assert wrong is None, f"{whole[wrong - 2 : wrong + 3]} {killed_at}\n{said}"


@pytest.mark.sweep
def test_ten_deaths_of_the_daemon_and_five_of_the_logger_cost_no_line_and_a_stop_returns_after_the_last(
    daemon: Daemon,
) -> None:
    (daemon.home / "cat.sh").write_text("#!/bin/sh\nexec dd bs=4096 of=out oflag=append conv=notrunc status=none\n")
    (daemon.home / "cat.sh").chmod(0o700)
    written(daemon, web={"cmd": ["python3", "-c", COUNT_TO_THE_END], "stdout": "| ./cat.sh", "stoptime": 10})
    daemon.start()
    out = daemon.home / "out"
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    for turn in range(15):
        size = out.stat().st_size if out.exists() else 0
        wait_until(lambda size=size: out.exists() and out.stat().st_size > size)  # type: ignore[misc]
        if turn % 3 == 1:
            _kill_logger(daemon, pid)
        else:
            daemon.kill()
            daemon.start()
    assert daemon.status()["web"]["pid"] == pid
    assert daemon.ctl("stop", "web").returncode == 0
    text, last = out.read_text(), int((daemon.home / "last").read_text())
    assert text == "".join(f"{number}\n" for number in range(last + 1))


def _kill_logger(daemon: Daemon, pid: int) -> None:
    """Kill the logger while it waits for its stopped program: by then it has written all that it has read."""
    wait_until(lambda: len(loggers(daemon, "dd")) == 1)
    logger = loggers(daemon, "dd")[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: b") T " in _read(pid, "stat"))
    wait_until(lambda: _blocks_in_read(logger))
    os.kill(logger, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{logger}"))  # what it reads as it dies is lost
    os.kill(pid, signal.SIGCONT)


@pytest.mark.sweep
def test_a_logger_that_the_daemon_could_not_note_before_its_death_is_found_and_stays_the_only_one(
    daemon: Daemon,
) -> None:
    write = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"
    written(daemon, web=shell(write, "| cat -u /dev/stdin"), zoo=shell(write, "| tee other"))
    daemon.start()

    def of(word: str) -> int:
        found = loggers(daemon, word)
        return found[0] if len(found) == 1 else 0

    wait_until(lambda: of("cat") and of("tee"))
    first, other = of("cat"), of("tee")
    wait_until(lambda: {str(first), str(other)} <= set(re.findall("[0-9]+", daemon.state_file.read_text())))
    state = daemon.state_file.read_bytes()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: of("cat") not in (0, first))
    second = of("cat")
    daemon.kill()
    os.kill(other, signal.SIGKILL)
    daemon.state_file.write_bytes(state)  # as it is between the start of a logger and the line about it
    daemon.start()
    # it was looked for after the one of web, and had to be started again
    wait_until(lambda: of("tee") not in (0, other))
    assert loggers(daemon, "cat") == [second]
    assert daemon.ctl("stop", "all").returncode == 0
    assert loggers(daemon, "") == []


def _blocks_in_read(pid: int) -> bool:
    """Whether a process sleeps in read(2) on an empty pipe, and is not only between two turns in it. Source: proc(5), syscall."""
    with open(f"/proc/{pid}/fd/0", "rb", buffering=0) as pipe:
        if int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder):
            return False
    return _read(pid, "syscall").startswith(b"0 0x0 ") and b") S " in _read(pid, "stat")


@pytest.mark.sweep
@pytest.mark.skipif(not shutil.which("s6-log"), reason="s6-log is not installed")
def test_s6_log_and_multilog_keep_their_directories(daemon: Daemon) -> None:
    programs = {"six": shell("seq 1 5000; exec sleep 300", "| s6-log n20 s100000 ./six")}
    if shutil.which("multilog"):
        programs["multi"] = shell("seq 1 5000; exec sleep 300", "| multilog n20 s100000 ./multi")
    written(daemon, **programs)
    daemon.start()
    wait_until(lambda: len(loggers(daemon, "")) == len(programs))
    daemon.kill()
    daemon.start()
    assert daemon.ctl("stop", "all").returncode == 0
    for name in programs:
        files = sorted(each for each in (daemon.home / name).iterdir() if each.name.startswith("@"))
        text = "".join(each.read_text() for each in (*files, daemon.home / name / "current"))
        assert [*map(int, text.split())] == [*range(1, 5001)]

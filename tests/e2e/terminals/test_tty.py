"""`tty`: programs on terminals of their own, and what becomes of their output when daemon or keeper die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.guarded import config, kill_daemon
from tests.support.keeper import file_has, keeper_of, kill_keeper
from tests.support.terminal import in_front
from tests.support.wait import wait_until
from tests.support.wire import descriptors, sleep_for

pytestmark = pytest.mark.slow
ONCE = {"autorestart": "never", "starttime": 0, "shell": True}
NUMBERS = "stty -opost; i=0; while :; do i=$((i+1)); echo $i; test $((i % 50)) -gt 0 || sleep 0.005; done"


def counted(log: bytes) -> list[int]:
    """Return the numbers that are in a log, without an incomplete last line."""
    return [int(line) for line in log.split(b"\n")[:-1]]


def test_a_program_finds_its_terminal_right_before_its_first_instruction(daemon: Daemon) -> None:
    look = "stty size; echo $TERM ${COLUMNS-none} ${LINES-none}; stty -a | grep -o '[-]ixon'; ps -o tty= -p $$; cat /dev/tty & sleep 0.1; kill $!"
    daemon.write(
        config(
            big={"cmd": look, "tty": {"rows": 50, "cols": 132, "term": "dumb"}, **ONCE},
            plain={"cmd": "tty; stty size; echo to stderr >&2", "tty": True, **ONCE},
            job={"cmd": "bash --norc -i", "tty": True, "starttime": 0, "env": {"PS1": "> "}},
        )
    )
    daemon.environment.update(COLUMNS="7", LINES="7")
    daemon.start()
    daemon.wait_for("big", "EXITED")
    assert daemon.log("big").split(b"\r\n")[:3] == [b"50 132", b"dumb none none", b"-ixon"]
    daemon.wait_for("plain", "EXITED")
    first, size, third, _ = daemon.log("plain").split(b"\r\n")
    assert first.startswith(b"/dev/pts/")
    assert (size, third) == (b"24 80", b"to stderr")
    wait_until(lambda: daemon.log("job").endswith(b"> "))
    assert daemon.ctl("send", "job", "sleep 300").returncode == 0
    wait_until(lambda: in_front(daemon.status()["job"]["pid"]) == "sleep 300")
    assert daemon.ctl("send", "--no-newline", "job", "\x03").returncode == 0
    assert daemon.ctl("send", "job", "echo $((6*7))").returncode == 0
    wait_until(
        lambda: b"\r42\r\n" in daemon.log("job") and daemon.log("job").endswith(b"> ")
    )  # so that it reads Ctrl-D itself
    assert daemon.ctl("send", "--eof", "job").returncode == 0
    daemon.wait_for("job", "EXITED")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs of others")
def test_the_terminal_is_the_program_s_user_s_and_others_may_not_read_it(daemon: Daemon) -> None:
    daemon.home.chmod(0o755)
    look = "stat -L -c '%U %a' /dev/stdin; tty; echo x > /dev/tty && echo opened"
    daemon.write(config(own={"cmd": look, "tty": True, "user": "nobody", "workingdir": "/", **ONCE}))
    daemon.start()
    daemon.wait_for("own", "EXITED")
    lines = daemon.log("own").split(b"\r\n")
    assert lines[0] == b"nobody 620"
    assert lines[2:4] == [b"x", b"opened"]


def test_what_short_programs_write_is_all_in_the_log_and_before_their_end_is_said(daemon: Daemon) -> None:
    daemon.write(config(hi={"cmd": "echo hi", "tty": True, "autostart": False, **ONCE}))
    daemon.start()
    for count in range(1, 11):
        assert daemon.ctl("start", "hi").returncode == 0
        daemon.wait_for("hi", "EXITED")
        assert daemon.log("hi") == b"hi\r\n" * count


@pytest.mark.sweep
def test_no_byte_is_lost_and_nothing_hangs_up_when_the_daemon_dies(daemon: Daemon) -> None:
    daemon.write(config(numbers={"cmd": NUMBERS, "tty": True, "starttime": 0, "shell": True, "autorestart": "never"}))
    daemon.start()
    pid = daemon.status()["numbers"]["pid"]
    for _ in range(3):
        seen = len(daemon.log("numbers"))
        wait_until(lambda seen=seen: len(daemon.log("numbers")) > seen)  # type: ignore[misc]
        daemon.kill()
        daemon.start()
        assert daemon.status()["numbers"]["pid"] == pid
    assert daemon.ctl("upgrade").returncode == 0
    assert daemon.ctl("stop", "numbers").returncode == 0
    numbers = counted(daemon.log("numbers"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.sweep
def test_the_same_with_a_guardian(daemon: Daemon) -> None:
    daemon.write(config(numbers={"cmd": NUMBERS, "tty": True, "starttime": 0, "shell": True}))
    daemon.start("--guard")
    wait_until(lambda: bool(daemon.log("numbers")))
    pid = daemon.status()["numbers"]["pid"]
    kill_daemon(daemon)
    assert daemon.status()["numbers"]["pid"] == pid
    assert daemon.ctl("stop", "numbers").returncode == 0
    numbers = counted(daemon.log("numbers"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.sweep
def test_a_killed_keeper_costs_a_chunk_at_most_and_no_program(daemon: Daemon) -> None:
    daemon.write(config(numbers={"cmd": NUMBERS, "tty": True, "starttime": 0, "shell": True}))
    daemon.start()
    keeper_of(daemon)
    pid = daemon.status()["numbers"]["pid"]
    wait_until(lambda: bool(daemon.log("numbers")))
    kill_keeper(daemon)
    keeper_of(daemon)
    seen = len(daemon.log("numbers"))
    wait_until(lambda: len(daemon.log("numbers")) > seen)
    assert daemon.status()["numbers"]["pid"] == pid
    daemon.kill()  # the pipe of the second keeper is found again, too
    daemon.start()
    assert daemon.ctl("stop", "numbers").returncode == 0
    expected = b"".join(b"%d\n" % number for number in range(1, 1_000_000))
    log = daemon.log("numbers")
    same = next(at for at in range(len(log)) if log[at] != expected[at]) if not expected.startswith(log) else len(log)
    assert log[same:] in expected[same : len(log) + 4096], "something else than a chunk is missing"


@pytest.mark.sweep
def test_a_program_whose_daemon_and_keeper_die_together_gets_a_hang_up_and_is_started_again(daemon: Daemon) -> None:
    daemon.write(config(sh={"cmd": "bash --norc -i", "tty": True, "starttime": 0, "autorestart": "always"}))
    daemon.start()
    daemon.wait_for("sh", "RUNNING")
    pid = daemon.status()["sh"]["pid"]
    keeper_of(daemon)
    os.kill(daemon.pid, signal.SIGSTOP)
    kill_keeper(daemon)
    daemon.kill()
    daemon.start()
    wait_until(lambda: daemon.status()["sh"]["pid"] not in (None, pid))
    assert "what it reads cannot be reached any more: the keeper has died with the daemon" in daemon.events()


@pytest.mark.sweep
def test_what_a_leader_leaves_on_its_terminal_goes_on_writing_and_the_pipe_ends_with_it(daemon: Daemon) -> None:
    left = "trap '' HUP; (until test -e go; do sleep 0.02; done; echo late) & exit 0"
    daemon.write(config(leaves={"cmd": left, "tty": True, "stopasgroup": False, **ONCE}))
    daemon.start()
    daemon.wait_for("leaves", "EXITED")
    before = descriptors(daemon)
    (daemon.home / "go").touch()
    file_has(daemon.home / "log" / "leaves.log", b"late\r\n")
    wait_until(lambda: descriptors(daemon) < before)
    assert daemon.status()["leaves"]["state"] == "EXITED"


@pytest.mark.sweep
def test_a_terminal_whose_output_is_discarded_never_holds_its_program_up(daemon: Daemon) -> None:
    daemon.write(config(much={"cmd": "head -c 1000000 /dev/zero | tr '\\0' x", "tty": True, "stdout": "null", **ONCE}))
    daemon.start()
    daemon.wait_for("much", "EXITED")
    assert daemon.status()["much"]["detail"].startswith("exit 0"), "it has written all, and was not killed"
    assert not (daemon.home / "log" / "much.log").exists()


@pytest.mark.sweep
def test_ten_megabytes_are_all_in_the_log_and_idle_terminals_wake_nobody(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(
        config(
            much={"cmd": "stty -opost; head -c 10000000 /dev/zero | tr '\\0' x", "tty": True, **ONCE},
            quiet={"cmd": "sleep 300", "tty": True, "numprocs": 20, "starttime": 0, "stdout": str(Path("quiet"))},
        )
    ).start()
    daemon.wait_for("much", "EXITED", within_s=60)
    wait_until(lambda: len(daemon.log("much")) == 10_000_000)
    sleep_for(10, daemon.pid, keeper_of(daemon))

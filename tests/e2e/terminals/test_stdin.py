"""`stdin: pipe` and `send`: what programs get, and that nothing but an end of their input is one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.guarded import config, kill_daemon
from tests.support.keeper import file_has, keeper_of, keepers, kill_keeper
from tests.support.wait import wait_until
from tests.support.wire import ask

pytestmark = pytest.mark.slow
COPY = {"cmd": "cat", "stdin": "pipe", "starttime": 0}
MUTE = {"cmd": "sleep 300", "stdin": "pipe", "starttime": 0}
NONE = {"cmd": "sleep 300", "starttime": 0}


def log_of(daemon: Daemon, name: str) -> Path:
    return daemon.home / "log" / f"{name}.log"


def test_a_program_gets_lines_files_and_the_end_of_its_input(daemon: Daemon) -> None:
    daemon.write(config(copy={**COPY, "autorestart": "never"}, other=COPY, none=NONE))
    daemon.start()
    done = daemon.ctl("send", "copy", "one", "two")
    assert (done.returncode, done.stdout, done.stderr) == (0, "copy sent (8 bytes)\n", "")
    assert daemon.ctl("send", "--no-newline", "copy", "\udcff", "--").returncode == 0
    assert daemon.ctl("send", "copy", "").returncode == 0
    file_has(log_of(daemon, "copy"), b"one two\n\xff\n")
    (daemon.home / "file").write_bytes(bytes(range(256)) * 1000)
    assert daemon.ctl("send", "--eof", "--file", "file", "copy").stdout == "copy sent (256000 bytes)\n"
    daemon.wait_for("copy", "EXITED")
    assert daemon.log("copy") == b"one two\n\xff\n" + bytes(range(256)) * 1000
    several = daemon.ctl("send", "*", "x")
    assert several.returncode == 1
    assert several.stdout == "other sent (2 bytes)\n"
    assert several.stderr == (
        "taskmasterctl: copy got nothing: nothing runs there\n"
        "taskmasterctl: none got nothing: none has no stdin; set tty: true or stdin: pipe\n"
    )
    assert daemon.ctl("send", "copi", "x").returncode == 5
    assert daemon.ctl("send", "other").returncode == 2
    assert "one two" not in daemon.events()
    assert daemon.ctl("--timeout", "25", "send", "--file", "-", "other", stdin="from a pipe").returncode == 0
    file_has(log_of(daemon, "other"), b"x\nfrom a pipe")


def test_what_a_program_does_not_read_is_counted_and_not_sent_later(daemon: Daemon) -> None:
    daemon.write(config(mute=MUTE))
    daemon.start()
    (daemon.home / "file").write_bytes(b"x" * 200_000)
    done = daemon.ctl("--timeout", "3", "send", "--file", "file", "mute")
    assert done.returncode == 124
    assert done.stderr.splitlines()[1] == "  mute has got 65536 bytes; the rest is not sent."
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "send", "mute", "late"],
        env=daemon.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        wait_until(lambda: daemon.events().count(": send ") == 2)
        assert daemon.ctl("stop", "mute").returncode == 0
        assert waiting.stderr
        assert waiting.wait(20) == 1
        assert waiting.stderr.read() == "taskmasterctl: mute got nothing: stopped\n"


@pytest.mark.sweep
def test_the_input_goes_on_when_the_daemon_or_its_keeper_dies_and_after_an_upgrade(daemon: Daemon) -> None:
    daemon.write(config(copy=COPY))
    daemon.start()
    pid = daemon.status()["copy"]["pid"]
    daemon.kill()
    daemon.start()
    assert daemon.ctl("send", "copy", "after a crash").returncode == 0
    keeper = keeper_of(daemon)
    assert daemon.ctl("upgrade").returncode == 0
    assert keepers(daemon) == [keeper]
    assert daemon.ctl("send", "copy", "after an upgrade").returncode == 0
    kill_keeper(daemon)
    wait_until(lambda: keepers(daemon) != [])
    assert f"the keeper (pid {keeper}) has died; starting another one" in daemon.events()
    assert daemon.ctl("send", "copy", "with another keeper").returncode == 0
    daemon.kill()
    daemon.start()
    assert daemon.ctl("send", "--eof", "copy", "end").returncode == 0
    file_has(log_of(daemon, "copy"), b"after a crash\nafter an upgrade\nwith another keeper\nend\n")
    daemon.wait_for("copy", "EXITED")
    assert daemon.events().count("copy started (pid ") == daemon.events().count(f"copy started (pid {pid})") == 1
    assert daemon.ctl("shutdown").returncode == 0
    wait_until(lambda: keepers(daemon) == [])
    assert [path.name for path in daemon.home.iterdir() if "keeper" in path.name] == []


@pytest.mark.sweep
def test_a_guardian_s_next_daemon_writes_on_and_the_keeper_stays(daemon: Daemon) -> None:
    daemon.write(config(copy=COPY))
    daemon.start("--guard")
    keeper = keeper_of(daemon)
    kill_daemon(daemon)
    assert daemon.ctl("send", "copy", "line").returncode == 0
    assert keepers(daemon) == [keeper]
    file_has(log_of(daemon, "copy"), b"line\n")
    assert daemon.ctl("shutdown").returncode == 0


@pytest.mark.sweep
def test_a_program_whose_daemon_and_keeper_die_together_sees_an_end_and_that_is_said(daemon: Daemon) -> None:
    daemon.write(config(copy={**COPY, "autorestart": "never"}, mute=MUTE))
    daemon.start()
    keeper_of(daemon)
    daemon.wait_for("mute", "RUNNING")
    os.kill(daemon.pid, signal.SIGSTOP)
    kill_keeper(daemon)
    daemon.kill()
    daemon.start()
    daemon.wait_for("copy", "EXITED")
    assert "mute:0: what it reads cannot be reached any more: the keeper has died with the daemon" in daemon.events()
    assert "mute got nothing: mute has no stdin any more; restart it" in daemon.ctl("send", "mute", "x").stderr


@pytest.mark.sweep
def test_input_waits_over_an_upgrade_and_arrives_in_order(daemon: Daemon) -> None:
    script = "while ! test -e go; do sleep 0.02; done; exec cat"
    daemon.write(config(slow={**COPY, "cmd": script, "shell": True}))
    daemon.start()
    content = b"".join(b"%06d\n" % number for number in range(40_000))
    (daemon.home / "file").write_bytes(content)
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "send", "--file", "file", "slow"],
        env=daemon.environment,
        cwd=daemon.home,
        stdout=subprocess.PIPE,
        text=True,
    ) as waiting:
        wait_until(lambda: ": send --no-newline slow" in daemon.events())
        assert daemon.ctl("upgrade").returncode == 0
        assert waiting.poll() is None
        (daemon.home / "go").touch()
        assert waiting.wait(20) == 0
        assert waiting.stdout
        assert waiting.stdout.read() == f"slow sent ({len(content)} bytes)\n"
    file_has(log_of(daemon, "slow"), content)


@pytest.mark.sweep  # an idle keeper waits for 10 s
def test_a_daemon_without_such_a_program_has_no_keeper_and_an_idle_keeper_ends(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon(config(none=NONE, later={**COPY, "autostart": False})).start()
    assert keepers(daemon) == []
    assert daemon.ctl("start", "later").returncode == 0
    keeper_of(daemon)
    assert daemon.ctl("stop", "later").returncode == 0
    wait_until(lambda: keepers(daemon) == [], within_s=40)
    assert "keeper" not in daemon.events()
    assert daemon.ctl("start", "later").returncode == 0
    assert daemon.ctl("send", "later", "x").returncode == 0


def test_the_wire_takes_input_by_hand_ignores_what_comes_late_and_refuses_what_nothing_has_asked_for(
    daemon: Daemon,
) -> None:
    daemon.write(config(copy=COPY))
    daemon.start()
    said = ask(daemon, b'{"type":"eof"}\nsend copy\n{"type":"input","text":"a"}\n{"type":"eof"}\n{"type":"eof"}\npid')
    kinds = [message["type"] for message in said]
    assert kinds.count("end") == 3, said
    assert said[kinds.index("end")]["error"]["code"] == "unknown-verb"
    assert [message.get("bytes") for message in said if message["type"] == "result"] == [2]
    for wrong in (b"send nosuch", b"send copy and more"):
        said = ask(daemon, wrong + b'\n{"type":"input","text":"a"}\n{"type":"eof"}\npid')
        assert [message["type"] for message in said].count("end") == 2, "its input is no request"
    refused = ask(daemon, b"send copy\n{nonsense}")
    assert refused[-1]["error"]["code"] == "usage"

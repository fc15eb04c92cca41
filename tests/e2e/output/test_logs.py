"""`logs`: of all programs, of one program's events, opened anew for one program, and what --stderr shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

CONFIG = """
programs:
  web: {cmd: "sh -c 'echo out; echo err >&2; exec sleep 300'", starttime: 0, numprocs: 2}
  web-x: {cmd: "sh -c 'echo x-out; echo x-err >&2; exec sleep 300'", starttime: 0, stderr: own.err}
"""


@pytest.fixture
def running(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon whose programs have written what they have to say."""
    daemon = make_daemon(CONFIG).start()
    wait_until(lambda: all(daemon.log(name).endswith(b"err\n") for name in ("web", "web-1")))
    wait_until(lambda: daemon.log("web-x") == b"x-out\n")
    return daemon


def test_without_a_name_all_programs_are_shown_each_line_after_a_name(running: Daemon) -> None:
    lines = running.ctl("logs").stdout.splitlines()
    assert sorted(lines) == ["web-x | x-out", "web:0 | err", "web:0 | out", "web:1 | err", "web:1 | out"]
    running.write("programs: {solo: {cmd: sh -c 'echo alone; exec sleep 300', starttime: 0}}")
    assert running.ctl("reload").returncode == 0
    wait_until(lambda: running.ctl("logs").stdout == "solo | alone\n")


def test_the_event_log_of_one_program_is_about_that_program_alone(running: Daemon) -> None:
    for words in ("restart web", "stop web-x", "start web-x", "stop web:1"):
        assert running.ctl(*words.split()).returncode == 0

    def names(*words: str) -> set[str]:
        done = running.ctl("logs", "--daemon", *words)
        assert (done.returncode, done.stderr) == (0, "")
        return {line.split()[2] for line in done.stdout.splitlines()}

    assert names("web") == {"web:0", "web:1"}
    assert names("web:1") == {"web:1"}
    assert names("web-x") == {"web-x"}
    assert names("web*") == {"web:0", "web:1", "web-x"}
    last = running.ctl("logs", "--daemon", "-n", "1", "web").stdout
    assert last.count("\n") == 1
    assert " web:1 stopped" in last
    done = running.ctl("logs", "--daemon", "nosuch")
    assert (done.returncode, done.stdout) == (4, "")
    assert 'no program named "nosuch"' in done.stderr


@pytest.mark.sweep
def test_the_events_of_one_program_are_followed_over_an_upgrade(running: Daemon) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "logs", "--daemon", "-f", "-n", "1", "web-x"],
        env=running.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert "web-x running" in client.stdout.readline()
        assert running.ctl("restart", "web").returncode == 0
        assert running.ctl("upgrade").returncode == 0
        assert running.ctl("stop", "web").returncode == 0
        assert running.ctl("stop", "web-x").returncode == 0
        assert " web-x stopping" in client.stdout.readline()
        client.send_signal(2)
        assert client.wait(10) == 130


@pytest.mark.sweep
def test_logs_of_one_program_are_opened_anew_and_the_others_are_not(running: Daemon) -> None:
    for name in ("web.log", "web-x.log", "taskmasterd.log"):
        os.rename(running.home / "log" / name, running.home / "log" / f"{name}.moved")
    done = running.ctl("logs", "--reopen", "nosuch")
    assert done.returncode == 4
    assert 'no program named "nosuch"' in done.stderr
    assert running.ctl("logs", "--reopen", "web:0").returncode == 0
    assert running.ctl("restart", "web:0", "web-x").returncode == 0
    wait_until(lambda: running.log("web").endswith(b"err\n"))
    assert not (running.home / "log" / "taskmasterd.log").exists()


def test_stderr_says_where_both_streams_share_a_file(running: Daemon) -> None:
    done = running.ctl("logs", "--stderr", "web:0")
    assert sorted(done.stdout.splitlines()) == ["err", "out"]
    assert done.stderr == "taskmasterctl: warning: web:0: the standard output goes to the same file and is shown too\n"
    done = running.ctl("logs", "--stderr", "web-x")
    assert (done.stdout, done.stderr) == ("x-err\n", "")
    assert running.ctl("logs", "web").stderr == ""


@pytest.mark.sweep
def test_a_file_that_instances_share_is_shown_once_with_the_name_of_the_program(running: Daemon) -> None:
    program = "{cmd: sh -c 'echo hello; exec sleep 300', numprocs: 2, starttime: 0, stdout: both.log}"
    running.write(f"programs: {{shared: {program}, other: {{cmd: sleep 300, starttime: 0}}}}")
    assert running.ctl("reload").returncode == 0
    wait_until(lambda: running.ctl("logs").stdout == "shared | hello\n" * 2)
    assert running.ctl("logs", "shared").stdout == "hello\n" * 2
    named = running.ctl("logs", "shared:1", "other").stdout
    assert named == "shared:1 | hello\n" * 2, "who asks for one instance gets the name that he has asked for"


@pytest.mark.sweep
def test_timestamps_say_about_when_lines_of_a_raw_log_were_written(running: Daemon) -> None:
    (running.home / "log" / "old.log").write_bytes(b"before\n")
    program = "cmd: sh -c 'echo one; printf t; sleep 1.2; echo wo; exec sleep 300', starttime: 0"
    stamped = "cmd: echo mine, type: oneshot, log_format: prefix"
    running.write(f"programs: {{old: {{{program}}}, own: {{{stamped}}}}}")
    assert running.ctl("reload").returncode == 0
    wait_until(lambda: running.log("old").endswith(b"two\n") and running.log("own"))
    now = time.time()
    lines = running.ctl("logs", "--timestamps", "old").stdout.splitlines()
    assert lines[0] == "~? before"
    times = [re.fullmatch(r"~(?:\d{4}-\d\d-\d\d )?(\d\d:\d\d:\d\d) (one|two)", line) for line in lines[1:]]
    assert [each[2] for each in times if each] == ["one", "two"]
    about = [time.strftime("%H:%M:%S", time.localtime(now - ago)) for ago in range(25)]
    assert all(each[1] in about for each in times if each)
    assert running.ctl("logs", "--timestamps", "own").stdout == running.log("own").decode()
    texts = [json.loads(line) for line in running.ctl("--json", "logs", "--timestamps", "old").stdout.splitlines()]
    found = [(each["text"], each["at"]) for each in texts if each["type"] == "output"]
    assert "".join(text for text, _at in found) == "before\none\ntwo\n"
    assert found[0][1] is None
    assert found[1][1] <= found[-1][1] <= now
    assert running.ctl("logs", "--timestamps", "--merge").returncode == 2

"""What programs get to see of their surroundings, by the daemon and the client as they are installed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

PLAIN = "programs: {web: {cmd: sleep 300, starttime: 0, stoptime: 2, stdout: 'null', stderr: 'null', env: {A: one}}}"
SHARED = """
include: [more.yaml]
programs: {web: {extends: sleeper, stdout: 'null'}}
"""
MORE = """
templates:
  quiet: {stdout: /dev/full, stderr: 'null', env: {A: none}}
  sleeper: {extends: quiet, cmd: sleep 300, starttime: 0, stoptime: 2, env: {A: one}}
"""


def test_keys_that_move_into_a_template_of_another_file_restart_nothing(daemon: Daemon) -> None:
    daemon.write(PLAIN)
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    (daemon.home / "more.yaml").write_text(MORE)
    daemon.write(SHARED)
    assert daemon.ctl("reload", "--dry-run", "--exit-code").returncode == 0
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] == pid
    (daemon.home / "more.yaml").write_text(MORE.replace("quiet: {", "quiet: {extends: sleeper, "))
    refused = daemon.ctl("reload")
    assert refused.returncode != 0
    assert "the templates make a circle: quiet → sleeper → quiet" in refused.stderr
    assert daemon.status()["web"]["pid"] == pid


# -- clear_env and stdin: one daemon with a program for each case, which prints its variables and what it reads

CASES = {
    "plain": "",
    "none": "clear_env: true, env: {A: b}",
    "some": "clear_env: [KEPT, NOT_THERE, HOME]",
    "own": "clear_env: true, env: {PATH: '/only:/usr/bin:/bin', HOME: null}",
    "file": "stdin: ./input.txt",
    "slot": "numprocs: 2, stdin: 'input-${TASKMASTER_INSTANCE}.txt/../input.${TASKMASTER_INSTANCE}'",
    "fifo": "stdin: ./fifo",
    "gone": "stdin: ./none, startretries: 0",
    "directory": "stdin: ./., startretries: 0",
}
OF_DAEMON = {"KEPT": "1", "OTHER": "2", "HOME": "/home/of/daemon", "LISTEN_FDNAMES": "x", "OLDPWD": "/x"}


@pytest.fixture(scope="module")
def cases(share_daemon: Callable[[str], Daemon]) -> Daemon:
    keys = "starttime: 0, autorestart: never, stoptime: 2"
    lines = [f"  {name}: {{cmd: cat /proc/self/environ -, {keys}, {more}}}\n" for name, more in CASES.items()]
    daemon = share_daemon(f"programs:\n{''.join(lines)}")
    (daemon.home / "input.txt").write_text("one\ntwo\n")
    for number in range(2):
        (daemon.home / f"input-{number}.txt").mkdir()
        (daemon.home / f"input.{number}").write_text(f"slot {number}\n")
    os.mkfifo(daemon.home / "fifo")
    daemon.environment.update(OF_DAEMON)
    daemon.start()
    for name in ("plain", "none", "some", "own", "file", "slot:0", "slot:1"):
        daemon.wait_for(name, "EXITED")
    return daemon


def printed(daemon: Daemon, log: str) -> tuple[dict[str, str], str]:
    """Return the variables that a program had, and what it has read."""
    *variables, read = daemon.log(log).decode().split("\0")
    return dict(each.split("=", 1) for each in variables), read


OWN = {"TASKMASTER_PROGRAM", "TASKMASTER_INSTANCE", "TASKMASTER_SOCKET", "TASKMASTER_MARK", "PWD", "PYTHONUNBUFFERED"}


def test_a_program_inherits_what_does_not_mean_the_daemon_alone(cases: Daemon) -> None:
    variables, read = printed(cases, "plain")
    assert {name: variables[name] for name in ("KEPT", "OTHER", "HOME")} == {
        name: OF_DAEMON[name] for name in ("KEPT", "OTHER", "HOME")
    }
    assert variables.keys().isdisjoint({"LISTEN_FDNAMES", "OLDPWD"})
    assert read == ""


def test_clear_env_leaves_a_path_and_whose_program_it_is(cases: Daemon) -> None:
    variables, _ = printed(cases, "none")
    me = pwd.getpwuid(os.geteuid())
    assert {name: text for name, text in variables.items() if name not in OWN} == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "A": "b",
        "HOME": me.pw_dir, "USER": me.pw_name, "LOGNAME": me.pw_name, "SHELL": me.pw_shell or "/bin/sh",
    }  # fmt: skip
    assert variables.keys() >= OWN


def test_clear_env_with_a_list_keeps_these_and_env_decides_over_all(cases: Daemon) -> None:
    variables, _ = printed(cases, "some")
    assert (variables["KEPT"], variables["HOME"]) == ("1", "/home/of/daemon")
    assert variables.keys().isdisjoint({"OTHER", "NOT_THERE"})
    variables, _ = printed(cases, "own")
    assert variables["PATH"] == "/only:/usr/bin:/bin"
    assert "HOME" not in variables


def test_a_file_is_read_from_its_beginning_at_each_start(cases: Daemon) -> None:
    assert printed(cases, "file")[1] == "one\ntwo\n"
    assert cases.ctl("start", "file").returncode == 0
    wait_until(lambda: cases.log("file").endswith(b"one\ntwo\n") and cases.log("file").count(b"two") == 2)
    assert [printed(cases, log)[1] for log in ("slot", "slot-1")] == ["slot 0\n", "slot 1\n"]


def test_a_fifo_neither_delays_the_start_nor_ends(cases: Daemon) -> None:
    pid = cases.wait_for("fifo", "RUNNING")["pid"]
    for line in ("first\n", "second\n"):  # each writer closes it
        (cases.home / "fifo").write_text(line)
    wait_until(lambda: cases.log("fifo").endswith(b"\0first\nsecond\n"))
    assert cases.status()["fifo"]["pid"] == pid


def test_what_cannot_be_opened_fails_the_start_and_says_why(cases: Daemon) -> None:
    for name, reason in (("gone", "/none: no such file or directory"), ("directory", ": is a directory")):
        cases.wait_for(name, "FATAL")
        shown = cases.ctl("show", name).stdout
        assert f"cannot open stdin {cases.home}" in shown
        assert reason in shown
    refused = cases.ctl("send", "fifo", "x")
    assert "stdin: pipe" in refused.stderr

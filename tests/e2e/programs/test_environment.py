"""What programs get to see of their surroundings, by the daemon and the client as they are installed."""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from taskmasterd.system.pidfds import awaits_exec
from tests.support.daemon import ROOT, Daemon, process_exists
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


@pytest.mark.sweep
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
    "files": "env_file: [a.env, '?none.env', b.env], env: {OWN: env, KEPT: null, FILE: {file: value}}",
    "bad": "env_file: bad.env, startretries: 0",
    "hangs": "env_file: empty.fifo, startretries: 0, start_timeout: 0.5",
    "hangs-too": "env: {A: {file: empty.fifo}}, startretries: 0, start_timeout: 0.5",
    "waits": "env_file: empty.fifo, start_timeout: 300, autostart: false",
    "hook": "env_file: a.env, pre_start: {shell: true, cmd: 'test \"$PLAIN\" = b'}",
}
SECRET = "hunter2-of-the-file"
TABLE = b"""\xef\xbb\xbf# the first line\r
PLAIN=b\r
COMMENT=b # c
  HASH=b#c\r
HOME=$HOME ${HOME}
export EXPORTED=1
QUOTED='a "b" # \\n'
LINES="one
two\\tthree \\"four\\"" # five
BYTES=\xe9\xff
LATER=1
OWN=file
KEPT=file
TASKMASTER_INSTANCE=77
"""
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
    os.mkfifo(daemon.home / "empty.fifo")
    (daemon.home / "a.env").write_bytes(TABLE)
    (daemon.home / "b.env").write_bytes(b"LATER=2\n")
    (daemon.home / "value").write_bytes(b"two\nlines \xff\n\n")
    (daemon.home / "bad.env").write_text(f"A=b\n{SECRET}")
    daemon.environment.update(OF_DAEMON)
    daemon.start()
    for name in ("plain", "none", "some", "own", "file", "slot:0", "slot:1", "files", "hook"):
        daemon.wait_for(name, "EXITED")
    return daemon


def printed(daemon: Daemon, log: str) -> tuple[dict[str, str], str]:
    """Return the variables that a program had, and what it has read."""
    *variables, read = os.fsdecode(daemon.log(log)).split("\0")
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


# -- variables from files


def test_a_file_of_variables_is_read_to_the_byte_and_env_is_stronger(cases: Daemon) -> None:
    variables, _ = printed(cases, "files")
    assert {name: os.fsencode(text) for name, text in variables.items() if name not in OF_DAEMON or name == "HOME"}.items() >= {
        "PLAIN": b"b",
        "COMMENT": b"b",
        "HASH": b"b#c",
        "HOME": b"$HOME ${HOME}",
        "EXPORTED": b"1",
        "QUOTED": b'a "b" # \\n',
        "LINES": b'one\ntwo\tthree "four"',
        "BYTES": b"\xe9\xff",
        "LATER": b"2",
        "OWN": b"env",
        "FILE": b"two\nlines \xff\n",
        "TASKMASTER_INSTANCE": b"0",
    }.items()  # fmt: skip
    assert "KEPT" not in variables


def test_a_wrong_file_fails_its_own_program_alone_at_the_start_and_is_an_error_of_a_reload(cases: Daemon) -> None:
    cases.wait_for("bad", "FATAL")
    assert f'env_file {cases.home}/bad.env:2: no "="' in cases.ctl("show", "bad").stdout
    refused = cases.ctl("reload", "--dry-run")
    assert refused.returncode != 0
    assert f'{cases.home}/bad.env:2: no "="' in refused.stderr
    assert SECRET not in refused.stderr + cases.events()


@pytest.mark.sweep
def test_a_file_that_hangs_fails_that_start_in_time_and_nothing_else_waits(cases: Daemon) -> None:
    for name, what in (("hangs", "env_file"), ("hangs-too", "env.A")):
        cases.wait_for(name, "FATAL")
        assert f"{what} {cases.home}/empty.fifo: not readable within 0.5s" in cases.ctl("show", name).stdout
    assert cases.ctl("start", "--no-wait", "waits").returncode == 0
    assert cases.state("waits") == "STARTING", "others are answered while it hangs"
    assert cases.ctl("stop", "waits").returncode == 0


def test_hooks_have_the_variables_of_files_too(cases: Daemon) -> None:
    assert printed(cases, "hook")[0]["PLAIN"] == "b"


READER = """
programs:
  web:
    cmd: [sh, -c, 'printf %s "$PASS$OTHER" > seen.new; mv seen.new seen; exec sleep 300']
    starttime: 0
    stoptime: 2
    env_file: web.env
    env: {OTHER: {file: other}}
    stdout: 'null'
    stderr: 'null'
  still: {cmd: sleep 300, env_file: '?none.env', starttime: 0, stoptime: 2}
"""


def in_memory(pid: int, text: bytes) -> bool:
    """Return whether a text stands anywhere in the writable memory of a process."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights, *_ = line.split()
            if not rights.startswith("rw") or "[v" in line:
                continue
            first, last = (int(each, 16) for each in area.split("-"))
            memory.seek(first)
            if text in memory.read(last - first):
                return True
    return False


def test_a_secret_is_read_anew_at_each_start_and_known_to_the_program_alone(daemon: Daemon) -> None:
    first, second = "one-" + secrets.token_hex(8), "two-" + secrets.token_hex(8)
    daemon.write(READER)
    (daemon.home / "web.env").write_text(f"PASS={first}\n")
    (daemon.home / "other").write_text(" and\n")
    daemon.start()
    seen = daemon.home / "seen"
    wait_until(lambda: seen.exists() and seen.read_text() == f"{first} and")
    pid, still = (daemon.wait_for(name, "RUNNING")["pid"] for name in ("web", "still"))
    assert "newer" not in daemon.ctl("show").stdout
    passed_over = daemon.ctl("restart", "--outdated", "all")
    assert passed_over.returncode == 0
    assert "web skipped (not outdated)\n" in passed_over.stdout
    assert daemon.status()["web"]["pid"] == pid

    draft = daemon.home / "draft"
    draft.write_text(f"PASS={second}\n")
    os.utime(draft, (1, 1))  # as a copy that keeps its date
    draft.replace(daemon.home / "web.env")
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] == pid
    shown = daemon.ctl("show", "web").stdout
    assert f"env_file {daemon.home}/web.env: newer than what runs" in shown
    assert "other: newer" not in shown
    assert daemon.ctl("restart", "--outdated", "all").returncode == 0
    wait_until(lambda: seen.read_text() == f"{second} and")
    assert daemon.status()["still"]["pid"] == still
    assert "newer" not in daemon.ctl("show").stdout

    shown = daemon.ctl("show", "--env").stdout + daemon.events() + daemon.ctl("why", "web").stdout
    files = [path for path in daemon.home.rglob("*") if path.is_file() and path.name not in ("web.env", "seen")]
    assert files
    for secret in (first, second):
        assert secret not in shown
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
        assert not in_memory(daemon.pid, secret.encode())
    assert in_memory(daemon.pid, b"/web.env")


# -- reloads, and the page

CHANGES = {
    "clear_env": "clear_env: true",
    "env_file": "env_file: '?none.env'",
    "env": "env: {A: {file: x}}",
    "stdin": "stdin: /dev/zero",
}


def test_a_reload_restarts_a_program_for_each_of_these_keys_as_its_dry_run_says(daemon: Daemon) -> None:
    text = "programs: {{web: {{cmd: sleep 300, starttime: 0, stoptime: 2, stdout: 'null', stderr: 'null'{}}}}}"
    (daemon.home / "x").write_text("y")
    daemon.write(text.format(""))
    daemon.start()
    keys = ""
    for key, change in CHANGES.items():
        keys += f", {change}"
        pid = daemon.wait_for("web", "RUNNING")["pid"]
        daemon.write(text.format(keys))
        (row,) = json.loads(daemon.ctl("reload", "--dry-run", "--json").stdout)["plan"]["programs"]
        assert (row["change"], row["keys"]) == ("restarted", [key])
        assert daemon.ctl("reload").returncode == 0
        assert daemon.wait_for("web", "RUNNING")["pid"] != pid


PAGE = (ROOT / "docs" / "programs" / "environment.md").read_text()


@pytest.mark.sweep
def test_the_example_of_the_page_does_what_the_page_says(daemon: Daemon) -> None:
    (config,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for block in re.findall(r"^\$ cat ([a-z.]+)\n(.*?)(?=^\$|```)", PAGE, re.DOTALL | re.MULTILINE):
        (daemon.home / block[0]).write_text(block[1])
    (daemon.home / "words").write_text("b\na\n")
    daemon.write(config)
    for name in ("web.env", "token"):
        (daemon.home / name).chmod(0o600)
    daemon.environment.update(TZ="UTC", OTHER="1", LANG="C.UTF-8")
    daemon.start()
    (said,) = re.findall(r"log of `web` then begins with `(.*)`", PAGE)
    wait_until(lambda: daemon.log("web").decode() == f"{said}\n")
    wait_until(lambda: daemon.log("mail") == b"mail debug\n")
    for name in ("clean", "sorted"):
        daemon.wait_for(name, "EXITED")
    assert daemon.log("sorted") == b"a\nb\n"
    names = {line.partition("=")[0] for line in daemon.log("clean").decode().splitlines()}
    assert names - OWN == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "LANG"}
    (daemon.home / "web.env").write_text("DB_PASSWORD=x\n")
    shown = daemon.ctl("show", "web").stdout
    for line in re.findall(r"^(  outdated:|    web .*)$", PAGE, re.MULTILINE):
        assert line.replace("/srv", str(daemon.home)) in shown.splitlines()


# -- a child that has executed nothing yet: it waits for the writer of its env_file

WAITING = """
programs:
  web: {cmd: [touch, ran], env_file: web.fifo, stoptime: 60, starttime: 0, autorestart: never}
  early: {cmd: sleep 300, autostart: false, stoptime: 60, starttime: 0, startretries: 0, env_file: web.fifo, pre_start: {cmd: [touch, ran], timeout: 1}}
  after: {cmd: sleep 300, depends_on: [web], starttime: 0, stoptime: 2}
"""
STOP_S = 45
"""Generous bound of a stop that waits for nothing, well below `stoptime`."""


def waiting(daemon: Daemon, name: str = "web") -> int:
    """Return the pid of a program whose child waits in its env_file."""
    wait_until(lambda: daemon.status()[name]["pid"])
    pid: int = daemon.status()[name]["pid"]
    wait_until(lambda: "taskmasterd" in Path(f"/proc/{pid}/cmdline").read_text())
    return pid


@pytest.mark.sweep
def test_what_was_not_executed_yet_is_killed_at_once_when_it_has_to_go(daemon: Daemon) -> None:
    daemon.write(WAITING)
    os.mkfifo(daemon.home / "web.fifo")
    daemon.start()
    first = waiting(daemon)
    begun = time.monotonic()
    assert daemon.ctl("restart", "--no-wait", "web").returncode == 0
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, first))
    waiting(daemon)
    assert daemon.ctl("stop", "web").returncode == 0
    assert daemon.state("web") == "STOPPED"
    assert time.monotonic() - begun < STOP_S
    assert f"web stopping: its program was not executed yet, asked by uid {os.getuid()}" in daemon.events()
    assert "web SIGKILL sent: its program was not executed yet" in daemon.events()
    daemon.ctl("start", "--no-wait", "web")
    waiting(daemon)
    begun = time.monotonic()
    assert daemon.ctl("shutdown").returncode == 0
    wait_until(lambda: not daemon.alive)
    assert time.monotonic() - begun < STOP_S
    assert not (daemon.home / "ran").exists()


@pytest.mark.sweep
def test_a_pre_start_whose_child_waits_for_its_env_file_is_killed_and_named(daemon: Daemon) -> None:
    daemon.write(WAITING)
    os.mkfifo(daemon.home / "web.fifo")
    daemon.start()
    daemon.ctl("stop", "web")
    assert daemon.ctl("start", "early").returncode != 0
    assert (
        f"pre_start: timed out after 1s: still waits for env_file {daemon.home}/web.fifo"
        in daemon.ctl("show", "early").stdout
    )
    daemon.ctl("start", "--no-wait", "early")
    wait_until(lambda: "pre_start: running" in str(daemon.status()["early"]))
    assert daemon.ctl("stop", "--no-wait", "early").returncode == 0
    with suppress(OSError):  # nobody is there any more who could read it
        fifo = os.open(daemon.home / "web.fifo", os.O_WRONLY | os.O_NONBLOCK)
        os.write(fifo, b"A=b\n")
        os.close(fifo)
    daemon.wait_for("early", "STOPPED")
    assert not (daemon.home / "ran").exists()


@pytest.mark.sweep
def test_a_child_that_waits_for_its_env_file_is_not_taken_over_as_a_program_that_runs(daemon: Daemon) -> None:
    daemon.write(WAITING)
    os.mkfifo(daemon.home / "web.fifo")
    daemon.start()
    first = waiting(daemon)
    daemon.kill()
    daemon.start()
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, first))
    rows = daemon.status()
    assert (rows["web"]["state"], rows["web"]["restarts"]) == ("STARTING", 0)
    assert rows["after"]["pid"] is None
    wait_until(lambda: not process_exists(first))
    assert not (daemon.home / "ran").exists()
    (daemon.home / "web.fifo").write_text("A=b\n")
    wait_until((daemon.home / "ran").exists)
    daemon.wait_for("after", "RUNNING")


@pytest.mark.sweep
def test_a_hook_that_waits_for_its_env_file_when_its_daemon_dies_is_begun_again(daemon: Daemon) -> None:
    daemon.write(WAITING.replace("timeout: 1", "timeout: 60"))
    os.mkfifo(daemon.home / "web.fifo")
    daemon.start()
    daemon.ctl("stop", "web")
    daemon.ctl("start", "--no-wait", "early")

    def child() -> int | None:
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        return next((int(pid) for pid in children if awaits_exec(int(pid))), None)

    wait_until(child)
    first = child()
    assert first
    daemon.status()  # by now the daemon has noted it
    daemon.kill()
    daemon.start()
    wait_until(lambda: child() not in (None, first))
    wait_until(lambda: not process_exists(first))  # it is killed; init has yet to reap it
    assert not (daemon.home / "ran").exists()
    assert daemon.ctl("upgrade").returncode == 0
    (daemon.home / "web.fifo").write_text("A=b\n")
    wait_until((daemon.home / "ran").exists)


@pytest.mark.sweep
def test_an_upgrade_that_finds_no_quiet_moment_names_the_program_whose_child_waits(daemon: Daemon) -> None:
    daemon.write(WAITING)
    os.mkfifo(daemon.home / "web.fifo")
    daemon.start()
    first = waiting(daemon)
    refused = daemon.ctl("upgrade")
    assert refused.returncode != 0
    assert "no quiet moment within 5s: programs are being started or ended: web; nothing was changed" in refused.stderr
    assert daemon.status()["web"]["pid"] == first

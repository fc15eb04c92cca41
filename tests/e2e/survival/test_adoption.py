"""A daemon that was killed and the one that follows it: what lives on, what is remembered, what is never believed."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import PROGRAMS, Daemon, lives, marked, names_of_marked, process_exists
from tests.support.guarded import wait_until_older
from tests.support.talk import upgrade
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import crowding

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="a take-over needs /proc")]
PY = sys.executable
COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"
"""Writes numbered lines for as long as it lives."""


def write(daemon: Daemon, **programs: dict[str, Any]) -> None:
    """Configure these programs; each stays up at once, and is a shell's line."""
    base = {"shell": True, "starttime": 0, "restart_delay": 0.05}
    daemon.write(json.dumps({"programs": {name: {**base, **keys} for name, keys in programs.items()}}))


def numbers(daemon: Daemon, name: str) -> list[int]:
    """Return the numbers in a log, those of its rotated files first; the line that is being written does not count."""
    log = daemon.home / "log" / f"{name}.log"

    def files() -> list[tuple[int, Path]]:
        found = sorted(log.parent.glob(f"{log.name}.*"), key=lambda path: -int(path.suffix[1:]))
        return [(path.stat().st_ino, path) for path in (*found, log)]

    texts: list[bytes] = []

    def read_between_rotations() -> bool:
        texts.clear()
        with suppress(FileNotFoundError):
            before = files()
            texts.extend(path.read_bytes() for _, path in before)
            return files() == before
        return False

    wait_until(read_between_rotations)
    text = b"".join(texts)
    return [int(word) for word in text[: text.rfind(b"\n") + 1].split()]


def up(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Return the status as soon as every process is there."""
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    return daemon.status()


def again(daemon: Daemon, *options: str) -> dict[str, dict[str, Any]]:
    """Kill the daemon, start another one, and return its status."""
    daemon.kill()
    daemon.start(*options)
    return daemon.status()


def test_programs_outlive_a_killed_daemon_with_pid_uptime_and_every_byte(daemon: Daemon) -> None:
    write(
        daemon,
        web={"cmd": COUNTER, "numprocs": 2, "log_maxbytes": 500, "log_backups": 1000},
        calm={"cmd": "exec sleep 300"},
    )
    daemon.start()
    wait_until(lambda: len(numbers(daemon, "web")) > 20)
    before = up(daemon)
    daemon.kill()
    held = len(numbers(daemon, "web"))
    assert all(process_exists(process["pid"]) for process in before.values())
    daemon.start()
    after = daemon.status()
    assert {name: process["pid"] for name, process in after.items()} == {n: p["pid"] for n, p in before.items()}
    assert all(after[name]["uptime_s"] > before[name]["uptime_s"] for name in before)
    wait_until(lambda: min(len(numbers(daemon, "web")), len(numbers(daemon, "web-1"))) > held + 100)
    for name in ("web", "web-1"):
        found = numbers(daemon, name)
        assert found == list(range(len(found)))
    assert "took over 3 processes of an earlier daemon, 3 of them alive" in daemon.events()


@pytest.mark.sweep
def test_what_waits_in_a_full_pipe_is_read_by_the_next_daemon(daemon: Daemon) -> None:
    flag = daemon.home / "go"
    writer = f"{PY} -S {PROGRAMS}/writes_lines.py 20000 linger"
    write(daemon, w={"cmd": f"while ! test -e {flag}; do sleep 0.02; done; exec {writer}", "autorestart": "never"})
    daemon.start()
    pid = daemon.wait_for("w", "RUNNING")["pid"]
    daemon.signal(signal.SIGSTOP)
    flag.touch()
    wait_until(lambda: "pipe_write" in Path(f"/proc/{pid}/wchan").read_text())
    daemon.kill()
    daemon.start()
    wait_until(lambda: daemon.log("w").count(b"\n") == 20_000)
    assert [int(line[:12]) for line in daemon.log("w").splitlines()] == list(range(20_000))
    assert daemon.status()["w"]["pid"] == pid


def test_counters_states_and_what_the_operator_wanted_are_remembered(daemon: Daemon) -> None:
    write(
        daemon,
        stopped={"cmd": "exec sleep 300"},
        asked={"cmd": "exec sleep 300", "autostart": False},
        crashed={"cmd": "exec sleep 300"},
        done={"cmd": "exit 0", "starttime": 0, "autorestart": "unexpected"},
        never={"cmd": "exit 3", "starttime": 5, "startretries": 0},
        later={"cmd": "exit 4", "starttime": 5, "restart_delay": 300, "restart_max_delay": 300},
    )
    daemon.start()
    assert daemon.ctl("stop", "stopped").returncode == 0
    assert daemon.ctl("start", "asked").returncode == 0
    os.kill(daemon.status()["crashed"]["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["crashed"]["restarts"] == 1)
    for name, state in (("never", "FATAL"), ("later", "BACKOFF"), ("done", "EXITED"), ("crashed", "RUNNING")):
        daemon.wait_for(name, state)
    before = daemon.status()
    after = again(daemon)
    volatile = ("uptime_s", "since_s", "restarted_s", "detail")
    for name, process in before.items():
        assert {k: v for k, v in after[name].items() if k not in volatile} == {
            k: v for k, v in process.items() if k not in volatile
        }
    assert after["never"]["detail"] == before["never"]["detail"]
    assert after["later"]["detail"].startswith("retry 1 of 3 in ")
    assert daemon.ctl("start", "stopped").returncode == 0


def test_the_end_of_a_process_that_was_taken_over_is_seen_at_once_and_with_its_status(daemon: Daemon) -> None:
    flag = daemon.home / "flag"
    write(
        daemon,
        code={"cmd": f"while ! test -e {flag}; do sleep 0.02; done; exit 7", "autorestart": "never"},
        back={"cmd": "exec sleep 300"},
        killed={"cmd": "exec sleep 300", "autorestart": "never"},
    )
    daemon.start()
    up(daemon)
    before = again(daemon)
    flag.touch()
    os.kill(before["killed"]["pid"], signal.SIGSEGV)
    os.kill(before["back"]["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["back"]["restarts"] == 1, within_s=5 * crowding())
    assert daemon.wait_for("code", "EXITED")["exit"]["code"] == 7
    assert daemon.wait_for("killed", "EXITED")["exit"]["signal"] == "SEGV"
    assert daemon.wait_for("back", "RUNNING")["exit"]["signal"] == "KILL"
    assert marked(daemon.socket) == [daemon.status()["back"]["pid"]]


def test_a_process_that_ends_while_no_daemon_is_there_counts_as_an_unexpected_end(daemon: Daemon) -> None:
    write(daemon, back={"cmd": "exec sleep 300"}, gone={"cmd": "exec sleep 300", "autorestart": "never"})
    daemon.start()
    before = up(daemon)
    daemon.kill()
    for process in before.values():
        os.kill(process["pid"], signal.SIGTERM)
        wait_until(lambda pid=process["pid"]: not process_exists(pid))  # type: ignore[misc]
    daemon.start()
    wait_until(lambda: daemon.status()["back"]["pid"] not in (None, before["back"]["pid"]))
    gone = daemon.wait_for("gone", "EXITED")
    assert "nobody knows how" in gone["detail"] or gone["exit"].get("signal") == "TERM", gone
    assert len(marked(daemon.socket)) == 1


@pytest.mark.sweep
def test_an_end_that_the_daemon_noted_before_it_died_is_known_to_the_next_one(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300", "autorestart": "never"})
    daemon.start()
    pid = up(daemon)["p"]["pid"]
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    (state,) = daemon.home.glob("*.state")
    with state.open("a") as file:
        file.write('{"end":["p",0,768]}\n')
    daemon.start()
    assert daemon.wait_for("p", "EXITED")["exit"]["code"] == 3


@pytest.mark.sweep
def test_a_stop_that_was_under_way_goes_on_and_kills_at_its_own_moment(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: [{PY}, -S, {PROGRAMS}/ignores_term.py], starttime: 0, stoptime: 8}}, q: {{cmd: sleep 300, starttime: 0}}}}"
    )
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    pid = daemon.status()["p"]["pid"]
    assert daemon.ctl("stop", "--no-wait", "p").returncode == 0
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 4)  # half of its time
    assert again(daemon)["p"]["state"] == "STOPPING"
    assert process_exists(pid)
    wait_until(lambda: not process_exists(pid))
    assert 7 < time.monotonic() - began < 11.5, "it would be 12 s where the next daemon began to count again"
    assert daemon.wait_for("p", "STOPPED")["detail"] == "stopped by uid " + str(os.geteuid())
    assert again(daemon)["p"]["state"] == "STOPPED"


def test_stop_ends_all_of_a_program_that_was_taken_over(daemon: Daemon) -> None:
    # another group of the same session, as a shell with job control makes it, and a child that is in neither
    write(daemon, p={"cmd": "set -m; sleep 301 & set +m; sleep 302 & wait; sleep 303", "stoptime": 1})
    daemon.start()
    wait_until(lambda: len(marked(daemon.socket)) == 3)
    again(daemon)
    assert daemon.ctl("stop", "p").returncode == 0
    assert marked(daemon.socket) == []


def test_commands_work_on_what_was_taken_over(daemon: Daemon) -> None:
    write(
        daemon,
        p={"cmd": "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done"},
        q={"cmd": "exec sleep 300"},
    )
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n" and daemon.status()["q"]["pid"])
    before = again(daemon)
    assert daemon.ctl("signal", "USR1", "p").returncode == 0
    wait_until(lambda: daemon.log("p") == b"ready\nusr1\n")
    assert daemon.ctl("start", "q").stdout == f"q already started (pid {before['q']['pid']})\n"
    assert daemon.ctl("restart", "q").returncode == 0
    assert daemon.status()["q"]["pid"] != before["q"]["pid"]
    assert again(daemon)["p"]["pid"] == before["p"]["pid"], "a second time, too"
    assert daemon.ctl("shutdown").returncode == 0
    assert marked(daemon.socket) == []


@pytest.mark.sweep
def test_a_file_that_was_edited_meanwhile_is_applied_as_by_a_reload(daemon: Daemon) -> None:
    keys = {"cmd": "exec sleep 300"}
    wordy = {"cmd": f"exec {PY} -S -c 'while not __import__(\"time\").sleep(0.01): print(99, flush=True)'"}
    write(
        daemon,
        kept=keys,
        live=keys,
        changed=keys,
        scaled={**keys, "numprocs": 3},
        removed=keys,
        stopped=keys,
        off={**keys, "autostart": False},
        wordy=wordy,
    )
    daemon.start()
    assert daemon.ctl("stop", "stopped").returncode == 0
    wait_until(lambda: all(each["pid"] or name in ("stopped", "off") for name, each in daemon.status().items()))
    before = daemon.status()
    daemon.kill()
    write(
        daemon,
        kept=keys, live={**keys, "stoptime": 77}, changed={**keys, "umask": "077"}, scaled={**keys, "numprocs": 2},
        stopped={**keys, "umask": "077"}, off={**keys, "autostart": True}, added=keys,
        wordy={**wordy, "log_maxbytes": 60},
    )  # fmt: skip
    daemon.start()
    wait_until(lambda: "removed" not in daemon.status() and "scaled:2" not in daemon.status())
    daemon.wait_for("changed", "RUNNING")
    daemon.wait_for("added", "RUNNING")
    after = daemon.status()
    same = ("kept", "live", "scaled:0", "scaled:1", "wordy")
    assert {name: after[name]["pid"] for name in same} == {name: before[name]["pid"] for name in same}
    assert after["changed"]["pid"] != before["changed"]["pid"]
    assert after["stopped"]["state"] == "STOPPED"
    assert after["off"]["state"] == "STOPPED", "autostart counts when a program is added"
    assert not process_exists(before["removed"]["pid"])
    assert len(marked(daemon.socket)) == 7
    assert "since the earlier daemon: changed restarted: umask cannot change while it runs" in daemon.events()
    wait_until((daemon.home / "log" / "wordy.log.1").exists)


def test_an_orderly_stop_clears_the_state_and_autostart_decides_again(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"}, q={"cmd": "exec sleep 300"})
    daemon.start()
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.state_file.exists()
    assert daemon.ctl("shutdown").returncode == 0
    assert not daemon.state_file.exists()
    daemon.start()
    wait_until(lambda: {process["state"] for process in daemon.status().values()} == {"RUNNING"})


@pytest.mark.sweep
def test_what_an_orderly_stop_leaves_alone_is_no_instance_for_any_later_daemon(daemon: Daemon) -> None:
    free = {"stopasgroup": False}
    write(
        daemon,
        p={"cmd": "sleep 777 & exec sleep 1000", **free},
        q={"cmd": "setsid -f sleep 778; exec sleep 1000", **free},
    )
    daemon.start()
    wait_until(lambda: names_of_marked(daemon.socket) == ["sleep"] * 4)
    alone: set[int] = set()
    for _ in range(2):
        instances = {process["pid"] for process in daemon.status().values()}
        assert daemon.ctl("shutdown").returncode == 0
        alone = set(marked(daemon.socket))
        assert not instances & alone
        write(daemon, p={"cmd": "exec sleep 1000"}, q={"cmd": "exec sleep 1000"})
        daemon.start("--orphans", "refuse")
        wait_until(lambda alone=alone: len(marked(daemon.socket)) == len(alone) + 2)  # type: ignore[misc]
        wait_until(lambda: {process["state"] for process in daemon.status().values()} == {"RUNNING"})
        after = again(daemon)
        assert {process["state"] for process in after.values()} == {"RUNNING"}
        assert not {process["pid"] for process in after.values()} & alone
    assert len(alone) == 2
    for pid in alone:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(marked(daemon.socket)) == 2)
    assert daemon.ctl("shutdown").returncode == 0
    assert not daemon.state_file.exists()


@pytest.mark.sweep
def test_a_daemon_that_is_killed_while_it_is_shut_down_was_shut_down(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: [{PY}, -S, {PROGRAMS}/ignores_term.py], starttime: 0, stoptime: 8}}, q: {{cmd: sleep 300, starttime: 0}}}}"
    )
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    assert daemon.ctl("shutdown", "--no-wait").returncode == 0
    wait_until(lambda: daemon.state("q") == "STOPPED")
    daemon.kill()
    daemon.start()
    daemon.wait_for("q", "RUNNING")
    daemon.wait_for("p", "RUNNING")
    assert len(marked(daemon.socket)) == 2


@pytest.mark.sweep
def test_a_state_file_that_cannot_be_written_is_told_and_costs_nothing_else(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    daemon.state_file.with_name(daemon.state_file.name + ".new").mkdir()
    daemon.start()
    wait_until(lambda: f"cannot write {daemon.state_file}" in daemon.events())
    pid = daemon.status()["p"]["pid"]
    assert not daemon.state_file.exists()
    assert again(daemon)["p"]["pid"] == pid, "its mark tells what no state does"
    assert "p:0: adopted sleep" in daemon.events()


@pytest.mark.sweep
def test_without_a_default_directory_for_the_state_there_is_a_warning_and_no_adoption(daemon: Daemon) -> None:
    blocked = daemon.home / "file"
    blocked.touch()
    daemon.environment["STATE_DIRECTORY"] = str(blocked / "state")
    section = {"pidfile": str(daemon.pidfile)}
    daemon.write(json.dumps({"taskmasterd": section, "programs": {"p": {"cmd": "sleep 300", "starttime": 0}}}))
    daemon.start()
    told = f"warning cannot create directory {blocked}/state: not a directory; programs of a daemon that dies are not"
    assert told in daemon.events()
    assert daemon.state("p") == "RUNNING"
    upgrade(daemon)
    assert daemon.ctl("shutdown").returncode == 0
    daemon.write(json.dumps({"taskmasterd": {**section, "state_dir": str(blocked / "mine")}, "programs": {}}))
    done = daemon.launch()
    assert (done.returncode, "a configured directory is not created" in done.stderr) == (4, True)


# -- what is not believed


def edited(daemon: Daemon, old: str, new: str) -> None:
    text = daemon.state_file.read_text()
    assert old in text
    daemon.state_file.write_text(text.replace(old, new))


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('{"taskmaster_state":1', '{"taskmaster_state":2', "it has version 2, this is 1"),
        ('"executed":true', '"executed":1.5,"pids":3', "it makes no sense"),
        ('"socket":"/', '"socket":"/other/', "its socket is '/other/"),
        ('"uid":', '"uid":1', "its uid is 1"),
        ('"slot":', '"slots":', "it was written by a later version, which writes of 'slots', too"),
        ("\n", "\n}", "it makes no sense"),
        ('"state":"RUNNING"', '"state":"STOPPED"', "an impossible process"),
    ],
)
def test_a_state_file_that_is_not_ours_or_makes_no_sense_is_told_and_set_aside(
    daemon: Daemon, old: str, new: str, told: str
) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    daemon.start()
    pid = daemon.wait_for("p", "RUNNING")["pid"]
    daemon.kill()
    edited(daemon, old, new)
    content = daemon.state_file.read_bytes()
    daemon.start()
    assert told in daemon.events()
    aside = daemon.state_file.with_name(daemon.state_file.name + ".unusable")
    assert f"set aside as {aside}" in daemon.events()
    assert aside.read_bytes() == content
    assert daemon.wait_for("p", "RUNNING")["pid"] == pid
    assert marked(daemon.socket) == [pid]


@pytest.mark.sweep
def test_a_state_of_another_boot_is_not_used(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    daemon.start()
    assert daemon.ctl("stop", "p").returncode == 0
    daemon.kill()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    edited(daemon, boot, boot[::-1])
    daemon.start()
    assert daemon.wait_for("p", "RUNNING"), "what was stopped before the boot is started by autostart"
    assert "is not used: the machine was booted since" in daemon.events()


@pytest.mark.sweep
def test_a_last_line_that_was_being_written_is_no_harm(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    daemon.start()
    pid = daemon.wait_for("p", "RUNNING")["pid"]
    daemon.kill()
    with daemon.state_file.open("ab") as file:
        file.write(b'{"slot":{"program":"p","ind')
    daemon.start()
    assert daemon.status()["p"]["pid"] == pid
    assert "unusable" not in daemon.events()


@pytest.mark.sweep
def test_a_process_with_the_recorded_pid_that_started_at_another_time_is_not_ours(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    daemon.start()
    pid = daemon.wait_for("p", "RUNNING")["pid"]
    wait_until_older(pid)
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not process_exists(pid))
    stranger = os.posix_spawnp("sleep", ["sleep", "300"], {"PATH": os.environ["PATH"]}, setsid=True)
    try:
        edited(daemon, f'"pid":{pid},', f'"pid":{stranger},')
        daemon.start()
        assert daemon.wait_for("p", "RUNNING")["pid"] not in (pid, stranger)
        assert daemon.ctl("shutdown").returncode == 0
        assert process_exists(stranger)
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)


@pytest.mark.parametrize("kind", ["link", *in_the_sweep("writable", "hard link")])
def test_a_state_file_that_somebody_may_have_planted_is_not_read(daemon: Daemon, kind: str) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    daemon.start()
    assert daemon.ctl("stop", "p").returncode == 0
    daemon.kill()
    other = daemon.home / "other"
    if kind == "link":
        daemon.state_file.rename(other)
        daemon.state_file.symlink_to(other)
    elif kind == "writable":
        daemon.state_file.chmod(0o666)
    else:
        os.link(daemon.state_file, other)
    daemon.start()
    assert daemon.wait_for("p", "RUNNING"), "the state said STOPPED"
    assert {"link": "it is a symbolic link", "writable": "others may write it", "hard link": "hard links"}[
        kind
    ] in daemon.events()


# -- orphans: what carries the mark, and no state knows


def without_state(daemon: Daemon, *, lines_of_p: int = 0, **programs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Start programs, wait until p has written this many lines, kill the daemon and lose its state; return how everything was."""
    write(daemon, **programs)
    daemon.start()
    for name in programs:
        daemon.wait_for(name, "RUNNING")
    wait_until(lambda: not lines_of_p or len(numbers(daemon, "p")) > lines_of_p)
    before = daemon.status()
    daemon.kill()
    daemon.state_file.unlink()
    return before


@pytest.mark.sweep
def test_without_a_state_the_only_leader_with_the_mark_is_adopted_with_its_output(daemon: Daemon) -> None:
    programs: dict[str, dict[str, Any]] = {"p": {"cmd": COUNTER, "starttime": 0.2}, "off": {"cmd": "exec sleep 300"}}
    before = without_state(daemon, lines_of_p=5, **programs)
    daemon.start()
    assert daemon.wait_for("p", "RUNNING")["pid"] == before["p"]["pid"]
    held = len(numbers(daemon, "p"))
    wait_until(lambda: len(numbers(daemon, "p")) > held + 20)
    found = numbers(daemon, "p")
    assert found == list(range(len(found)))
    assert daemon.status()["off"]["pid"] == before["off"]["pid"]


@pytest.mark.sweep
def test_where_it_is_not_certain_which_is_the_instance_the_program_is_not_started(daemon: Daemon) -> None:
    before = without_state(daemon, p={"cmd": "setsid -f sleep 301; exec sleep 302"}, q={"cmd": "exec sleep 303"})
    wait_until(lambda: names_of_marked(daemon.socket) == ["sleep"] * 3)
    daemon.start()
    told = daemon.wait_for("p", "FATAL")["detail"]
    assert "an earlier daemon's" in told
    assert f"sleep ({before['p']['pid']})" in told
    assert daemon.status()["q"]["pid"] == before["q"]["pid"]
    assert len(marked(daemon.socket)) == 3
    for pid in marked(daemon.socket):
        if pid != before["q"]["pid"]:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(marked(daemon.socket)) == 1)
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.ctl("start", "p").returncode == 0


@pytest.mark.sweep
def test_orphans_kill_ends_all_of_them_and_then_starts_anew(daemon: Daemon) -> None:
    before = without_state(daemon, p={"cmd": "setsid -f sleep 301; exec sleep 302"}, q={"cmd": "exec sleep 303"})
    wait_until(lambda: names_of_marked(daemon.socket) == ["sleep"] * 3)
    old = marked(daemon.socket)
    write(daemon, p={"cmd": "exec sleep 304"})
    daemon.start("--orphans", "kill")
    wait_until(lambda: not any(process_exists(pid) for pid in old))
    assert daemon.wait_for("p", "RUNNING")["pid"] != before["p"]["pid"]
    wait_until(lambda: list(daemon.status()) == ["p"])  # it has noticed the end of q
    assert marked(daemon.socket) == [daemon.status()["p"]["pid"]]


def test_orphans_refuse_does_not_start_the_daemon_and_names_them(daemon: Daemon) -> None:
    before = without_state(daemon, p={"cmd": "exec sleep 302"})
    done = daemon.launch("--orphans", "refuse")
    assert done.returncode == 1
    assert f"an earlier daemon left sleep ({before['p']['pid']}) of p:0" in done.stderr
    assert marked(daemon.socket) == [before["p"]["pid"]]
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()
    daemon.start()
    assert daemon.status()["p"]["pid"] == before["p"]["pid"]


@pytest.mark.sweep
def test_an_orphan_of_a_program_that_is_not_configured_is_named_and_left_alone(daemon: Daemon) -> None:
    before = without_state(daemon, p={"cmd": "exec sleep 302"})
    write(daemon, q={"cmd": "exec sleep 303"})
    daemon.start()
    daemon.wait_for("q", "RUNNING")
    assert f"left alone: sleep ({before['p']['pid']}) of p, which is not in the configuration" in daemon.events()
    assert process_exists(before["p"]["pid"])


def test_what_says_it_is_an_instance_and_cannot_prove_it_is_named_and_left_alone(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    claims = {"TASKMASTER_SOCKET": str(daemon.socket), "TASKMASTER_PROGRAM": "p", "TASKMASTER_INSTANCE": "0"}
    variables = {**claims, "TASKMASTER_MARK": "0" * 32, "PATH": os.environ["PATH"]}
    forged = os.posix_spawnp("sleep", ["sleep", "301"], variables, setsid=True)
    del variables["TASKMASTER_MARK"]
    older = os.posix_spawnp("sleep", ["sleep", "302"], variables, setsid=True)
    try:
        wait_until(lambda: {forged, older} <= set(marked(daemon.socket)))  # their execs are over
        daemon.start("--orphans", "kill")
        assert daemon.wait_for("p", "RUNNING")["pid"] not in (forged, older)
        assert f"left alone, since nothing proves what they say: sleep ({older}) of p:0" in daemon.events()
        assert daemon.ctl("shutdown").returncode == 0
        assert process_exists(forged)
        assert process_exists(older)
    finally:
        for pid in (forged, older):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.mark.sweep
def test_instances_of_a_version_that_gave_no_proofs_are_taken_over_with_what_has_left_their_session(
    daemon: Daemon,
) -> None:
    write(daemon, p={"cmd": "env -u TASKMASTER_MARK setsid -f sleep 301 >/dev/null 2>&1; exec sleep 302"})
    daemon.start("--guard")
    wait_until(lambda: names_of_marked(daemon.socket) == ["sleep"] * 2)
    pid = daemon.status()["p"]["pid"]
    os.kill(lives(daemon.socket, "taskmasterd")[0], signal.SIGSTOP)
    daemon.state_file.write_text(re.sub(r'"proven_since":\d+,?', "", daemon.state_file.read_text()))
    os.kill(lives(daemon.socket, "taskmasterd")[0], signal.SIGKILL)
    assert daemon.status()["p"]["pid"] == pid
    assert daemon.ctl("stop", "p").returncode == 0
    assert marked(daemon.socket) == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs processes of another user")
def test_a_process_of_another_user_that_carries_the_names_is_nobodys_instance(daemon: Daemon) -> None:
    write(daemon, p={"cmd": "exec sleep 300"})
    marks = {"TASKMASTER_SOCKET": str(daemon.socket), "TASKMASTER_PROGRAM": "p", "TASKMASTER_INSTANCE": "0"}
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.setgid(65_534)
        os.setuid(65_534)
        os.execvpe("sleep", ["sleep", "300"], {**marks, "PATH": os.environ["PATH"]})
    try:
        wait_until(lambda: pid in marked(daemon.socket))
        daemon.start()
        assert daemon.wait_for("p", "RUNNING")["pid"] != pid
        assert daemon.ctl("shutdown").returncode == 0
        assert process_exists(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.sweep
def test_a_state_file_that_a_cleaner_removes_is_there_again_with_the_next_answer_and_what_was_stopped_stays_stopped(
    daemon: Daemon,
) -> None:
    daemon.write(
        "programs: {web: {cmd: sleep 300, starttime: 0}, off: {cmd: sleep 300, starttime: 0, restart_delay: 9}}"
    )
    daemon.start()
    assert daemon.ctl("stop", "off").returncode == 0
    before = daemon.wait_for("web", "RUNNING")["pid"]
    daemon.state_file.unlink()
    daemon.status()
    daemon.kill()
    daemon.start()
    assert (daemon.state("off"), daemon.status()["web"]["pid"]) == ("STOPPED", before)
    assert daemon.events().count("had been removed; it is written again") == 1

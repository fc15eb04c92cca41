"""Health checks with a real daemon and real programs: verdicts, what is done about them, and a daemon that dies or is upgraded meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.e2e.orchestration.test_readiness import configure, detail, python, state
from tests.support.daemon import Daemon, marked
from tests.support.guarded import kill_daemon
from tests.support.keeper import file_has
from tests.support.probing import carrying
from tests.support.wait import wait_until
from tests.support.wire import connect, resident

QUICK = {"interval": 0.1, "start_period": 0.1, "retries": 2}
WELL = {"exec": "test ! -e sick", **QUICK}
"""A check of a program that is unhealthy as soon as there is a file `sick`."""
WATCHED = """
import os, socket, sys, time
channel, path = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), os.environ['NOTIFY_SOCKET']
channel.connect(path)
assert os.environ['WATCHDOG_USEC'] == '4000000'
while not os.path.exists('silent'):
    try:
        if sys.argv[1:]:
            channel.connect(path)
        channel.send(b'WATCHDOG=1')
    except OSError:
        pass
    time.sleep(0.1)
time.sleep(99)
"""
"""Says that it is well until there is a file `silent`; with an argument also to a socket that was made again."""
WATCHDOG = {"watchdog": 4, "start_period": 0}
"""The health of WATCHED, with time enough for a program that gets no processor for a while."""


def verdict(daemon: Daemon, name: str) -> str:
    """Return the verdict about a process."""
    found = daemon.status()[name]["health"]["verdict"]
    assert isinstance(found, str)
    return found


def pid(daemon: Daemon, name: str) -> int:
    """Return the pid of a process."""
    found = daemon.status()[name]["pid"]
    assert isinstance(found, int)
    return found


def moments(events: str, pattern: str) -> list[float]:
    """Return when lines of the event log were written that match, in seconds of the day."""
    found = re.findall(rf"T(\d+):(\d+):([\d.]+)[+-]\S+ \w+ {pattern}", events)
    return [int(hour) * 3600 + int(minute) * 60 + float(second) for hour, minute, second in found]


def most_down(events: str, names: int) -> int:
    """Return how many instances of web were not RUNNING at once, after all had been."""
    running: set[str] = set()
    most, complete = 0, False
    for name, what in re.findall(r" \w+ (web:\d) (running|unhealthy: \S+ exit 1 \(2 of 2\); ending)", events):
        running = running | {name} if what == "running" else running - {name}
        complete = complete or len(running) == names
        most = max(most, (names - len(running)) * complete)
    return most


def test_some_failures_are_not_enough_and_so_many_in_a_row_restart_it(daemon: Daemon) -> None:
    count = "n=$(cat n 2> n.err || echo 0); echo $((n + 1)) > n; test ! -e sick && test $((n % 3)) -eq 0"
    web = {"cmd": "sleep 99", "health": {"exec": {"cmd": count, "shell": True}, **QUICK, "retries": 3}, "starttime": 0}
    configure(daemon, web=web).start()
    wait_until(lambda: int((daemon.home / "n").read_text() or 0) > 15 if (daemon.home / "n").exists() else False)
    assert (verdict(daemon, "web"), daemon.status()["web"]["restarts"]) == ("healthy", 0)
    first = pid(daemon, "web")
    (daemon.home / "sick").touch()
    wait_until(lambda: daemon.status()["web"]["restarts"] >= 1)
    (daemon.home / "sick").unlink()
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, first))
    assert "web unhealthy: exec: exit 1 (3 of 3)" in daemon.events()
    assert "web restarting: unhealthy (1st in a row; patience 0.3s)" in daemon.events()
    assert ", expected: unhealthy: exec: exit 1 (" in daemon.ctl("show", "web").stdout
    wait_until(lambda: verdict(daemon, "web") == "healthy")


def test_an_unhealthy_program_is_said_to_be_and_recovers(daemon: Daemon) -> None:
    web = {"cmd": "sleep 99", "health": {**WELL, "action": "none"}, "starttime": 0}
    told = {**web, "cmd": "trap 'echo told >> told' USR1; echo up; while :; do sleep 0.1; done", "shell": True}
    told["health"] = {**WELL, "action": "signal USR1"}
    last = {**web, "depends_on": {"web": "healthy"}}
    configure(daemon, web=web, told=told, last=last).start()
    assert daemon.ctl("wait", "--for", "healthy", "web", "told", "last").returncode == 0
    wait_until(lambda: daemon.log("told") == b"up\n")
    assert daemon.ctl("status").returncode == 0
    first = pid(daemon, "web")
    with connect(daemon) as channel, channel.makefile("rb") as lines:
        channel.sendall(b"subscribe web\n")
        next(line for line in lines if b'"processes"' in line)
        (daemon.home / "sick").touch()
        change = json.loads(next(line for line in lines if b'"change"' in line))
    assert (change["before"], change["before_health"], change["state"]) == ("RUNNING", "healthy", "RUNNING")
    assert change["reason"] == "unhealthy: exec: exit 1 (2 of 2)"
    wait_until(lambda: (verdict(daemon, "web"), verdict(daemon, "told")) == ("unhealthy", "unhealthy"))
    assert daemon.ctl("status").returncode == daemon.ctl("status", "web").returncode == 3
    assert detail(daemon, "web") == "unhealthy: exec: exit 1 (2 of 2)"
    wait_until(lambda: verdict(daemon, "last") == "unhealthy")
    file_has(daemon.home / "told", b"told\n")
    wait_until(lambda: daemon.status()["told"]["health"]["failures"] > 5)
    assert (daemon.home / "told").read_text() == "told\n", "a signal goes out once a verdict"
    daemon.ctl("restart", "--no-wait", "last")
    wait_until(lambda: "waiting for web: healthy (RUNNING; unhealthy" in detail(daemon, "last"))
    (daemon.home / "sick").unlink()
    assert daemon.ctl("wait", "web", "told", "last").returncode == 0
    assert pid(daemon, "web") == first
    assert daemon.ctl("status").returncode == 0
    assert "web healthy after" in daemon.events()


@pytest.mark.sweep
def test_restarts_that_do_not_help_come_later_and_later(daemon: Daemon) -> None:
    health = {"exec": "false", "interval": 0.1, "start_period": 0.1, "retries": 1}
    configure(daemon, web={"cmd": "sleep 99", "health": health, "starttime": 0}).start()
    wait_until(lambda: daemon.status()["web"]["restarts"] >= 5)
    events = daemon.events()
    at = moments(events, "web restarting: unhealthy")
    gaps = [later - earlier for earlier, later in pairwise(at)]
    patience = [float(each) for each in re.findall(r"in a row; patience ([\d.]+)s\)", events)]
    assert patience[:5] == sorted(set(patience[:5])), patience
    assert all(gap >= least - 0.01 for gap, least in zip(gaps, patience)), (gaps, patience)
    assert gaps[3] >= 0.8, gaps


@pytest.mark.sweep
def test_a_check_that_hangs_is_ended_with_all_that_it_began_and_there_is_never_a_second_one(daemon: Daemon) -> None:
    health = {"exec": {"cmd": "sleep 98.7654 & wait", "shell": True}, **QUICK, "timeout": 0.2, "action": "none"}
    configure(daemon, web={"cmd": "sleep 99", "health": health, "starttime": 0}).start()
    most = 0

    def failed() -> bool:
        nonlocal most
        most = max(most, sum(b"wait" not in each for each in _commands("98.7654")))
        return bool(most) and verdict(daemon, "web") == "unhealthy"

    wait_until(failed)
    assert most == 1
    assert "timed out after 0.2s" in detail(daemon, "web")
    daemon.ctl("stop", "web")
    wait_until(lambda: not carrying("98.7654"))


def _commands(text: str) -> list[bytes]:
    found = []
    for number in carrying(text):
        try:
            with open(f"/proc/{number}/cmdline", "rb") as file:
                found.append(file.read())
        except OSError:
            continue
    return found


@pytest.mark.sweep
def test_of_one_program_only_one_at_a_time_is_down_and_none_while_what_it_needs_is_down(daemon: Daemon) -> None:
    web = {"cmd": "sleep 99", "health": WELL, "numprocs": 4, "starttime": 0, "depends_on": ["db"]}
    configure(daemon, web=web, db={"cmd": "sleep 98", "starttime": 0}).start()
    assert daemon.ctl("wait", "web").returncode == 0
    daemon.ctl("stop", "db")
    pids = {each["pid"] for each in daemon.status().values()}
    (daemon.home / "sick").touch()
    names = [f"web:{index}" for index in range(4)]
    wait_until(lambda: all(verdict(daemon, name) == "unhealthy" for name in names))
    wait_until(lambda: detail(daemon, "web:0").endswith("; not restarted: db is down"))
    assert {each["pid"] for each in daemon.status().values()} == pids
    daemon.ctl("start", "db")
    wait_until(lambda: all(daemon.status()[name]["restarts"] for name in names))
    assert most_down(daemon.events(), 4) == 1, daemon.events()


@pytest.mark.sweep
def test_an_essential_program_that_is_stopped_for_its_health_ends_the_daemon(daemon: Daemon) -> None:
    web = {"cmd": "sleep 99", "health": {**WELL, "action": "stop"}, "essential": True, "starttime": 0}
    configure(daemon, web=web, other={"cmd": "sleep 98"})
    process = daemon.start_foreground().foreground
    assert process is not None
    assert daemon.ctl("wait", "web").returncode == 0
    (daemon.home / "sick").touch()
    assert process.wait(20) == 1
    assert "web gave up: unhealthy: exec: exit 1 (2 of 2)" in daemon.events()
    assert "other stopped" in daemon.events()


@pytest.mark.sweep
def test_a_watchdog_is_heard_and_its_silence_restarts_the_program(daemon: Daemon) -> None:
    web = {"cmd": python(WATCHED), "health": WATCHDOG, "starttime": 0}
    configure(daemon, web=web).start()
    assert daemon.ctl("wait", "--for", "healthy", "web").returncode == 0
    first = pid(daemon, "web")
    assert daemon.ctl("upgrade").returncode == 0
    (daemon.home / "silent").touch()
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, first))
    silence = re.search(r"web unhealthy: no WATCHDOG=1 for ([\d.]+)s", daemon.events())
    assert silence, daemon.events()
    assert float(silence[1]) >= 4


ONCE = """
import os, socket, time  # says that it is well once, and again and again when there is a file
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.connect(os.environ['NOTIFY_SOCKET'])
channel.send(b'WATCHDOG=1')
while not os.path.exists('again'):
    time.sleep(0.05)
while True:
    channel.send(b'WATCHDOG=1')
    time.sleep(0.05)
"""


@pytest.mark.sweep
def test_a_check_of_a_silent_watchdog_is_not_well_though_its_silence_does_not_count_yet(daemon: Daemon) -> None:
    web = {"cmd": python(ONCE), "health": {"watchdog": 0.5, "start_period": 60}, "starttime": 0}
    configure(daemon, web=web).start()
    wait_until(lambda: daemon.status()["web"]["restarts"] == 1 and verdict(daemon, "web") == "healthy")
    silent = "no WATCHDOG=1 for"
    wait_until(lambda: silent in "".join((done := daemon.ctl("check", "web")).stdout + done.stderr))
    done = daemon.ctl("check", "web")
    assert (done.returncode, done.stdout, f"web is not well: {silent}" in done.stderr) == (1, "", True)
    assert verdict(daemon, "web") == "healthy", "it may be silent after a restart for its health"
    (daemon.home / "again").touch()
    wait_until(lambda: daemon.ctl("check", "web").returncode == 0)
    assert daemon.status()["web"]["restarts"] == 1


@pytest.mark.sweep
def test_silence_counts_only_where_a_daemon_hears_the_program(daemon: Daemon) -> None:
    watched = {"health": WATCHDOG, "starttime": 0}
    again = {"cmd": [*python(WATCHED), "again"], **watched}
    configure(daemon, again=again, never={"cmd": python(WATCHED), **watched}).start()
    assert daemon.ctl("wait", "again", "never").returncode == 0
    before = daemon.status()
    daemon.kill()
    daemon.start()
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 6)  # a period and a half
    after = daemon.status()
    assert [after[name]["pid"] for name in after] == [before[name]["pid"] for name in after]
    assert {each["health"]["verdict"] for each in after.values()} == {"healthy"}
    assert daemon.ctl("check", "again").stdout == "again is well: WATCHDOG=1\n"
    assert daemon.ctl("check", "never").stdout == "never is well: it was so when an earlier daemon heard it last\n"
    (daemon.home / "silent").touch()
    wait_until(lambda: daemon.status()["again"]["restarts"])
    assert daemon.status()["never"]["restarts"] == 0


@pytest.mark.sweep
def test_a_guardian_keeps_the_socket_so_silence_counts_after_a_kill_too(daemon: Daemon) -> None:
    web = {"cmd": "sleep 97", "health": {"watchdog": 1, "start_period": 4, "action": "none"}, "starttime": 0}
    configure(daemon, web=web).start("--guard")
    wait_until(lambda: pid(daemon, "web"))
    kill_daemon(daemon)
    wait_until(lambda: verdict(daemon, "web") == "unhealthy")


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["kill", "upgrade", "guardian"])
def test_the_next_daemon_goes_on_with_the_verdict_and_does_nothing_before_it_has_asked_again(
    daemon: Daemon, way: str
) -> None:
    health = {"exec": "test ! -e sick", "interval": 0.3, "start_period": 0.1, "retries": 3}
    asked = {"cmd": "echo >> asked; test ! -e sick", "shell": True}
    calm = {"cmd": "sleep 98", "health": {**health, "exec": asked, "action": "none"}, "starttime": 0}
    web = {"cmd": "sleep 99", "health": {**health, "exec": "test ! -e worse"}, "starttime": 0}
    late = {"cmd": "sleep 97", "depends_on": {"web": "healthy"}, "autostart": False, "starttime": 0}
    configure(daemon, web=web, calm=calm, late=late).start(*(["--guard"] if way == "guardian" else []))
    assert daemon.ctl("wait", "web", "calm").returncode == 0
    (daemon.home / "sick").touch()
    wait_until(lambda: verdict(daemon, "calm") == "unhealthy")
    before = daemon.status()
    asked_before = _lines(daemon, "asked")
    if way == "kill":
        daemon.kill()
        daemon.start()
    elif way == "guardian":
        os.kill(resident(daemon), signal.SIGKILL)
    else:
        assert daemon.ctl("upgrade").returncode == 0
    wait_until(lambda: daemon.ctl("status").returncode in (0, 3))
    daemon.ctl("start", "--no-wait", "late")
    after = daemon.status()
    assert [after[name]["health"]["verdict"] for name in ("web", "calm")] == ["healthy", "unhealthy"]
    assert after["calm"]["detail"] == before["calm"]["detail"]
    failures = after["calm"]["health"]["failures"]
    if way == "upgrade":
        assert failures >= before["calm"]["health"]["failures"] > 2
    else:
        assert failures <= _lines(daemon, "asked") - asked_before, "nobody knows how many there were before"
    wait_until(lambda: state(daemon, "late") == "RUNNING")
    began = time.monotonic()
    (daemon.home / "worse").touch()
    wait_until(lambda: daemon.status()["web"]["restarts"] >= 1)
    assert time.monotonic() - began > 0.4
    assert daemon.ctl("stop", "all").returncode == 0
    wait_until(lambda: not marked(daemon.socket))


def _lines(daemon: Daemon, name: str) -> int:
    return (daemon.home / name).read_bytes().count(b"\n")


@pytest.mark.sweep
def test_a_reload_of_health_keeps_the_verdict_and_begins_anew(daemon: Daemon) -> None:
    web = {"cmd": "sleep 99", "starttime": 0}
    configure(daemon, web=web).start()
    assert daemon.status()["web"]["health"] is None
    first = pid(daemon, "web")
    configure(daemon, web={**web, "health": {**WELL, "action": "none"}})
    assert daemon.ctl("reload").returncode == 0
    (daemon.home / "sick").touch()
    wait_until(lambda: verdict(daemon, "web") == "unhealthy")
    configure(daemon, web={**web, "health": {"exec": "true", **QUICK}})
    assert daemon.ctl("reload").returncode == 0
    wait_until(lambda: verdict(daemon, "web") == "healthy")
    configure(daemon, web={**web, "health": {"exec": "true", "watchdog": 3}})
    assert daemon.ctl("reload").returncode == 6
    configure(daemon, web={**web, "health": {"watchdog": 0.2, "start_period": 0}})
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["health"] is None, "a watchdog is used at the next start"
    assert (pid(daemon, "web"), daemon.status()["web"]["restarts"]) == (first, 0)


def test_ready_health_means_that_the_first_check_succeeds(daemon: Daemon) -> None:
    web = {"cmd": "sleep 99", "ready": "health", "health": {"exec": "test -e go", "interval": 60}}
    configure(daemon, web=web).start()
    wait_until(lambda: "not ready: exec: exit 1" in detail(daemon, "web"))
    (daemon.home / "go").touch()
    wait_until(lambda: state(daemon, "web") == "RUNNING")
    wait_until(lambda: verdict(daemon, "web") == "healthy")
    daemon.signal(signal.SIGTERM)


def test_health_and_check_say_who_is_well_and_show_says_what_was_found(daemon: Daemon) -> None:
    found = {"cmd": "echo found; test ! -e sick", "shell": True}
    web = {"cmd": "sleep 99", "health": {**WELL, "exec": found, "action": "none"}, "starttime": 0}
    plain = {"cmd": "sleep 98", "starttime": 0}
    off = {**web, "cmd": "sleep 97", "autostart": False}
    watched = {"cmd": "sleep 96", "health": {"watchdog": 60}, "starttime": 0}
    configure(daemon, web=web, plain=plain, off=off, watched=watched).start()
    assert daemon.ctl("wait", "web").returncode == 0
    done = daemon.ctl("health")
    assert (done.returncode, [line.split()[:2] for line in done.stdout.splitlines()]) == (
        0,
        [["web", "healthy"], ["plain", "RUNNING"], ["off", "STOPPED"], ["watched", "unknown"]],
    )
    done = daemon.ctl("check", "web")
    assert (done.returncode, re.sub(r"[\d.]+s", "", done.stdout)) == (0, "web is well: exit 0 ()\n  found\n")
    done = daemon.ctl("--json", "check", "plain", "off", "watched")
    assert done.returncode == 1
    assert [(each["name"], each["ok"], each["text"]) for each in json.loads(done.stdout)["checks"]] == [
        ("plain", False, "it has no health"),
        ("off", False, "it is STOPPED: not started"),
        ("watched", False, "nobody asks a program with a watchdog, and it has said nothing yet"),
    ]
    (daemon.home / "sick").touch()
    assert daemon.ctl("wait", "--for", "settled", "web").returncode in (0, 1)
    wait_until(lambda: verdict(daemon, "web") == "unhealthy")
    done = daemon.ctl("health", "web")
    assert (done.returncode, "unhealthy: exec: exit 1 (2 of 2)" in done.stdout) == (1, True)
    done = daemon.ctl("check", "web")
    assert (done.returncode, done.stdout, "web is not well: exit 1" in done.stderr) == (1, "", True)
    shown = daemon.ctl("show", "web").stdout.partition("  health:\n")[2].partition("log files:")[0]
    assert re.search(r"web  unhealthy .*exec: exit 1", shown), shown
    assert "found" in shown
    unknown = daemon.ctl("health", "nobody")
    assert (unknown.returncode, "nobody" in unknown.stderr) == (1, True), "a container's HEALTHCHECK knows 0 and 1 only"
    assert daemon.ctl("shutdown").returncode == 0
    assert daemon.ctl("health").returncode == 1
    assert shown.count("healthy") == 3


@pytest.mark.sweep
def test_a_check_goes_on_after_an_upgrade_and_ends_with_its_client(daemon: Daemon) -> None:
    health = {
        "exec": {"cmd": "echo >> asked; test -e go || sleep 98.7655", "shell": True},
        "interval": 60,
        "timeout": 50,
    }
    go, asked = daemon.home / "go", daemon.home / "asked"
    go.touch()
    configure(daemon, web={"cmd": "sleep 99", "health": health, "starttime": 0}).start()
    assert daemon.ctl("wait", "web").returncode == 0
    go.unlink()
    with ThreadPoolExecutor() as pool:
        client = pool.submit(daemon.ctl, "check", "web")
        wait_until(lambda: carrying("sleep\x0098.7655"))
        go.touch()
        assert daemon.ctl("upgrade").returncode == 0
        assert client.result().returncode == 0
    wait_until(lambda: asked.read_text().count("\n") == 4)  # the daemon's own and the client's, before and after
    go.unlink()
    assert daemon.ctl("--timeout", "0.2", "check", "web").returncode == 124
    wait_until(lambda: not carrying("98.7655"))

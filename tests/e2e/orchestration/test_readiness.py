"""Readiness with a real daemon and real programs: each way, what never becomes ready, and a daemon that dies or is upgraded meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import resident

ANNOUNCE = (
    "import os, socket, time; channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
    "channel.connect(os.environ['NOTIFY_SOCKET']); {words}; time.sleep(99)"
)
BY_A_CHILD = "os.fork() or (channel.send(b'READY=1\\nSTATUS=fine'), os._exit(0))"
SERVE = """
import socket, sys, time
time.sleep(float(sys.argv[2]))
server = socket.socket(socket.AF_INET6 if ":" in sys.argv[3] else socket.AF_INET)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind((sys.argv[3], int(sys.argv[1])))
server.listen()
while True:
    client = server.accept()[0]
    client.recv(65536)
    client.sendall(b"HTTP/1.1 %d X\\r\\nContent-Length: 0\\r\\n\\r\\n" % int(sys.argv[4]))
    client.close()
"""


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Return a port of both loopback addresses on which nobody listens but who shares it (SO_REUSEPORT), until the test ends."""
    with ExitStack() as stack:
        while True:
            six = stack.enter_context(socket.socket(socket.AF_INET6))
            four = stack.enter_context(socket.socket(socket.AF_INET))
            for each in (six, four):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            six.bind(("::1", 0))
            port = six.getsockname()[1]
            assert isinstance(port, int)
            with suppress(OSError):  # taken for the other address: another one
                four.bind(("127.0.0.1", port))
                break
        yield port


def configure(daemon: Daemon, **programs: object) -> Daemon:
    """Write a configuration with these programs."""
    daemon.write(json.dumps({"programs": programs}))
    return daemon


def python(code: str, *words: str) -> list[str]:
    """Return a command that runs this code."""
    return [sys.executable, "-S", "-c", code, *words]


def state(daemon: Daemon, name: str) -> str:
    """Return the state of a process."""
    found = daemon.status()[name]["state"]
    assert isinstance(found, str)
    return found


def detail(daemon: Daemon, name: str) -> str:
    """Return what `status` says of a process."""
    found = daemon.status()[name]["detail"]
    assert isinstance(found, str)
    return found


def test_a_command_that_succeeds_makes_it_ready_and_what_depends_on_it_starts_then(daemon: Daemon) -> None:
    db = {"cmd": "sleep 97", "ready": {"exec": "test -e R", "interval": 0.2}}
    configure(daemon, db=db, web={"cmd": "sleep 98", "starttime": 0, "depends_on": ["db"]}).start()
    wait_until(lambda: "not ready: exec: exit 1" in detail(daemon, "db"))
    assert "waiting for db: ready" in detail(daemon, "web")
    (daemon.home / "R").touch()
    wait_until(lambda: state(daemon, "web") == "RUNNING")
    assert re.search(r"ready:\n    db  exec  after \d.*s, \d+ tries \(exec: exit 0\)", daemon.ctl("show", "db").stdout)
    order = [daemon.events().index(text) for text in ("db ready after", "db running", "web started")]
    assert order == sorted(order)


@pytest.mark.sweep
def test_a_word_of_a_child_that_has_ended_counts_each_time(daemon: Daemon) -> None:
    web = {"cmd": python(ANNOUNCE.format(words=BY_A_CHILD)), "ready": "notify", "numprocs": 10}
    configure(daemon, web=web).start()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()))
    assert daemon.events().count("ready after") == 10
    assert not daemon.status()["web:0"]["ready"]["unsure"]
    assert detail(daemon, "web:9") == "fine"


def test_a_newline_on_a_descriptor_makes_it_ready_and_nobody_else_has_that_descriptor(daemon: Daemon) -> None:
    ready = {"cmd": "sleep 0.3; echo >&7; exec sleep 99", "shell": True, "ready": {"fd": 7}}
    other = {"cmd": "ls /proc/self/fd; echo all; exec sleep 98", "shell": True, "starttime": 0}
    configure(daemon, ready=ready, other=other).start()
    wait_until(lambda: state(daemon, "ready") == "RUNNING")
    wait_until(lambda: daemon.log("other").endswith(b"all\n"))
    assert b"7" not in daemon.log("other")


@pytest.mark.sweep
def test_a_descriptor_that_is_closed_without_a_newline_is_a_failed_start_at_once(daemon: Daemon) -> None:
    closing = {"cmd": "exec 3>&-; exec sleep 99", "shell": True, "ready": {"fd": 3}, "startretries": 0}
    configure(daemon, p=closing).start()
    wait_until(lambda: state(daemon, "p") == "FATAL")
    assert "closed descriptor 3 without a newline" in detail(daemon, "p")


def test_a_line_of_this_instance_makes_it_ready_also_in_two_halves_and_with_colours(daemon: Daemon) -> None:
    cmd = (
        r"echo x >> runs; n=$(wc -l < runs); test $n -lt 3 || { echo other; exec sleep 99; }; "
        r"printf '\033[1mserver'; sleep 0.3; printf ' is\033[0m up\n'; until test -e end$n; do sleep 0.05; done; exit 1"
    )
    configure(daemon, p={"cmd": cmd, "shell": True, "ready": {"log": "server*up"}, "restart_delay": 0.1}).start()
    for number in (1, 2):
        wait_until(lambda number=number: daemon.events().count("p ready after") == number)  # type: ignore[misc]
        (daemon.home / f"end{number}").touch()
    wait_until(lambda: daemon.log("p").endswith(b"other\n"))
    assert daemon.events().count("p started") == 3
    assert state(daemon, "p") == "STARTING", "the line of the instance before does not count"


@pytest.mark.parametrize("host", ["127.0.0.1", *in_the_sweep("::1")])
def test_localhost_is_both_loopback_addresses(daemon: Daemon, unused_port: int, host: str) -> None:
    ready = {"http": f"http://localhost:{unused_port}/"}
    configure(daemon, web={"cmd": python(SERVE, str(unused_port), "0.5", host, "204"), "ready": ready}).start()
    wait_until(lambda: state(daemon, "web") == "RUNNING")
    assert "http 204" in daemon.events()


@pytest.mark.sweep
def test_what_is_never_ready_has_failed_to_start_for_that_reason_and_nothing_of_it_is_left(
    daemon: Daemon, unused_port: int
) -> None:
    serve = python(SERVE, str(unused_port), "0", "127.0.0.1", "503")
    keys = {"start_timeout": 3, "startretries": 1, "restart_delay": 0.1}
    configure(daemon, web={"cmd": serve, "ready": {"http": f"http://127.0.0.1:{unused_port}/"}, **keys}).start()
    wait_until(lambda: state(daemon, "web") == "FATAL")
    assert "not ready within 3s: http 503" in detail(daemon, "web")
    assert daemon.events().count("web started") == 2
    assert daemon.status()["web"]["pid"] is None


@pytest.mark.sweep
def test_more_time_can_be_asked_for(daemon: Daemon) -> None:
    words = "channel.send(b'EXTEND_TIMEOUT_USEC=15000000'); time.sleep(5); channel.send(b'READY=1')"
    configure(daemon, p={"cmd": python(ANNOUNCE.format(words=words)), "ready": "notify", "start_timeout": 4}).start()
    wait_until(lambda: state(daemon, "p") == "RUNNING")
    assert daemon.events().count("p started") == 1


@pytest.mark.sweep
def test_a_pattern_is_matched_against_a_flood_of_lines_and_status_is_answered_meanwhile(daemon: Daemon) -> None:
    flood = "yes $(head -c 4000 /dev/zero | tr '\\0' a)"
    keys = {
        "ready": {"log": "a*b*c*d*e*"},
        "start_timeout": 4,
        "startretries": 0,
        "log_maxbytes": "10MB",
        "log_backups": 1,
    }
    configure(daemon, p={"cmd": flood, "shell": True, **keys}).start()
    answers = 0
    while state(daemon, "p") != "FATAL":
        answers += 1
    assert answers > 5
    assert "not ready within 4s" in detail(daemon, "p")


@pytest.mark.sweep
def test_an_upgrade_goes_on_with_what_is_not_ready_yet(daemon: Daemon) -> None:
    fd = {"cmd": "while ! test -e go; do sleep 0.1; done; echo >&3; exec sleep 99", "shell": True, "ready": {"fd": 3}}
    words = "exec('while not os.path.exists(\"go\"): time.sleep(0.1)'); channel.send(b'READY=1')"
    notify = {"cmd": python(ANNOUNCE.format(words=words)), "ready": "notify"}
    probe = {"cmd": "sleep 97", "ready": {"exec": "test -e go", "interval": 0.1}}
    log = {
        "cmd": "while ! test -e go; do sleep 0.1; done; echo up; exec sleep 96",
        "shell": True,
        "ready": {"log": "up"},
    }
    configure(daemon, fd=fd, notify=notify, probe=probe, log=log).start()
    wait_until(lambda: all(each["pid"] for each in daemon.status().values()))
    pids = {name: each["pid"] for name, each in daemon.status().items()}
    assert daemon.ctl("upgrade").returncode == 0
    assert {each["state"] for each in daemon.status().values()} == {"STARTING"}
    (daemon.home / "go").touch()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()))
    assert {name: each["pid"] for name, each in daemon.status().items()} == pids
    assert not any(each["ready"]["unsure"] for each in daemon.status().values())


UNTIL_GO = "while ! test -e go; do sleep 0.05; done"
NOTIFIES = """
import os, socket, time
while not os.path.exists("go"):
    time.sleep(0.05)
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.sendto(b"READY=1\\nSTATUS=well", os.environ["NOTIFY_SOCKET"])
open("notified", "w")
time.sleep(99)
"""


@pytest.mark.sweep
def test_after_a_death_of_the_daemon_a_probe_is_asked_again_and_what_may_have_been_announced_is_unsure(
    daemon: Daemon,
) -> None:
    fd = {"cmd": f"{UNTIL_GO}; echo >&3; exec sleep 99", "shell": True, "ready": {"fd": 3}}
    closed = {
        "cmd": "trap 'echo >&3; exec sleep 95 3>&-' USR1; touch trapped; while :; do sleep 0.05; done",
        "shell": True,
        "ready": {"fd": 3},
    }
    notify = {"cmd": python(NOTIFIES), "ready": "notify"}
    probe = {"cmd": "sleep 97", "ready": {"exec": "test -e go", "interval": 0.1}}
    log = {"cmd": f"{UNTIL_GO}; echo up; exec sleep 96", "shell": True, "ready": {"log": "up"}}
    apart = {**log, "stdout": str(daemon.home / "out")}
    configure(daemon, fd=fd, closed=closed, notify=notify, probe=probe, log=log, apart=apart).start()
    wait_until(lambda: all(each["pid"] for each in daemon.status().values()))
    wait_until(lambda: "not ready" in detail(daemon, "probe"))
    pids = {name: each["pid"] for name, each in daemon.status().items()}
    wait_until((daemon.home / "trapped").exists)
    daemon.kill()
    os.kill(pids["closed"], signal.SIGUSR1)
    wait_until(lambda: b"sleep\x0095" in Path(f"/proc/{pids['closed']}/cmdline").read_bytes())
    daemon.start()
    unsure = ["closed", "notify", "apart"]
    wait_until(lambda: all(state(daemon, name) == "RUNNING" for name in unsure))
    assert all("ready: unknown, the daemon was away" in detail(daemon, name) for name in unsure)
    assert {state(daemon, name) for name in ("fd", "probe", "log")} == {"STARTING"}
    (daemon.home / "go").touch()
    wait_until(lambda: {each["state"] for each in daemon.status().values()} == {"RUNNING"})
    assert [name for name, each in daemon.status().items() if each["ready"]["unsure"]] == unsure
    wait_until(lambda: "well" in detail(daemon, "notify"))
    assert {name: each["pid"] for name, each in daemon.status().items()} == pids


SAYS = """
import os, socket, time
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    channel.sendto(text, os.environ["NOTIFY_SOCKET"])
say(b"READY=1\\nSTATUS=warm")
for number in range(50):
    say(b"STATUS=busy %d" % number)
say(b"STATUS=serving 3 clients")
time.sleep(99)
"""
"""Is ready, and says more often what it does than a state is written."""


@pytest.mark.sweep
def test_what_a_program_has_said_of_itself_last_outlives_the_daemon(daemon: Daemon) -> None:
    configure(daemon, web={"cmd": python(SAYS), "ready": "notify"}).start()
    wait_until(lambda: detail(daemon, "web") == "serving 3 clients")
    assert daemon.ctl("upgrade").returncode == 0
    assert (state(daemon, "web"), detail(daemon, "web")) == ("RUNNING", "serving 3 clients")
    wait_until(lambda: '"said":"serving 3 clients"' in daemon.state_file.read_text())
    daemon.kill()
    daemon.start()
    assert (state(daemon, "web"), detail(daemon, "web")) == ("RUNNING", "serving 3 clients")
    assert daemon.ctl("restart", "web").returncode == 0
    wait_until(lambda: detail(daemon, "web") == "serving 3 clients")
    assert daemon.ctl("stop", "web").returncode == 0
    assert "serving" not in detail(daemon, "web")


@pytest.mark.sweep
def test_with_a_guardian_what_was_announced_while_there_was_no_daemon_counts(daemon: Daemon) -> None:
    fd = {"cmd": f"{UNTIL_GO}; echo >&3; exec 3>&-; touch told; exec sleep 99", "shell": True, "ready": {"fd": 3}}
    notify = {"cmd": python(NOTIFIES), "ready": "notify"}
    gone = {"cmd": f"{UNTIL_GO}; exit 1", "shell": True, "ready": {"fd": 3}, "startretries": 0}
    configure(daemon, fd=fd, notify=notify, gone=gone).start("--guard")
    wait_until(lambda: all(each["pid"] for each in daemon.status().values()))
    pids = {name: each["pid"] for name, each in daemon.status().items()}
    pid = resident(daemon)
    os.kill(pid, signal.SIGSTOP)
    (daemon.home / "go").touch()
    wait_until(lambda: (daemon.home / "told").exists() and (daemon.home / "notified").exists())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: [state(daemon, name) for name in ("fd", "notify")] == ["RUNNING"] * 2)
    assert not any(daemon.status()[name]["ready"]["unsure"] for name in ("fd", "notify"))
    assert ("well" in detail(daemon, "notify"), daemon.status()["notify"]["status_text"]) == (True, "well")
    wait_until(lambda: state(daemon, "gone") == "FATAL")
    assert [daemon.status()[name]["pid"] for name in ("fd", "notify")] == [pids["fd"], pids["notify"]]
    assert daemon.ctl("stop", "all").returncode == 0
    assert not list(daemon.home.glob("*.notify"))


def test_what_cannot_be_a_way_is_refused_with_what_to_write_instead(daemon: Daemon) -> None:
    for ready, said in (
        ({"http": "https://127.0.0.1/"}, "exec: curl"),
        ({"log": "/x+/"}, "exec: grep"),
        ({"tcp": "example.org:80"}, "exec: curl"),
        ({"fd": 2}, "is not between 3 and 255"),
        ({"tcp": "80", "fd": 3}, "exactly one of"),
        ({"interval": 1}, "names no way"),
        ("yes", "is neither notify nor health nor a map"),
    ):
        configure(daemon, p={"cmd": "sleep 9", "ready": ready})
        answer = daemon.launch("-t")
        assert (answer.returncode, said in answer.stderr) == (6, True), (ready, answer.stderr)

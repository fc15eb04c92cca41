"""`subscribe`: a snapshot, then every change with its number, and the truth about what was lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from taskmasterctl.reply.mirror import Mirror
from taskmasterd.control.verbs.subscribe import MOST_PENDING
from tests.support.daemon import Daemon
from tests.support.wait import wait_until
from tests.support.wire import sleep_for

pytestmark = pytest.mark.slow

CONFIG = "programs: {web: {cmd: sleep 300, starttime: 0, numprocs: 2}, off: {cmd: sleep 300, starttime: 0, autostart: false}}"


class Subscriber:
    """A subscription whose objects are read one after the other into a mirror."""

    def __init__(self, channel: socket.socket) -> None:
        self.mirror = Mirror()
        self.heard: list[dict[str, Any]] = []
        self._lines = channel.makefile("rb")

    def close(self) -> None:
        self._lines.close()

    def next(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line, f"the connection has ended after {self.heard}"
        message: dict[str, Any] = json.loads(line)
        self.heard.append(message)
        self.mirror.take(message, 0.0)
        return message

    def until(self, kind: str) -> dict[str, Any]:
        while True:
            message = self.next()
            if message["type"] == kind:
                return message

    def until_state(self, name: str, state: str) -> list[dict[str, Any]]:
        """Read until this process is in this state; return the changes that came."""
        changes: list[dict[str, Any]] = []
        while not changes or (changes[-1]["name"], changes[-1]["state"]) != (name, state):
            changes.append(self.until("change"))
        return changes

    def states(self) -> dict[str, str]:
        return {process["name"]: process["state"] for process in self.mirror}


@contextmanager
def subscribed(daemon: Daemon, request: str = "subscribe") -> Iterator[Subscriber]:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(20)
        channel.connect(str(daemon.socket))
        channel.sendall(f"{request}\n".encode())
        subscriber = Subscriber(channel)
        try:
            yield subscriber
        finally:
            subscriber.close()


@pytest.fixture
def running(daemon: Daemon) -> Daemon:
    daemon.write(CONFIG)
    daemon.start()
    for name in ("web:0", "web:1"):
        daemon.wait_for(name, "RUNNING")
    return daemon


def test_first_comes_how_everything_is_and_then_each_change_with_the_next_number(running: Daemon) -> None:
    with subscribed(running) as subscriber:
        kinds = [subscriber.next()["type"] for _ in range(5)]
        assert kinds == ["hello", "ack", "daemon", "snapshot", "processes"]
        assert subscriber.states() == {"web:0": "RUNNING", "web:1": "RUNNING", "off": "STOPPED"}
        began = subscriber.heard[3]["sequence"]
        running.ctl("restart", "web:1")
        running.ctl("start", "off")
        changes = subscriber.until_state("off", "RUNNING")
        assert [change["sequence"] for change in changes] == list(range(began + 1, began + 1 + len(changes)))
        states = [(c["before"], c["state"]) for c in changes if c["name"] == "web:1" and c["before"] != c["state"]]
        assert states == [("RUNNING", "STOPPING"), ("STOPPING", "STARTING"), ("STARTING", "RUNNING")]
        assert subscriber.states() == {"web:0": "RUNNING", "web:1": "RUNNING", "off": "RUNNING"}
        assert {process["name"]: process["pid"] for process in subscriber.mirror} == {
            name: process["pid"] for name, process in running.status().items()
        }


def test_a_change_tells_why(running: Daemon) -> None:
    with subscribed(running) as subscriber:
        subscriber.until("processes")
        running.ctl("signal", "KILL", "web:0")
        crash = subscriber.until_state("web:0", "STARTING")[0]
        assert crash["reason"].startswith("killed by SIGKILL after ")
        assert crash["process"]["exit"]["expected"] is False
        running.ctl("stop", "web:0")
        assert subscriber.until_state("web:0", "STOPPED")[-1]["reason"].startswith("stopped by uid ")


def test_what_is_not_as_wanted_comes_with_the_last_line_of_its_stderr(daemon: Daemon) -> None:
    bad = "{cmd: sh -c 'echo one >&2; echo two >&2; exit 3', starttime: 0, autorestart: never}"
    daemon.write(f"programs: {{bad: {bad}, late: {bad.replace('never', 'never, autostart: false')}}}")
    daemon.start()
    wait_until(lambda: daemon.status()["bad"]["state"] == "EXITED")
    with subscribed(daemon) as subscriber:
        before = {each["name"]: each.get("stderr") for each in subscriber.until("processes")["processes"]}
        assert before == {"bad": "two", "late": None}
        daemon.ctl("start", "late")
        assert subscriber.until_state("late", "EXITED")[-1]["process"]["stderr"] == "two"


def test_targets_leave_out_the_others_and_an_unknown_one_is_an_error(running: Daemon) -> None:
    with subscribed(running, "subscribe web:1 o*") as subscriber:
        subscriber.until("processes")
        assert set(subscriber.states()) == {"web:1", "off"}
        running.ctl("restart", "web")
        running.ctl("start", "off")
        assert {change["name"] for change in subscriber.until_state("off", "RUNNING")} == {"web:1", "off"}
    with subscribed(running, "subscribe wbe") as subscriber:
        end = subscriber.until("end")
        assert (end["exit"], end["error"]["code"]) == (4, "unknown-name")


def test_a_reload_that_changes_something_brings_a_new_snapshot_and_shown_names_follow(running: Daemon) -> None:
    with subscribed(running) as subscriber:
        subscriber.until("processes")
        assert running.ctl("reload").returncode == 0
        running.write(CONFIG.replace("numprocs: 2", "numprocs: 1").replace("off:", "new:"))
        assert running.ctl("reload").returncode == 0
        running.ctl("start", "new")
        subscriber.until_state("new", "RUNNING")
        assert subscriber.states() == {"web": "RUNNING", "new": "RUNNING"}
        assert [message["type"] for message in subscriber.heard].count("snapshot") == 2


def test_a_removed_process_is_told_to_be_gone(running: Daemon) -> None:
    with subscribed(running) as subscriber:
        subscriber.until("processes")
        running.write("programs: {web: {cmd: sleep 300, starttime: 0}}")
        running.ctl("reload")
        wait_until(lambda: subscriber.next()["type"] == "change" and set(subscriber.states()) == {"web"})
        gone = [message["name"] for message in subscriber.heard if message.get("removed")]
        assert gone == ["web:1"]


@pytest.mark.sweep
def test_a_slow_subscriber_is_told_how_much_it_missed_and_is_right_afterwards(daemon: Daemon) -> None:
    count = 400
    daemon.write(
        f"programs: {{flap: {{cmd: /nonexistent, numprocs: {count}, autostart: false, startretries: 2,"
        " restart_delay: 0.01, restart_max_delay: 0.01}}"
    )
    daemon.start()
    with subscribed(daemon) as subscriber:
        subscriber.until("processes")
        daemon.ctl("start", "flap", within_s=100)
        seen = missed = 0
        while not missed or subscriber.mirror.counts() != (0, [("FATAL", count)]):
            message = subscriber.next()
            seen += message["type"] == "change"
            missed += message.get("changes", 0)
        assert missed >= MOST_PENDING
        last = [m["sequence"] for m in subscriber.heard if m["type"] in ("change", "snapshot")][-1]
        assert seen + missed == last
        assert daemon.ctl("pid").returncode == 0


def test_a_subscriber_that_goes_is_forgotten(running: Daemon) -> None:
    for _ in range(3):
        with subscribed(running) as subscriber:
            subscriber.until("processes")
    assert running.ctl("restart", "web").returncode == 0
    assert "internal error" not in running.events()


def test_a_daemon_that_ends_in_order_says_who_asked_and_one_that_dies_says_nothing(running: Daemon) -> None:
    with subscribed(running) as subscriber:
        subscriber.until("processes")
        running.ctl("shutdown")
        last = subscriber.until("end")
        assert (last["exit"], last["error"]["code"]) == (4, "stopping")
        assert last["error"]["message"] == f"taskmasterd was shut down by uid {os.geteuid()}"
        assert set(subscriber.states().values()) == {"STOPPED"}
    running.start()
    with subscribed(running) as subscriber:
        subscriber.until("processes")
        running.kill()
        with pytest.raises(AssertionError, match="the connection has ended"):
            subscriber.until("end")


def test_who_follows_a_log_hears_of_a_shutdown_and_gets_the_last_words(running: Daemon) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo hello; sleep 60 & wait"
    running.write(f"programs: {{talker: {{cmd: {json.dumps(script)}, shell: true, starttime: 0}}}}")
    assert running.ctl("reload").returncode == 0
    wait_until(lambda: "hello" in running.ctl("logs", "talker").stdout)
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "logs", "-f", "talker"],
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        assert client.stdout.readline() == "hello\n"
        running.ctl("shutdown")
        assert client.stdout.read() == "bye\n"
        assert "taskmasterctl: taskmasterd was shut down by " in client.stderr.read()
        assert client.wait(20) == 4


@pytest.mark.parametrize("words", [("subscribe",), ("status", "--watch")])
def test_into_a_pipe_the_client_writes_lines_as_they_come(running: Daemon, words: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", *words, "web"],
        env=running.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert [client.stdout.readline().split()[0] for _ in range(3)] == ["NAME", "web:0", "web:1"]
        running.ctl("start", "off")
        running.ctl("stop", "web:1")
        assert client.stdout.readline().split()[1:5] == ["web:1", "RUNNING", "->", "STOPPING"]
        assert client.stdout.readline().split()[1:5] == ["web:1", "STOPPING", "->", "STOPPED"]
        client.send_signal(2)
        assert client.wait(20) == 130


def test_json_is_the_objects_of_the_wire_one_a_line(running: Daemon) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "--json", "status", "--watch"],
        env=running.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        lines = [json.loads(client.stdout.readline()) for _ in range(3)]
        assert [line["type"] for line in lines] == ["daemon", "snapshot", "processes"]
        assert {line["schema"] for line in lines} == {1}
        running.ctl("shutdown")
        *_changes, last = [json.loads(line) for line in client.stdout]
        assert (last["type"], last["error"]["code"]) == ("end", "stopping")
        assert client.wait(20) == 4


def test_an_idle_subscription_costs_no_wake_up(running: Daemon) -> None:
    with subscribed(running) as subscriber:
        subscriber.until("processes")
        sleep_for(1.0, running.pid)

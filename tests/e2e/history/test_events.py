"""`events`: what a real daemon shows of its history, and how it goes on."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.talk import Talk
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PROGRAMS = """
programs:
  web: {cmd: sleep 300, starttime: 0, numprocs: 2}
  bad: {cmd: "sh -c 'echo no port >&2; exit 3'", startretries: 0, starttime: 30, autostart: false}
"""


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon to which a little has happened."""
    daemon = share_daemon(PROGRAMS)
    daemon.start()
    daemon.wait_for("web:0", "RUNNING")
    daemon.wait_for("web:1", "RUNNING")
    assert daemon.ctl("start", "bad").returncode == 1
    assert daemon.ctl("restart", "web:1").returncode == 0
    return daemon


def lines(daemon: Daemon, *words: str) -> list[str]:
    """Return the lines without their time."""
    done = daemon.ctl("events", *words)
    assert done.returncode == 0, done.stderr
    return [line.split(" ", 2)[2] for line in done.stdout.splitlines()]


def test_a_line_has_local_time_name_word_and_text(shared: Daemon) -> None:
    (line,) = shared.ctl("events", "--event", "fatal").stdout.splitlines()
    date, clock, rest = line.split(" ", 2)
    took = rest.split()[5]
    assert (len(date), len(clock), rest) == (10, 12, f"bad fatal  exit 3 after {took} (try 1 of 1)")


def test_recoveries_are_found_in_the_past_and_followed(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("programs: {web: {cmd: sleep 300, starttime: 0}}").start()
    for _ in range(2):
        pid = daemon.wait_for("web", "RUNNING")["pid"]
        os.kill(pid, 9)
        wait_until(lambda pid=pid: daemon.status()["web"]["pid"] not in (None, pid))  # type: ignore[misc]
        daemon.wait_for("web", "RUNNING")
    assert [each.split()[1] for each in lines(daemon, "--event", "recovered")] == ["running"] * 2
    assert len(lines(daemon, "--event", "recovered", "-n", "1")) == 1
    assert lines(daemon, "--event", "trouble,recovered", "web")[0].split()[1] == "exited"
    said = [json.loads(line) for line in daemon.ctl("--json", "events").stdout.splitlines()]
    last = max(each["seq"] for each in said if "seq" in each)
    os.kill(daemon.wait_for("web", "RUNNING")["pid"], 9)
    wait_until(lambda: len(lines(daemon, "--event", "recovered", "--after", str(last))) == 1)


def test_names_kinds_times_users_and_numbers_choose(shared: Daemon) -> None:
    me = str(os.getuid())
    login = pwd.getpwuid(os.getuid()).pw_name
    restart = (
        f"taskmasterd operator  restart web:1 by uid {me}",
        f"taskmasterd operator  restart web:1 by {login} (uid {me})",
    )
    assert [line.split("  ")[0] for line in lines(shared, "web:1")] == [
        "web:1 started", "web:1 running", "taskmasterd operator", "web:1 stopping", "web:1 exited", "web:1 started", "web:1 running",
    ]  # fmt: skip
    (stopping,) = lines(shared, "web", "--event", "stopp*")
    assert stopping in (
        f"web:1 stopping  TERM, asked by uid {me}",
        f"web:1 stopping  TERM, asked by {login} (uid {me})",
    )
    assert [line.split("  ")[0] for line in lines(shared, "--event", "trouble")] == ["bad fatal"]
    assert any(line.startswith(restart) for line in lines(shared, "--by", me))
    assert lines(shared, "--by", "4294967295") == []
    assert len(lines(shared, "-n", "2")) == 2
    assert (
        len(lines(shared, "--since", "1h")) == len(lines(shared, "--since", "boot")) == len(lines(shared, "-n", "9999"))
    )
    assert lines(shared, "--since", "start")
    assert lines(shared, "--until", "1h") == []
    first = json.loads(shared.ctl("events", "--json", "--event", "fatal").stdout.splitlines()[0])
    assert (first["type"], first["words"], first["text"][:6]) == ("event", ["no port"], "exit 3")
    after = shared.ctl("events", "--json", "--after", str(first["seq"])).stdout.splitlines()
    assert json.loads(after[0])["seq"] == first["seq"] + 1
    last = shared.ctl("events", "--json", "--after", str(first["seq"]), "-n", "1").stdout.splitlines()
    assert last == after[-2:]
    assert lines(shared, "--after", "999999", "-n", "1") == []
    assert shared.ctl("history", "-n", "1").stdout == shared.ctl("events", "-n", "1").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("wen",), 4, "did you mean web?"),
        (("--event", "fatl"), 2, "did you mean fatal?"),
        (("--since", "25:00"), 2, "is not a moment such as"),
        (("--by", "root"), 2, '"root" is not a number'),
        (("-f", "--until", "1h"), 2, "leave out --follow"),
    ],
)
def test_what_cannot_be_meant_is_refused(shared: Daemon, words: tuple[str, ...], code: int, said: str) -> None:
    done = shared.ctl("events", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@contextmanager
def follower(
    daemon: Daemon, *words: str
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], list[dict[str, Any]]]]]:
    """Run `events -f --json`; yields it, and a function that returns the events that it has shown so far."""
    path = daemon.home / "followed"
    with path.open("wb") as out, (daemon.home / "errors").open("wb") as errors:
        client = subprocess.Popen(
            [sys.executable, "-m", "taskmasterctl", "events", "-f", "--json", *words], env=daemon.environment, stdout=out, stderr=errors
        )  # fmt: skip

    def shown() -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    try:
        yield client, shown
    finally:
        client.kill()
        client.wait()


@pytest.mark.sweep
def test_following_begins_with_the_past_and_outlives_kills_and_an_upgrade_without_a_gap(daemon: Daemon) -> None:
    daemon.write(PROGRAMS)
    daemon.start()
    daemon.wait_for("web:0", "RUNNING")
    daemon.wait_for("web:1", "RUNNING")
    with follower(daemon, "-n", "2") as (client, shown):
        wait_until(lambda: len(shown()) == 2)
        for _ in range(2):
            daemon.kill()
            daemon.start()
            assert daemon.ctl("restart", "web:0").returncode == 0
        assert daemon.ctl("upgrade").returncode == 0
        assert daemon.ctl("stop", "web:0").returncode == 0
        wait_until(lambda: shown()[-1]["event"] == "stopped")
        numbers = [event["seq"] for event in shown()]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert [event["event"] for event in shown()].count("crashed") == 2
        assert daemon.ctl("shutdown").returncode == 0
        assert client.wait(20) == 4
    assert b"no daemon since" in (daemon.home / "errors").read_bytes()


@pytest.mark.sweep
def test_a_reader_that_stops_is_told_what_it_missed_and_may_ask_for_it(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: sleep 300, starttime: 0, numprocs: 150}}")
    daemon.start()
    daemon.wait_for("web:149", "RUNNING")
    with Talk(daemon, "events --follow --lines=0") as talk:
        for _ in range(9):
            assert daemon.ctl("restart", "all", within_s=120).returncode == 0
        newest = json.loads(daemon.ctl("events", "--json", "-n", "1").stdout.splitlines()[0])["seq"]
        assert newest > 5000
        missed = talk.until("missed")[-1]
    assert missed["last"] - missed["first"] >= 999
    rest = daemon.ctl("events", "--json", "--after", str(missed["first"] - 1), within_s=60).stdout.splitlines()
    numbers = [json.loads(line)["seq"] for line in rest[:-1]]
    assert numbers == list(range(missed["first"], newest + 1))


@pytest.mark.sweep
def test_a_signal_ends_it_like_other_endless_replies(shared: Daemon) -> None:
    with follower(shared, "-n", "1") as (client, shown):
        wait_until(lambda: bool(shown()))
        client.send_signal(signal.SIGINT)
        assert client.wait(20) == 130

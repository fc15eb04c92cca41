"""The shell's subscription: it reads what is there, never waits, and finds the daemon again."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from taskmasterctl.connect.sockets import Sockets
from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.shell.feed import FIRST_PAUSE_S, LONGEST_PAUSE_S, SILENCE_S, Feed
from taskmasterctl.shell.news import News
from tests.support.fakedaemon import CLOSE, HELLO, HOLD, FakeDaemon, end, process
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DAEMON = {"type": "daemon", "version": "9.9", "protocol": 1, "pid": 4711, "uptime_s": 60.0}
SNAPSHOT: list[dict[str, Any]] = [
    DAEMON,
    {"type": "snapshot", "sequence": 0, "count": 2},
    {"type": "processes", "processes": [process("web"), process("db")]},
]
CRASH: dict[str, Any] = {
    "type": "change", "sequence": 1, "name": "db", "before": "RUNNING", "state": "FATAL",
    "process": process("db", "FATAL"), "reason": "exit 3 after 1.0s", "removed": False,
}  # fmt: skip


@pytest.fixture
def path(short_dir: Path) -> str:
    return str(short_dir / "s")


@pytest.fixture
def feed(path: str) -> Iterator[Feed]:
    made = Feed(
        Sockets(
            (
                f"{path}-other",
                path,
            )
        ),
        Mirror(),
    )
    yield made
    made.close()


def heard(feed: Feed, wanted: str, now: float = 0.0) -> list[dict[str, Any]]:
    """Step until something of that type has happened; return all that has."""
    happened: list[dict[str, Any]] = []

    def seen() -> bool:
        happened.extend(feed.step(now))
        return any(each["type"] == wanted for each in happened)

    wait_until(seen)
    return happened


def test_it_takes_the_first_socket_that_answers_and_fills_the_mirror(path: str, feed: Feed) -> None:
    with FakeDaemon(path, {"subscribe": [*SNAPSHOT, CRASH, HOLD]}) as daemon:
        happened = heard(feed, "change")
        assert [each["type"] for each in happened] == ["connected", "change"]
        assert (feed.connected, feed.path) == (True, path)
        assert [each["state"] for each in feed.mirror] == ["RUNNING", "FATAL"]
        assert daemon.requests == ["subscribe"]
        assert feed.wait_s(0.0) is None
        feed.close()


@pytest.mark.parametrize(
    ("code", "said"),
    [("stopping", "taskmasterd was shut down by uid 1001"), ("permission", "uid 1001 may not use this daemon")],
)
def test_a_daemon_that_says_why_it_ends_the_subscription_was_not_lost_by_an_accident(
    path: str, feed: Feed, code: str, said: str
) -> None:
    farewell = end(4, code, said)
    with FakeDaemon(path, {"subscribe": [*SNAPSHOT, farewell, HOLD]}):
        assert heard(feed, "lost")[-1] == {"type": "lost", "reason": said}
    feed.close()
    with FakeDaemon(f"{path}-other", {"subscribe": [*SNAPSHOT, CLOSE]}):
        feed.step(100.0)
        assert heard(feed, "lost", 100.0)[-1] == {"type": "lost", "reason": ""}


def test_without_a_daemon_it_tries_again_after_a_pause_that_grows(feed: Feed) -> None:
    now, pauses = 0.0, []
    for _ in range(10):
        assert feed.step(now) == []
        pauses.append(feed.wait_s(now) or 0.0)
        assert feed.step(now + pauses[-1] / 2) == []
        now += pauses[-1]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses[-1] == LONGEST_PAUSE_S
    assert pauses == sorted(pauses)


def test_a_lost_daemon_is_told_once_and_the_mirror_stays_as_it_was(path: str, feed: Feed) -> None:
    with FakeDaemon(path, {"subscribe": [*SNAPSHOT, "close"]}):
        assert [each["type"] for each in heard(feed, "lost")] == ["connected", "lost"]
    assert (feed.connected, feed.fd) == (False, -1)
    assert [each["name"] for each in feed.mirror] == ["web", "db"]
    for now in range(1, 20):
        assert feed.step(float(now)) == []
    os.unlink(path)
    with FakeDaemon(path, {"subscribe": [DAEMON, {"type": "snapshot", "sequence": 0, "count": 0}, HOLD]}):
        assert [each["type"] for each in heard(feed, "connected", 100.0)] == ["connected"]
        assert len(feed.mirror) == 0
        feed.close()


@pytest.mark.parametrize(
    "hello",
    [{**HELLO, "protocol": 3}, end(4, "permission", "uid 1 may not"), b"SSH-2.0-OpenSSH_9.2\r\n"],
)
def test_somebody_else_than_our_daemon_is_left_and_tried_again_later(path: str, feed: Feed, hello: Any) -> None:
    with FakeDaemon(path, {"subscribe": [*SNAPSHOT, HOLD]}, hello=hello):
        feed.step(0.0)
        wait_until(lambda: feed.step(0.0) == [] and feed.fd < 0)
        assert not feed.connected
        assert (feed.wait_s(0.0) or 0.0) >= FIRST_PAUSE_S


def test_a_daemon_that_says_nothing_is_given_up_and_tried_anew(path: str, feed: Feed) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        feed.step(0.0)
        feed.step(SILENCE_S - 0.1)
        assert feed.fd >= 0
        assert feed.step(SILENCE_S) == []
        assert feed.fd < 0


def test_news_are_what_nobody_asked_for_and_not_what_a_command_has_told(path: str, feed: Feed) -> None:
    with FakeDaemon(path, {"subscribe": [*SNAPSHOT, CRASH, HOLD]}):
        news = News(feed)
        news.catch_up(within_s=5.0)
        assert feed.connected
        lines: list[str] = news.take()

        def come() -> bool:
            lines.extend(news.step())
            return bool(lines)

        if not lines:
            wait_until(come)
        assert [line.split(" ", 1)[1] for line in lines] == ["db RUNNING -> FATAL (exit 3 after 1.0s)\n"]
        feed.close()
    os.unlink(path)
    with FakeDaemon(path, {"subscribe": [*SNAPSHOT, CRASH, HOLD]}):
        other = News(Feed(Sockets((path,)), Mirror()))

        def caught_up() -> bool:
            other.catch_up(["d*"])
            return any(each["state"] == "FATAL" for each in other.feed.mirror)

        wait_until(caught_up)
        assert other.take() == []
        other.feed.close()

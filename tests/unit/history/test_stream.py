"""The reply of `events`: pieces, what it does when the reader is slow, and how it goes on after an upgrade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taskmaster_common.commands.table import parse
from taskmaster_common.errors import RequestError
from taskmasterd.control.replies import MORE
from taskmasterd.control.rights import Sight
from taskmasterd.control.verbs.events import MOST_BEHIND, EventStream, events, resume, wanted_of
from taskmasterd.core.access import Rights, Roles
from taskmasterd.core.programs.table import Table
from taskmasterd.system.peers import Peer
from taskmasterd.telling.history import History


class Client:
    """A connection that pulls when the test says so."""

    def __init__(self, history: History) -> None:
        self.now = 100.0
        self.operation: Any = None
        self.sent: list[dict[str, Any]] = []
        self._source: Iterator[dict[str, Any] | None] = iter(())
        self.pokes = 0
        self.rights: Rights | None = None
        self.claim: object = None
        self.close: Callable[[], None] = lambda: None
        log = SimpleNamespace(history=history)
        reactor = SimpleNamespace(now=lambda: self.now)
        identity = SimpleNamespace(signals={15: "TERM"}, started=50.0)
        supervisor = SimpleNamespace(table=Table())
        self.context = SimpleNamespace(log=log, reactor=reactor, identity=identity, supervisor=supervisor)

    def call(self, words: str) -> Any:
        sight = Sight(Peer(1, 0, 0), self.rights, self.context.supervisor.table)
        return SimpleNamespace(context=self.context, connection=self, request=parse(words.split()), sight=sight)

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    end = send

    def pull(self, source: Iterator[dict[str, Any] | None], *, endless: bool = False) -> None:
        del endless
        self._source = source

    def when_gone(self, callback: Callable[[], None]) -> None:
        self.close = callback

    def poke(self) -> None:
        self.pokes += 1

    def takes(self, most: int = 10**6) -> list[dict[str, Any]]:
        """Pull up to so many objects, or until there is nothing new; returns what was sent."""
        before = len(self.sent)
        while len(self.sent) - before < most and (message := next(self._source, None)) is not None:
            if message is not MORE:
                self.sent.append(message)
        return self.sent[before:]

    def numbers(self, messages: list[dict[str, Any]]) -> list[int]:
        return [event["seq"] for message in messages if message["type"] == "events" for event in message["events"]]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(str(tmp_path / "history" / "s"), {"size": 16_000_000, "age": 0.0}, "boot")
    yield made
    made.close()


@pytest.fixture
def client(history: History) -> Iterator[Client]:
    made = Client(history)
    yield made
    made.close()


def noted(history: History, count: int) -> None:
    for number in range(history.seq, history.seq + count):
        history.note(f"p{number}", "running", pid=number)
    history.flush()


def asked(client: Client, words: str) -> Client:
    for _ in events(client.call(words)):
        pass
    return client


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("events", list(range(251, 301))),
        ("events -n 2", [299, 300]),
        ("events -n 0", []),
        ("events --after 297", [298, 299, 300]),
        ("events --after 300", []),
        ("events -n 9 p7", [8]),
        ("events --since 1h --event running", list(range(1, 301))),
        ("events --since 1h -n 1", [300]),
        ("events --until 1h", []),
    ],
)
def test_the_past_is_as_asked_for_and_then_the_reply_ends(
    history: History, client: Client, words: str, numbers: list[int]
) -> None:
    noted(history, 300)
    sent = asked(client, words).takes()
    assert client.numbers(sent) == numbers
    assert (sent or client.sent)[-1] == {"type": "end", "exit": 0}
    assert all(len(message["events"]) <= 100 for message in sent if message["type"] == "events")


def test_following_goes_on_with_each_flush(history: History, client: Client) -> None:
    noted(history, 3)
    asked(client, "events -f -n 1")
    assert client.numbers(client.takes()) == [3]
    noted(history, 2)
    assert client.pokes == 1
    assert client.numbers(client.takes()) == [4, 5]
    assert client.sent[-1]["seq"] == 5


def test_a_burst_is_no_reason_to_miss_anything_for_one_that_reads(history: History, client: Client) -> None:
    asked(client, "events -f -n 0").takes()
    client.now += 100
    noted(history, 2 * MOST_BEHIND)
    assert client.numbers(client.takes()) == list(range(1, 2 * MOST_BEHIND + 1))


def test_one_that_has_read_nothing_for_a_while_is_told_which_numbers_it_missed(
    history: History, client: Client
) -> None:
    asked(client, "events -f -n 0").takes()
    noted(history, 200)
    assert client.numbers(client.takes(1)) == list(range(1, 101))
    noted(history, 2000)
    client.now += 5
    sent = client.takes()
    seen = client.numbers(sent)
    (missed,) = [message for message in sent if message["type"] == "missed"]
    assert (missed["first"], missed["last"]) == (seen[-1] + 1 if seen else 101, 2200)
    noted(history, 1)
    assert client.numbers(client.takes()) == [2201]


def test_what_is_no_longer_kept_is_missed(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history" / "s"), {"size": 64_000, "age": 0.0}, "boot")
    client = Client(history)
    for _ in range(30):
        noted(history, 50)
    sent = asked(client, "events --after 3").takes()
    assert sent[0]["type"] == "missed"
    assert (sent[0]["first"], sent[0]["last"] + 1) == (4, client.numbers(sent)[0])
    client.close()
    history.close()


def test_an_upgrade_goes_on_at_the_next_number(history: History, client: Client) -> None:
    noted(history, 5)
    asked(client, "events -f -n 2").takes()
    data = client.operation.to_data()
    client.close()
    noted(history, 2)
    after = Client(history)
    resume(after.call(" ".join(data["words"])), data)
    assert after.numbers(after.takes()) == [6, 7]
    after.close()


def test_a_request_of_the_past_sees_nothing_of_what_comes_meanwhile(history: History, client: Client) -> None:
    noted(history, 2)
    asked(client, "events")
    noted(history, 2)
    assert client.numbers(client.takes()) == [1, 2]


def test_a_daemon_without_a_history_says_so(client: Client) -> None:
    none = Client(History())
    asked(none, "events")
    none.takes()
    assert [message["type"] for message in none.sent] == ["warning", "end"]
    assert wanted_of(none.call("events --since start")).since
    assert EventStream(none.call("events"), wanted_of(none.call("events"))).seq == 1


def test_a_client_sees_the_programs_of_its_roles_and_words_only_where_it_may_read(
    history: History, client: Client
) -> None:
    rows = {"mon": {"users": {"mon": 7}, "level": "look", "programs": ["web*"]}}
    client.rights = Roles(rows, {}).of(Peer(7, 7, 0))
    for name in ("web", "db"):
        history.note(name, "fatal", status=256, after=0.1, words=["secret"])
    history.note("", "daemon-start", pid=7, version="1", config="/c.yaml")
    history.note("", "operator", verb="stop", targets=["db"], by={"uid": 0})
    history.flush()
    found = [
        event
        for message in asked(client, "events").takes()
        if message["type"] == "events"
        for event in message["events"]
    ]
    assert [(event["name"], event["event"]) for event in found] == [("web", "fatal"), ("", "daemon-start")]
    assert not any("words" in event or "config" in event for event in found)
    claims = [client.claim]
    for target in ("db", "gone"):
        with pytest.raises(RequestError, match="no program named"):
            asked(client, f"events {target}")
    asked(client, "events web")
    assert [*claims, client.claim] == [("look", ()), ("look", ("web",))]

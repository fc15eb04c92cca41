"""What a source has to say reaches the client before the end of its reply, also while others have their turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from taskmasterd.control.replies import MORE, ReplySource


class Client:
    """A client with room for so many objects, and a loop that goes on with a pull when it is told to."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.got: list[Any] = []
        self.pulls: list[Any] = []
        reactor: Any = SimpleNamespace(
            rounds=SimpleNamespace(begin=lambda steps, _dropped: self.pulls.append(steps)),
            attempt=lambda callback, _dropped: callback(),
        )
        self.source = ReplySource(reactor, self.got.append, lambda: len(self.got) < self.room, self.got.clear)


def test_what_waits_is_sent_before_the_end_although_a_pull_is_under_way() -> None:
    client = Client()
    client.source.begin(iter(({"n": 1}, MORE, {"n": 2}, None, {"n": 3})), endless=True)
    next(client.pulls[0])
    client.source.poke()
    assert (client.got, len(client.pulls)) == ([{"n": 1}], 1), "the pull under way serves whoever pokes"
    client.source.send_ready()
    assert client.got == [{"n": 1}, {"n": 2}]
    client.source.drop()
    assert list(client.pulls[0]) == []


def test_a_client_gets_no_more_than_it_has_room_for() -> None:
    client = Client(room=2)
    client.source.begin(iter([{"n": each} for each in range(5)]), endless=True)
    client.source.send_ready()
    assert len(client.got) == 2


def test_news_of_a_turn_that_others_had_before_the_source_paused_is_sent_without_another_poke() -> None:
    client = Client()
    news: list[dict[str, Any]] = []

    def source() -> Any:
        while True:
            yield from news
            news.clear()
            yield {"its restart": "others have a turn before it pauses"}
            yield None

    client.source.begin(source(), endless=True)
    pull = client.pulls[0]
    next(pull)
    news.append({"n": 1})
    client.source.poke()
    list(pull)
    assert {"n": 1} in client.got
    assert len(client.got) == 3, "and then it waits for the next poke"

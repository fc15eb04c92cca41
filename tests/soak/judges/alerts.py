"""Whether the receivers of alert rules have heard all that they asked for, in order, and the end of each trouble. Pure.

A message is what arrived under one id: it may arrive again, as it was. Messages begin to arrive in the order of their ids.
"""

from __future__ import annotations

from typing import Any, NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Event = Mapping[str, Any]

COUNTED = "more"
"""Key of a record that the history got late, as the last of many in a minute; a rule heard of all of them at once."""
CRASH, FATAL, RECOVERED = "crash", "fatal", "recovered"


class Message(NamedTuple):
    """One that has arrived."""

    id: str
    events: Sequence[Event]

    @property
    def begun(self) -> int:
        """When it was begun, in µs: ids are that in hexadecimal digits and the name of the rule."""
        return int(self.id.partition(".")[0], 16)


def is_crash(record: Event) -> bool:
    """Return whether a record of the history is an end that nobody expected."""
    return record["event"] == "exited" and record.get("expected") is False


def trouble_in(record: Event) -> bool:
    """Return whether a record of the history is trouble of those that are judged here."""
    return record["event"] == FATAL or is_crash(record)


def heard(messages: Sequence[Message]) -> Iterator[str | Message]:
    """Yield each message once, and what is wrong with ids and repetitions."""
    by_id: dict[str, Message] = {}
    newest = 0
    for message in messages:
        if message.id in by_id:
            if list(by_id[message.id].events) != list(message.events):
                yield f"message {message.id} arrives again with other events"
            continue
        by_id[message.id] = message
        if message.begun <= newest:
            yield f"message {message.id} arrives after one that was begun later"
        newest = max(newest, message.begun)
        yield message


def problems(
    messages: Sequence[Message], history: Iterable[Event], wanted: Callable[[Event], bool], *, recoveries: bool = False
) -> Iterator[str]:
    """Yield what is wrong with the messages of a rule that wants some records of the history, and `recoveries` besides."""
    events: list[Event] = []
    for each in heard(messages):
        if isinstance(each, str):
            yield each
        else:
            events += each.events
    there = {event.get("seq") for event in events if event["event"] != RECOVERED}
    missing = [each for each in history if wanted(each) and COUNTED not in each and each["seq"] not in there]
    if missing:
        yield f"{len(missing)} events never arrived, the first is {missing[0]}"
    if recoveries:
        yield from _recoveries(events)


def _recoveries(events: Iterable[Event]) -> Iterator[str]:
    """Yield what is wrong with the ends of troubles: each end follows a trouble, and is reported once."""
    open_now: set[str] = set()
    wrong: list[Event] = []
    for event in events:
        if event["event"] != RECOVERED:
            open_now.add(event["name"])
        elif event["name"] in open_now:
            open_now.remove(event["name"])
        else:
            wrong.append(event)
    if wrong:
        yield f"{len(wrong)} recoveries from no trouble, the first is {wrong[0]}"


def still_open(messages: Iterable[Message]) -> set[str]:
    """Return the names with a reported trouble and no recovery since."""
    found: set[str] = set()
    for message in messages:
        for event in message.events:
            (found.discard if event["event"] == RECOVERED else found.add)(event["name"])
    return found

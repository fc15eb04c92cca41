"""The messages of one rule that wait, in memory and in its file.

    {"m": number, "e": record}      an event of a message
    {"done": number}                it was delivered or dropped, and so were those before it
    {"lost": count}                 events that are gone, of which the next message tells

A message is numbered by the time of its beginning, microseconds since 1970, so that its id is the same after each restart.
"""

from __future__ import annotations

from taskmaster_common.errors import SystemFailure
from taskmaster_common.jsontext import write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmasterd.output.safe.journal import Journal

    Event = Mapping[str, Any]

MOST_EVENTS = 1000
MOST_BYTES = 1024 * 1024
"""Most that waits; the oldest events go first."""


def left_out(count: int) -> Event:
    """Return the record that says how many events a message has not."""
    return {"event": "", "name": "", "left_out": count}


class Waiting:
    """One message. `due`: nothing more comes into it; `busy`: somebody delivers it."""

    __slots__ = ("_distrusted", "busy", "due", "events", "left_out", "number", "sizes")

    def __init__(self, number: int) -> None:
        self.number = number
        self.events: list[Event] = []
        self.sizes: list[int] = []
        self.left_out = 0
        self.due = self.busy = False
        self._distrusted = 0

    def complete(self) -> None:
        """Note that nothing more comes into it."""
        self.due = True

    def take(self) -> None:
        """Note that somebody delivers it."""
        self.busy = True

    def give_back(self) -> None:
        """Note that nobody delivers it any more."""
        self.busy = False

    def distrust(self) -> int:
        """Count a bad certificate; return how many there were."""
        self._distrusted += 1
        return self._distrusted

    @property
    def records(self) -> list[Event]:
        """Its events, and a last one that says how many were left out."""
        return [*self.events, *([left_out(self.left_out)] if self.left_out else [])]

    @property
    def begun(self) -> float:
        """When it was begun, seconds since 1970."""
        return self.number / 1e6

    def line(self, rule: str, lost: int) -> dict[str, Any]:
        """Return it as `helper.protocol` has it."""
        return {"id": self.id(rule), "at": self.begun, "events": self.events, "left_out": self.left_out, "lost": lost}

    def id(self, rule: str) -> str:
        """Return the id under which its receivers know it."""
        return f"{self.number:x}.{rule}"


class AlertQueue:
    """All messages of a rule, in their order. `lost` events are gone."""

    def __init__(self, journal: Journal, most: int = MOST_EVENTS) -> None:
        self._journal = journal
        self._most = most
        self._messages: dict[int, Waiting] = {}
        self._dead = 0
        self.lost = self.events = self.size = 0

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._messages.values())

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def due(self) -> list[Waiting]:
        """The messages that are complete and not being delivered."""
        return [each for each in self._messages.values() if each.due and not each.busy]

    def get(self, number: int) -> Waiting | None:
        """Return a message, None if it is gone."""
        return self._messages.get(number)

    def add(self, number: int, event: Event) -> None:
        """Add an event to a message, which this may begin."""
        self._take(number, event)
        self._journal.add({"m": number, "e": event})
        self._make_room()

    def _take(self, number: int, event: Event) -> None:
        message = self._messages.get(number)
        if message is None:
            message = self._messages[number] = Waiting(number)
        if event.get("left_out") and not event["event"]:
            message.left_out += int(event["left_out"])
            return
        size = len(write_json(event))
        message.events.append(event)
        message.sizes.append(size)
        self.events += 1
        self.size += size

    def _make_room(self) -> None:
        while self.events > self._most or self.size > MOST_BYTES:
            oldest = next((each for each in self._messages.values() if each.events and not each.busy), None)
            if oldest is None:
                return
            del oldest.events[0]
            self.size -= oldest.sizes.pop(0)
            self.events -= 1
            self.lost += 1
            self._dead += 1
            if not oldest.events and oldest.due:
                del self._messages[oldest.number]
            if self._dead > MOST_EVENTS:
                self.rewrite()

    def completed(self, number: int) -> None:
        """Note that nothing more comes into a message."""
        message = self._messages.get(number)
        if message:
            message.complete()
            if not (message.events or message.left_out):  # they have made room for others
                del self._messages[number]

    def gone(self, number: int) -> None:
        """Remove a message that was delivered or dropped."""
        message = self._messages.pop(number, None)
        if message is None:
            return
        self.events -= len(message.events)
        self.size -= sum(message.sizes)
        self._dead += len(message.events) + 1
        if not self._messages and not self.lost:
            self._dead = 0
            self._journal.remove()
        elif self._dead > MOST_EVENTS or next(iter(self._messages), number + 1) < number:
            self.rewrite()
        else:
            self._journal.add({"done": number})

    def told(self, lost: int) -> None:
        """Note that a message has told of so many lost events."""
        self.lost -= lost
        if lost and not self.lost:
            self.rewrite()

    def rewrite(self) -> None:
        """Write the file again, without what is gone."""
        self._dead = 0
        rows: list[object] = [{"lost": self.lost}] if self.lost else []
        for message in self._messages.values():
            rows += [{"m": message.number, "e": event} for event in message.records]
        self._journal.replace(rows)

    def flush(self) -> None:
        """Write what is new."""
        self._journal.flush()

    def remove(self) -> None:
        """Remove the file."""
        self._journal.remove()

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def resume(self) -> str:
        """Take what an earlier daemon has left, all of it due; return why that is impossible, or ""."""
        try:
            rows = self._journal.read()
        except (OSError, SystemFailure) as error:
            return str(error)
        for row in rows:
            try:
                self._resume(row)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # another version has written it, or somebody else
        for message in self._messages.values():
            message.complete()
        self._make_room()
        return ""

    def _resume(self, row: Any) -> None:
        if "m" in row:
            number, event = int(row["m"]), dict(row["e"])
            if not {"name", "event"} <= event.keys():
                raise KeyError("name or event")
            self._take(number, event)
        elif "done" in row:
            for number in [each for each in self._messages if each <= int(row["done"])]:
                message = self._messages.pop(number)
                self.events -= len(message.events)
                self.size -= sum(message.sizes)
                self._dead += len(message.events) + 1
        elif "lost" in row:
            self.lost = int(row["lost"])

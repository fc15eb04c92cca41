"""`events`: what the history says, and what is added to it."""

from __future__ import annotations

import time

from taskmaster_common.commands.table import LOOK
from taskmaster_common.errors import RequestError, SystemFailure, system_reason
from taskmaster_common.protocol import end
from taskmaster_common.text.moments import BOOT, START, parse_moment, seconds_of
from taskmaster_common.text.patterns import ungrouped
from taskmasterd.control.call import UNKNOWN_WHEN_LOOKING
from taskmasterd.control.replies import MORE
from taskmasterd.control.verbs.recordfilter import RecordFilter, Wanted, events_meant
from taskmasterd.core.programs.selection import selecting
from taskmasterd.core.words.told import record_text
from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.procfs import boot_seconds
from taskmasterd.telling.history import stamp
from taskmasterd.telling.reading import Forwards, backwards, seq_of, time_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.control.rights import Sight
    from taskmasterd.core.steps import Steps

DEFAULT_COUNT = 50
EVERYTHING = 10**9
MOST_FOUND = 200_000
"""Most records whose numbers a search in order holds."""
EVENTS_PER_OBJECT = 100
MOST_BEHIND = 1000
"""Events that a follower which has read nothing for IDLE_S may be behind; then it misses them."""
IDLE_S = 1.0
SLACK_S = 120.0
"""How much older than its place a record may be: its minute of rest, and a clock that was set back a little."""


OF_EVERYBODY = ("daemon-start", "daemon-stop", "crashed", "upgrade")
"""What one may know of the daemon who may not see all programs."""


def events(call: Call) -> Steps[None]:
    """Show the events that are asked for. Raises RequestError "usage", "unknown-name", or "failed" where they cannot be read."""
    wanted = wanted_of(call)
    if not call.context.log.history.on:
        call.connection.send(
            {"type": "warning", "text": "the history is off: see `history` of taskmasterd: and its state directory"}
        )
    yield from check_names(call)
    stream = EventStream(call, wanted)
    after = int(call.request.text("after")) if call.request.has("after") else None
    if after is None or call.request.has("lines"):
        yield from stream.find(_count_of(call))
        stream.seq = max(stream.seq, (after or 0) + 1)
    else:
        stream.seq = after + 1
    stream.begin()


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on after an upgrade."""
    stream = EventStream(call, wanted_of(call))
    stream.seq, stream.until = data["seq"], data["until"]
    stream.begin()


def wanted_of(call: Call) -> Wanted:
    """Return what a request asks for. Raises RequestError "usage"."""
    request = call.request
    if request.has("follow") and request.has("until"):
        raise RequestError("usage", "--until is of the past: leave out --follow", 2)
    try:
        return Wanted(
            ungrouped(request.targets, call.context.supervisor.table.groups),
            events_meant(request.text("event").split(",")) if request.has("event") else (),
            int(request.text("by")) if request.has("by") else None,
            _moment(call, "since"),
            _moment(call, "until"),
        )
    except ValueError as error:
        raise RequestError("usage", str(error), 2) from None


def _moment(call: Call, key: str) -> str:
    """Return the moment of a flag as the history writes it, "" without one. Raises ValueError."""
    if not call.request.has(key):
        return ""
    now, context = time.time(), call.context
    local = time.localtime(now)
    found = parse_moment(
        call.request.text(key), now, (local.tm_year, local.tm_mon, local.tm_mday),
        lambda parts: time.mktime((*parts, 0, 0, -1)),
    )  # fmt: skip
    if found == BOOT:
        found = now - boot_seconds()
    elif found == START:
        found = now - (context.reactor.now() - context.identity.started)
    return stamp(max(0.0, float(found)))


def _count_of(call: Call) -> int:
    """Return how many events of the past are shown at most."""
    bounded = call.request.has("since") or call.request.has("until")
    return int(call.request.text("lines", str(EVERYTHING if bounded else DEFAULT_COUNT)))


def check_names(call: Call) -> Steps[None]:
    """Raise RequestError "unknown-name" for a target that neither the table nor the history knows, or not for this client."""
    sight, programs = call.sight, []
    yield from sight.prepared()
    for target in dict.fromkeys(call.request.targets):
        try:
            found = yield from selecting(sight.table(), (target,), UNKNOWN_WHEN_LOOKING)
            programs += [entry.program for entry in found]
        except RequestError as error:
            been = (yield from _has_been(target, call)) if error.code == "unknown-name" else ""
            if not been:
                raise
            programs.append(been)
    if sight.rights is not None:
        call.connection.claim = (LOOK, tuple(dict.fromkeys(programs)))


def _has_been(target: str, call: Call) -> Steps[str]:
    """Return a program of the name, or one that matches, of which the history has a record; "" without one."""
    known, sight = RecordFilter(Wanted((target,))), call.sight
    for lines in pieces(call.context.log.history.place):
        for line in lines:
            record = known.take(line)
            if record and record["name"] and sight.sees(program_of(record)):
                return program_of(record)
        yield
    return ""


def pieces(place: str | None) -> Iterator[list[bytes]]:
    """Yield the lines of the history in pieces, the newest first. Raises RequestError where they cannot be read."""
    try:
        yield from backwards(place) if place else ()
    except (OSError, SystemFailure) as error:
        raise _cannot_read(error) from None


def _from_the_beginning(place: str | None, last: int) -> Iterator[list[bytes]]:
    """Yield the lines of the history in pieces, up to the number `last`. Raises OSError, SystemFailure."""
    reader = Forwards(place or "", 0)
    try:
        while place and reader.seq <= last and (lines := reader.read()):
            yield [line for line in lines if seq_of(line) <= last]
    finally:
        reader.close()


def _cannot_read(error: OSError | SystemFailure) -> RequestError:
    reason = system_reason(error) if isinstance(error, OSError) else str(error)
    return RequestError("failed", f"cannot read the history: {reason}", 1)


class EventStream:
    """One reply. It reads from the files, as fast as the client does; no more than a piece of them is ever held.

    `seq` is the number of the next record, `until` that of the last one of a reply that does not follow.
    """

    def __init__(self, call: Call, wanted: Wanted) -> None:
        self._call = call
        self._connection = call.connection
        self._history = call.context.log.history
        self._follows = call.request.has("follow")
        self._wanted = wanted
        self._filter = RecordFilter(wanted)
        self._reader: Forwards | None = None
        self._stalled = False
        self.until = self._history.seq
        self.seq = self.until + 1

    def find(self, count: int) -> Steps[None]:
        """Find the first of so many records before the end. Raises RequestError where the history cannot be read."""
        sight = self._call.sight
        if self._filter.in_order:
            yield from self._find_in_order(count)
            return
        since = self._wanted.since and stamp(max(0.0, seconds_of(self._wanted.since) - SLACK_S))
        for lines in pieces(self._history.place) if count else ():
            for line in reversed(lines):
                if count and (record := self._filter.take(line)) and is_for(record, sight):
                    self.seq, count = seq_of(line), count - 1
            if not count or (since and lines and time_of(lines[0]) < since):
                return
            yield

    def _find_in_order(self, count: int) -> Steps[None]:
        """Do `find` from the beginning on. Raises RequestError."""
        own, found = RecordFilter(self._wanted), deque[int](maxlen=min(count, MOST_FOUND))
        try:
            for lines in _from_the_beginning(self._history.place, self.until):
                found += [seq_of(line) for line in lines if (it := own.take(line)) and is_for(it, self._call.sight)]
                yield
        except (OSError, SystemFailure) as error:
            raise _cannot_read(error) from None
        self.seq = found[0] if found else self.seq

    def _catch_up(self) -> Iterator[dict[str, Any]]:
        """Let the filter know what was before the first record that is sent, if it has to."""
        for lines in _from_the_beginning(self._history.place, self.seq - 1) if self._filter.in_order else ():
            for line in lines:
                self._filter.take(line)
            yield MORE

    def begin(self) -> None:
        """Begin to answer."""
        self._connection.operation = self
        self._connection.when_gone(self.close)
        if self._follows:
            self._history.watch(self)
        self._connection.pull(self._messages(), endless=self._follows)

    def close(self) -> None:
        """Close what is open."""
        self._history.unwatch(self)
        if self._reader:
            self._reader.close()

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to go on."""
        return {"kind": "events", "words": self._call.request.words(), "seq": self.seq, "until": self.until}

    def noted(self, _record: Mapping[str, Any], /) -> None:
        """Wait until it is on the disk."""

    def written(self) -> None:
        """Go on with what is new."""
        self._connection.poke()

    def _messages(self) -> Iterator[dict[str, Any] | None]:
        yield from self._catch_up()
        self._reader = Forwards(self._history.place or "", self.seq)
        while self._follows or self.seq <= self.until:
            yield from self._late()
            try:
                lines = self._reader.read() if self._history.place else []
            except (OSError, SystemFailure) as error:
                self.close()
                self._connection.end(end(1, _cannot_read(error)))
                return
            if lines:
                yield from self._piece(lines)
                yield MORE
            elif self._follows:
                yield None
            else:
                break
        self.close()
        self._connection.end(end(0))

    def _late(self) -> Iterator[dict[str, Any]]:
        """Leave out what a follower is too far behind of: it has read nothing for a while."""
        stalled, self._stalled = self._stalled, False
        newest = self._history.seq
        if stalled and newest - self.seq >= MOST_BEHIND and self._reader:
            self._reader.close()
            self._reader = Forwards(self._history.place or "", newest + 1)
            yield self._missed(newest)

    def _missed(self, last: int) -> dict[str, Any]:
        first, self.seq = self.seq, last + 1
        return {"type": "missed", "first": first, "last": last}

    def _piece(self, lines: list[bytes]) -> Iterator[dict[str, Any]]:
        """Yield what is wanted of some lines; numbers that are missing among them are said."""
        found: list[dict[str, Any]] = []
        sight = self._call.sight
        for line in lines:
            number = seq_of(line)
            if not self._follows and number > self.until:
                break
            if number > self.seq:
                yield from self._events(found)
                found = []
                yield self._missed(number - 1)
            record = self._filter.take(line)
            self.seq = number + 1
            if record and is_for(record, sight):
                found.append(shown(record, sight, self._call.context.identity.signals))
            if len(found) == EVENTS_PER_OBJECT:
                yield from self._events(found)
                found = []
        yield from self._events(found)
        if not self._follows and lines and seq_of(lines[-1]) >= self.until:
            self.seq = self.until + 1

    def _events(self, found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield some events, and look how long the client leaves them unread."""
        if found or self._follows:
            now = self._call.context.reactor.now
            before = now()
            yield {"type": "events", "events": found, "seq": self.seq - 1}
            self._stalled = self._stalled or (self._follows and now() - before > IDLE_S)


def program_of(record: Mapping[str, Any]) -> str:
    """Return the program that a record is about, "" for none."""
    name: str = record["name"].partition(":")[0]
    return name


def is_for(record: Mapping[str, Any], sight: Sight) -> bool:
    """Return whether a record exists for a client: it is about a program that does, or about the daemon alone."""
    if not sight.limited:
        return True
    return sight.sees(program_of(record)) if record["name"] else record["event"] in OF_EVERYBODY


def shown(record: dict[str, Any], sight: Sight, signals: Mapping[int, str]) -> dict[str, Any]:
    """Return a record with its text, as a client may see it: what a program has written is for those who may read its logs."""
    if sight.rights is not None:
        hidden = {"words"} if record["name"] and not sight.reads(program_of(record)) else {"config"}
        record = {key: value for key, value in record.items() if key not in hidden}
    if sight.limited:
        by = record.get("by") or {}
        by = {**by, "text": sight.text(by["text"])} if by.get("text") else by
        record |= {"by": by} if by else {}
        record |= {"reason": sight.text(record["reason"])} if record.get("reason") else {}
    return {**record, "text": sight.text(record_text(record, signals))}


VERBS = {"events": events}

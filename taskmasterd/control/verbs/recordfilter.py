"""Which records of the history a request is about. Pure."""

from __future__ import annotations

from taskmaster_common.config.events import EVENTS, GROUPS, RECOVERED, groups_of
from taskmaster_common.jsontext import read_json
from taskmaster_common.records import Record
from taskmaster_common.text.names import ALL
from taskmaster_common.text.nearest import hint
from taskmaster_common.text.patterns import Pattern, Targets, is_pattern
from taskmasterd.core.alerting import AT_ONCE, ENDED_BY, troubles_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Wanted(Record):
    """What is asked for. `targets` are names and patterns, without groups; `since` and `until` times as the history has them, or ""."""

    targets: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    uid: int | None = None
    since: str = ""
    until: str = ""


class Recoveries:
    """Which records end the last trouble that was open of a process. It has to see all records, in their order."""

    def __init__(self) -> None:
        self._open: dict[str, set[str]] = {}

    def take(self, record: dict[str, Any]) -> bool:
        """Return whether nothing is wrong any more with what the record is about, after something was."""
        name, event = record["name"], record["event"]
        troubled = self._open.get(name, set())
        ended = {each for each in troubled if event in ENDED_BY[each] or (record.get("over") and each == event)}
        begun = set(() if event in AT_ONCE else troubles_in(record))
        left = (troubled - ended) | begun
        if left:
            self._open[name] = left
        else:
            self._open.pop(name, None)
        return bool(ended and not left)


class RecordFilter:
    """Turns lines into records, and keeps those that are wanted.

    `in_order`: it has to see all records in their order, since a recovery is known by what was before.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._targets = Targets(wanted.targets)
        self._needles = _needles(wanted)
        self.in_order = RECOVERED in wanted.events
        self._recoveries = Recoveries()

    def take(self, line: bytes) -> dict[str, Any] | None:
        """Return the record of a line, None where it is not wanted, or no record."""
        if self._needles and not any(needle in line for needle in self._needles):
            return None
        record = record_of(line)
        return record if record and self._is_wanted(record) else None

    def _is_wanted(self, record: dict[str, Any]) -> bool:
        wanted = self._wanted
        recovered = (RECOVERED,) if self.in_order and self._recoveries.take(record) else ()
        if (wanted.since and record["time"] < wanted.since) or (wanted.until and record["time"] > wanted.until):
            return False
        if wanted.events and not any(
            word in wanted.events for word in (record["event"], *groups_of(record), *recovered)
        ):
            return False
        if wanted.uid is not None and (record.get("by") or {}).get("uid") != wanted.uid:
            return False
        return not wanted.targets or self.is_about(record)

    def is_about(self, record: dict[str, Any]) -> bool:
        """Return whether one of the targets names what a record is about."""
        if record["name"]:
            return self._names(record["name"])
        return any(self._means(word) for word in record.get("targets") or ())

    def _names(self, name: str) -> bool:
        program, _, index = name.partition(":")
        return self._targets.select(program, int(index) if index.isdecimal() else 0)

    def _means(self, word: str) -> bool:
        """Return whether a target of a request is about one of ours: it may be a pattern itself."""
        if word == ALL or word in self._wanted.targets:
            return True
        if not is_pattern(word):
            return self._names(word)
        pattern = Pattern(word)
        exact = [target.partition(":") for target in self._wanted.targets if not is_pattern(target)]
        return any(
            pattern.selects(program, int(index or 0)) for program, _, index in exact if (index or "0").isdecimal()
        )


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return a line as a record, None if it is none."""
    try:
        record = read_json(line.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("name", "event", "time")):
        return None
    return record if isinstance(record.get("seq"), int) else None


def _needles(wanted: Wanted) -> tuple[bytes, ...]:
    """Return texts of which a wanted line has one at least; () where that cannot be said."""
    if wanted.targets and not any(map(is_pattern, wanted.targets)):
        programs = {target.partition(":")[0] for target in wanted.targets}
        return (*(f'"name":"{program}'.encode() for program in programs), b'"targets":')
    return ()


def events_meant(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words for events that some words and patterns mean. Raises ValueError for one that means none."""
    found: dict[str, None] = {}
    known = (*EVENTS, *GROUPS)
    for word in words:
        pattern = Pattern(word) if is_pattern(word) and word != ALL else None
        matched = [each for each in EVENTS if pattern.matches(each)] if pattern else list(EVENTS) if word == ALL else []
        if not pattern and word in known:
            matched = [word]
        if not matched:
            raise ValueError(f'no event is called "{word}"{hint(word, known, most=len(known))}')
        found.update(dict.fromkeys(matched))
    return tuple(found)

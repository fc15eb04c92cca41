"""`why`: the present state of processes, what has led there, and what comes next."""

from __future__ import annotations

import time

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmasterd.control.verbs.events import is_for, pieces
from taskmasterd.control.verbs.recordfilter import RecordFilter, Wanted
from taskmasterd.core.words.story import Moment, Story, is_well, tell, together
from taskmasterd.ondemand import on_demand
from taskmasterd.telling.history import stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.control.rights import Sight
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import schedules
else:
    schedules = on_demand("taskmasterd.core.words.schedules")

MOST_STORIES = 100
"""Processes of which one reply tells; of the others their number is given."""
STORIES_AT_ONCE = 10
RECORDS_OF_ONE, RECORDS_OF_MANY = 300, 40
"""Most records that are read back of a process, where the reply is about one, or about several."""
MOST_QUOTED = 20
"""Processes of one reply whose last words are read."""
DEFAULT_EVENTS = "10"
MOST_EVENTS = 1000
OF_DAEMON = ("crashed",)
"""What happened to the daemon and belongs to the story of each process that ran then; an orderly stop ends them all before."""
ACTS = ("start", "stop", "restart", "signal", "disable", "enable", "scale")


def why(call: Call) -> Steps[None]:
    """Tell of the named processes, or of all that are not as wanted. Raises RequestError "unknown-name" or "permission"."""
    entries = yield from call.looked_at("all")
    named = bool(call.request.targets)
    context, sight = call.context, call.sight
    moment = Moment(context.reactor.now(), context.identity.signals)
    told, others = _chosen(entries, moment.now, named=named)
    try:
        records = yield from _records(call, told)
    except RequestError as error:
        call.connection.send({"type": "warning", "text": error.message})
        records = {}
    most = min(int(call.request.text("lines", DEFAULT_EVENTS)), MOST_EVENTS) if named else 0
    stories: list[dict[str, Any]] = []
    for entry in told:
        story = tell(context.supervisor.table, entry, records.get(entry.canonical, ()), moment, most)
        if entry.planned:
            story = story.replace(following=schedules.following_text(entry, story.following, moment.now))
        if named and not story.said and not is_well(entry, moment.now) and len(stories) < MOST_QUOTED:
            story = story.replace(said=tuple(context.performer.outputs.last_words.lines(entry)))
        stories.append(_view(story, entry, sight, brief=not named))
        yield
    stories += [_view(together(some, moment), some[0], sight, brief=True) for some in others]
    for first in range(0, max(1, len(stories)), STORIES_AT_ONCE):
        call.connection.send({"type": "why", "why": stories[first : first + STORIES_AT_ONCE]})
        yield
    call.connection.end(end(0))


def _chosen(entries: Sequence[Entry], now: float, *, named: bool) -> tuple[list[Entry], list[list[Entry]]]:
    """Return the processes of which each has a story, and groups of instances that are all as wanted, with one sentence each."""
    programs: dict[str, list[Entry]] = {}
    for entry in entries:
        programs.setdefault(entry.program, []).append(entry)
    told: list[Entry] = []
    well: list[list[Entry]] = []
    for some in programs.values():
        bad = [entry for entry in some if not is_well(entry, now)]
        told += bad if bad or not named else some if len(some) == 1 else []
        if named and not bad and len(some) > 1:
            well.append(some)
    return told[:MOST_STORIES], well[:MOST_STORIES]


def _records(call: Call, entries: Sequence[Entry]) -> Steps[dict[str, list[dict[str, Any]]]]:
    """Return the records about each of some processes, the oldest first, by canonical name."""
    found: dict[str, list[dict[str, Any]]] = {entry.canonical: [] for entry in entries}
    if not found:
        return found
    most, sight = RECORDS_OF_ONE if len(found) == 1 else RECORDS_OF_MANY, call.sight
    about = {name: RecordFilter(Wanted((name, name.partition(":")[0]))) for name in found}
    lines = RecordFilter(Wanted())
    needles = [f'"name":"{entry.program}'.encode() for entry in entries]
    wide = (b'"targets":', *(f'"event":"{word}"'.encode() for word in OF_DAEMON))
    for block in pieces(call.context.log.history.place):
        for line in reversed(block):
            if not any(needle in line for needle in (*needles, *wide)):
                continue
            record = lines.take(line)
            if record and is_for(record, sight):
                _sort(record, found, about, most)
        yield
        if all(len(records) >= most for records in found.values()):
            break
    return {name: records[::-1] for name, records in found.items()}


def _sort(
    record: dict[str, Any], found: dict[str, list[dict[str, Any]]], about: dict[str, RecordFilter], most: int
) -> None:
    """Add a record to those of the processes that it is about."""
    name, event = record["name"], record["event"]
    if event in OF_DAEMON:
        names = list(found)
    elif event == "operator":
        names = [each for each in found if record.get("verb") in ACTS and about[each].is_about(record)]
    elif event in ("reload", "rolled", "disabled", "enabled", "scaled"):
        names = [each for each in found if each.partition(":")[0] == name]
    else:
        names = [name if ":" in name else f"{name}:0"]
    for each in names:
        if each in found and len(found[each]) < most:
            found[each].append(record)


def _view(story: Story, entry: Entry, sight: Sight, *, brief: bool) -> dict[str, Any]:
    """Return a story as an object of the wire, for a client who may not see everything."""
    said = story.said if sight.reads(entry.program) else ()
    return {
        "name": story.name,
        "state": story.state,
        "since": stamp(time.time() - story.since_s) if story.since_s else None,
        "since_s": story.since_s,
        "sentence": sight.text(story.sentence),
        "detail": "" if brief else sight.text(story.detail),
        "events": [{"time": at, "text": sight.text(text), "more": more} for at, text, more in story.events],
        "said": [] if brief else list(said),
        "next": sight.text(story.following),
        "do": [sight.text(words) for words in story.do],
        "pids": list(story.pids),
    }


VERBS = {"why": why}

"""`why`: from a process and its records to a sentence, the events that led there, and what comes next. Pure.

The sentence is about the present state and its root: what is blocked or waits follows its chain to the end, and an end is told
with its cause. Records may be missing (`history: 0`, a new state directory): then the process itself says what it knows.
"""

from __future__ import annotations

from taskmaster_common.config import NEVER, ONESHOT, SAME_AS_STDOUT
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.state import AWAITED, BECAUSE, BLOCKED, HELD
from taskmasterd.core.programs.gate import chain, unmet
from taskmasterd.core.programs.table import is_as_wanted
from taskmasterd.core.words.causes import ENDS, cause_of, restarts_text, stop_text, tells_of
from taskmasterd.core.words.describe import cause_text, detail, end_text, seconds_text
from taskmasterd.core.words.gates import needs_text, waiting_text
from taskmasterd.core.words.told import by_text, record_text
from taskmasterd.core.words.view import besides
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.gate import Unmet
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.words import overlays

    Fields = Mapping[str, Any]
else:
    overlays = on_demand("taskmasterd.core.words.overlays")

MOST_LINKS = 20
"""Most programs that a chain names."""
UNTOLD = ("running", "healthy", "backoff", "recycled")
"""Records that have no line of their own, unless they tell of a refusal."""


class Moment(Record):
    """When a story is told: the monotonic clock, and the names of the signals."""

    now: float
    signals: Mapping[int, str]


class Story(Record):
    """One process: `since_s` seconds ago it came into its state. `events` are (time, text, others like it); `do` are command lines.

    `detail` is what DETAIL of `status` adds to the sentence; a narrow terminal cuts it there.
    """

    name: str
    state: str
    since_s: float
    sentence: str
    events: tuple[tuple[str, str, int], ...] = ()
    said: tuple[str, ...] = ()
    following: str = ""
    do: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    detail: str = ""


def tell(table: Table, entry: Entry, records: Sequence[Fields], moment: Moment, most: int) -> Story:
    """Return the story of a process: `records` are those about it, the oldest first; at most so many events are in it."""
    process, name = entry.process, table.name(entry)
    ended, said = _last_end(process, records), sentence(table, entry, records, moment)
    return Story(
        name,
        process.state,
        round(max(0.0, moment.now - process.since), 3) if process.since else 0.0,
        said,
        tuple(lines(records, moment)[-most:] if most else ()),
        tuple(ended.get("words") or ()) if ended and not is_well(entry, moment.now) else (),
        following(table, entry, moment),
        tuple(f"taskmasterctl {words}" for words in commands(table, entry, moment)),
        tuple(each["pid"] for each in records[-20:] if each["event"] in ENDS and each.get("pid"))[-1:],
        besides(table, entry, said, moment.now, moment.signals),
    )


def is_well(entry: Entry, now: float) -> bool:
    """Return whether there is nothing to tell of a process for who asks what is wrong."""
    return is_as_wanted(entry) and not entry.process.phase and not entry.process.comebacks(now)


def _last_end(process: Process, records: Sequence[Fields]) -> Fields | None:
    """Return the last record that has words of the process's last instance, or how that has ended."""
    for record in reversed(records):
        if record["event"] in ("fatal", *ENDS):
            return record if process.end is not None else None
    return None


# -- the sentence


def sentence(table: Table, entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    """Return what the state is and why, without the name and the time since."""
    process = entry.process
    if process.phase == BLOCKED:
        return f"cannot start: {needs_text(table, entry, moment.now, moment.signals)}"
    if process.phase == HELD:
        return _held(table, entry, moment)
    if process.state == STOPPED and not entry.newest.enabled:
        return f"is {overlays.disabled_text(table, entry.program)}"
    tellers = {
        FATAL: _fatal,
        BACKOFF: _backoff,
        STARTING: _starting,
        RUNNING: _running,
        STOPPING: _stopping,
        STOPPED: _stopped,
        EXITED: _exited,
    }
    return tellers[process.state](entry, records, moment)


def _held(table: Table, entry: Entry, moment: Moment) -> str:
    """Follow what it waits for to the end of the chain."""
    found = waited_for(table, entry, moment.now)
    if not found:
        return waiting_text(table, entry, moment.now, moment.signals) or "is about to start"
    links = [f"waits for {table.name(each.entry)} to be {each.condition}" for each in found]
    last = found[-1].entry
    about = detail(last.process, last.policy, moment.now, moment.signals)
    return f"{', which '.join(links)}, which is {last.process.state}" + (f": {about}" if about else "")


def waited_for(table: Table, entry: Entry, now: float) -> list[Unmet]:
    """Return what a held or blocked process waits for, what that waits for, and so on; the root last."""
    found: list[Unmet] = []
    while entry.process.phase and len(found) < MOST_LINKS:
        blocks = chain(table, entry, now) if entry.process.phase == BLOCKED else []
        first = blocks[0] if blocks else next(iter(unmet(table, entry, now)), None)
        if first is None:
            break
        found.append(first)
        entry = first.entry
    return found


def end_cause(entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    """Return how the last instance ended and why; from the process itself where the history has a hole."""
    end = entry.process.end
    at = next((at for at in reversed(range(len(records))) if records[at]["event"] in ENDS), None)
    if at is not None and (end is None or tells_of(records[at], end)):
        return cause_of(records[at], records[:at], moment.signals)
    if end is None:
        return "it never ran"
    fields: dict[str, Any] = {"mono": end.at, "pid": None, "status": end.status, "after": end.after_s}
    return end.failure.text if end.failure else cause_of(fields, (), moment.signals)


def _fatal(entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    process = entry.process
    if process.cause == "unhealthy":
        return f"was stopped because it was {process.reason or 'unhealthy'}"
    why = process.reason or end_cause(entry, records, moment)
    if process.tries <= 1:
        return f"gave up: {why}"
    tries = [each for each in records if each["event"] == "failed"][-process.tries :]
    same = (
        len(tries) == process.tries
        and len({each.get("status") for each in tries}) == 1
        and all("after" in each for each in tries)
    )
    if same and not process.reason and process.end and tells_of(tries[-1], process.end):
        longest = max(failed["after"] for failed in tries)
        how = cause_of({**tries[-1], "after": 0}, (), moment.signals).replace(" after 0.0s", "")
        ended = f"was {how}" if how.startswith("killed") else f"ended with {how}"
        within = f"within {seconds_text(longest + 0.05)}"
        each = f"{within} each {ended}" if {":", ","} & set(how) else f"each {ended} {within}"
        return f"gave up after {process.tries} tries; {each}"
    return f"gave up after {process.tries} tries; the last one: {why}"


def _backoff(entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    process, policy = entry.process, entry.policy
    if process.shortages:
        return f"could not be started: {process.reason}"
    why = process.reason or end_cause(entry, records, moment)
    if process.tries:
        return f"{'a start' if policy.type != ONESHOT else 'a run'} has failed: {why}"
    return f"was restarted {policy.restart_burst} times within {seconds_text(policy.restart_window)}, and rests: {why}"


def _starting(entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    process = entry.process
    if process.hook:
        return f"its {process.hook} runs"
    if process.executed and process.readiness == AWAITED:
        return "is not ready yet" + (f": {entry.said}" if entry.said else "")
    before = f"; before, {end_cause(entry, records, moment)}" if process.tries else ""
    return f"is starting{before}"


def _running(entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    process = entry.process
    if process.unhealthy:
        held = entry.checked.held_back if entry.checked else ""
        return process.reason + (f"; it is not restarted: {held}" if held else "")
    started = next(
        (each for each in reversed(records) if each["event"] == "started" and each.get("pid") == process.pid), None
    )
    if started is None:  # the history has a hole, or begins later
        return f"runs, pid {process.pid}{restarts_text(records, moment.now, moment.signals)}"
    if started.get("reason"):
        return f"runs, pid {process.pid}, {started['reason']}{restarts_text(records, moment.now, moment.signals)}"
    by = by_text(started["by"]) if started.get("by") else "itself"
    who = by if by.startswith(BECAUSE) else f"at {by}" if by.endswith("start") else f"by {by}"
    return f"runs, pid {process.pid}, started {who}{restarts_text(records, moment.now, moment.signals)}"


def _stopping(entry: Entry, _records: Sequence[Fields], moment: Moment) -> str:
    process = entry.process
    if process.reason:
        return f"is being ended: {process.reason}"
    if process.pid is None and process.end is not None:
        return f"{end_text(process.end, moment.signals)}; what it left behind is being ended"
    return f"is being stopped {cause_text('for', process.by)}" if process.by else "is being stopped"


def _stopped(entry: Entry, records: Sequence[Fields], _moment: Moment) -> str:
    process = entry.process
    if not process.by:
        return "nobody has started it" + ("" if entry.wanted.autostart else " (autostart: false)")
    asked = next(
        (each for each in reversed(records) if each["event"] == "operator" and each.get("verb") == "stop"), None
    )
    by = by_text(asked["by"]) if asked and process.by == f"uid {(asked.get('by') or {}).get('uid')}" else process.by
    last = next((each for each in reversed(records) if each["event"] == "stopped"), {})
    killed = "; it did not end within stoptime, so Taskmaster killed it" if last.get("killed") else ""
    return f"was stopped {cause_text('by', by)}{killed}"


def _exited(entry: Entry, records: Sequence[Fields], moment: Moment) -> str:
    process, policy = entry.process, entry.policy
    how = end_cause(entry, records, moment)
    if policy.type == ONESHOT:
        ended = f"the job is done: {how}" if process.done else f"the job ended: {how}"
        return ended if process.end else "the job waits for its time"
    kind = "as expected" if process.end and process.end.expected else "unexpectedly"
    word = "never" if policy.autorestart == NEVER else str(policy.autorestart)
    return f"ended {kind}: {how} (autorestart: {word})"


# -- events


def lines(records: Sequence[Fields], moment: Moment) -> list[tuple[str, str, int]]:
    """Return (time, text, others like it) of what happened, the oldest first: what belongs together is one line."""
    told: list[tuple[str, str, int]] = []
    kinds: list[object] = []
    skip: set[int] = set()
    alive = False
    for at, record in enumerate(records):
        alive = record["event"] not in ENDS and (alive or record["event"] == "started")
        if at in skip or (record["event"] == "crashed" and not alive):
            continue
        text, kind, with_it = _line(records, at, moment)
        skip.update(with_it)
        if not text:
            continue
        if kind is not None and kinds and kinds[-1] == kind:
            time, first, others = told[-1]
            told[-1] = (time, first, others + 1)
        else:
            told.append((record["time"], text, int(record.get("more", 0))))
            kinds.append(kind)
    return told


def _line(records: Sequence[Fields], at: int, moment: Moment) -> tuple[str, object, list[int]]:
    """Return the text of a record, what makes it like another one, and the records after it that it tells, too."""
    record = records[at]
    event = record["event"]
    own = [each for each in range(at + 1, len(records)) if records[each]["name"] == record["name"]]
    if event in ENDS:
        return _end_line(records, at, own, moment)
    if event == "stopping" and not record.get("left"):
        return _stop_line(records, at, own, moment)
    text = record_text(record, moment.signals)
    if (event in UNTOLD and record.get("ok") is not False) or (event == "started" and record.get("try")):
        return "", None, []  # what comes before or after it says so
    if event == "reload":
        keys = f": {', '.join(record['keys'])} changed" if record.get("keys") else f": {record.get('change')}"
        text = f"reload by {by_text(record.get('by'))}{keys}"
    elif event != "operator":
        text = f"{event}, {text}" if event == "started" else f"{event}: {text}".removesuffix(": ")
    return text, None, []


def _end_line(records: Sequence[Fields], at: int, own: Sequence[int], moment: Moment) -> tuple[str, object, list[int]]:
    """Return an end with what followed at once: "exit 1 after 0.2s; retry 1 of 3 in 0.5s"."""
    record, after = records[at], records[own[0]] if own else {}
    how, then = cause_of(record, records[:at], moment.signals), after.get("event")
    kind = (record["event"], record.get("status"), record.get("reason"), then)
    if then in ("backoff", "fatal"):
        return f"{how}; {'gave up' if then == 'fatal' else record_text(after, moment.signals)}", kind, list(own[:1])
    if then == "started" and after.get("cause") in ("crash", "exit"):
        return f"{how}; started again, pid {after.get('pid')}", kind, list(own[:1])
    if then == "stopped":
        return "", None, []
    return how, kind, list(own[:1]) if then == "done" else []


def _stop_line(records: Sequence[Fields], at: int, own: Sequence[int], moment: Moment) -> tuple[str, object, list[int]]:
    """Return a stop with its end and what followed: "stopped by uid 0 (TERM, 0.1s); started, pid 4101"."""
    stopping, killed, took, then = records[at], "", "", ""
    told: list[int] = []
    for each in own:
        event = records[each]["event"]
        if event in ("killed", "stuck"):
            killed = ", then KILL"
        elif event == "exited" and not took:
            took = f", {seconds_text(records[each]['mono'] - stopping['mono'])}"
        elif event in ("started", "backoff", "fatal"):
            then = f"; {'gave up' if event == 'fatal' else event + ', ' + record_text(records[each], moment.signals)}"
        elif event != "stopped":
            break
        told.append(each)
        if event in ("started", "backoff", "fatal", "stopped"):
            break
    then = then.replace("; backoff, ", "; ").partition(", asked by")[0].partition(f", {stopping.get('reason')}")[0]
    return f"{stop_text(stopping)} ({stopping.get('signal', 'no signal')}{killed}{took}){then}", None, told


# -- what comes next


def following(table: Table, entry: Entry, moment: Moment) -> str:
    """Return what happens by itself, and when."""
    process, policy = entry.process, entry.policy
    if process.phase:
        found = waited_for(table, entry, moment.now)
        return (
            f"it starts when {table.name(found[-1].entry)} is {found[-1].condition}"
            if found
            else "it is about to start"
        )
    left = seconds_text(process.deadline - moment.now) if process.deadline is not None else ""
    if process.state == BACKOFF:
        return (
            f"retry {process.tries} of {policy.startretries} in {left}"
            if process.tries
            else f"it starts again in {left}"
        )
    if process.state == STOPPING:
        then = {STARTING: "it starts again", BACKOFF: "another try"}.get(process.then or "", f"{process.then}")
        return f"{'SIGKILL again' if process.killing else 'SIGKILL'} in {left}, then {then}" if left else f"then {then}"
    if process.state == STARTING and left:
        return f"{left} are left for it" if process.readiness == AWAITED else f"RUNNING in {left} if it stays up"
    return "nothing starts it by itself" if process.state in (FATAL, EXITED, STOPPED) else ""


def _log_words(entry: Entry, name: str) -> str:
    """Return the command that shows what it wrote to stderr, without a word of the daemon where stdout is in the same log."""
    output = entry.present.output
    return f"logs {name}" if output.stderr in (SAME_AS_STDOUT, output.stdout) else f"logs --stderr {name}"


def commands(table: Table, entry: Entry, moment: Moment) -> list[str]:
    """Return at most two command lines that help, without the name of the program."""
    process, name = entry.process, table.name(entry)
    if process.phase:
        found = waited_for(table, entry, moment.now)
        root = table.name(found[-1].entry) if found else name
        return [f"why {root}", f"start {root}"] if process.phase == BLOCKED else [f"deps {name}", f"why {root}"]
    failure = process.end.failure if process.end else None
    if process.state == FATAL:
        return [f"show {name}" if failure else _log_words(entry, name), f"start {name}"]
    if process.state == BACKOFF:
        return [f"show {name}" if failure else _log_words(entry, name)]
    if process.state == STOPPING:
        return [f"signal KILL {name}"] if process.stuck or process.killing else []
    if process.unhealthy:
        return [f"check {name}", f"restart {name}"]
    if process.state == STOPPED and not entry.newest.enabled:
        return [f"enable --now {entry.program}", f"start {name}"]
    if process.state == EXITED:
        return [f"start {name}"] if process.as_wanted else [_log_words(entry, name), f"start {name}"]
    if process.comebacks(moment.now):
        return [_log_words(entry, name)]
    return [f"start {name}"] if process.state == STOPPED else []


def together(entries: Sequence[Entry], moment: Moment) -> Story:
    """Return one sentence about several instances of a program that are all as wanted."""
    states: dict[str, int] = {}
    for entry in entries:
        states[entry.process.state] = states.get(entry.process.state, 0) + 1
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    newest = max(entry.process.since for entry in entries)
    text = f"all {len(entries)} instances are as wanted" + (f": {counted}" if len(states) > 1 else "")
    state = next(iter(states)) if len(states) == 1 else "-"
    return Story(entries[0].program, state, round(max(0.0, moment.now - newest), 3), text)

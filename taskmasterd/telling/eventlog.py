"""The event log: one line for each event, derived from (before, event, after) of a process; the history's records beside it.

A line is `TIME LEVEL TEXT`, the time with milliseconds and zone. It goes to the log file, and in the foreground also to stderr,
with `<N>` priorities if stderr is the journal (sd-daemon(3)). A full disk never stops the daemon.
"""

from __future__ import annotations

import time

from taskmaster_common.config import LEADER, LOG_LEVELS
from taskmaster_common.states import BACKOFF, DOWN_STATES, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import Kill, Ready, Spawned
from taskmasterd.core.process.state import ENDS, PLANNED, RUNS
from taskmasterd.core.words.history import happened
from taskmasterd.ondemand import on_demand
from taskmasterd.output.log.stamp import Stamp
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.telling.history import History

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.words import describe, gates, health, hooks
    from taskmasterd.output.streams import Outputs
    from taskmasterd.telling import eventlines

    class Target(Protocol):
        """The destination of lines: a log sink."""

        def append(self, block: bytes, /) -> None:
            """Write, and never raise."""

    class MessageTarget(Protocol):
        """A destination of lines that is no file."""

        def take(self, lines: Iterable[tuple[bytes, str]], /) -> None:
            """Send lines, each with the name of the process that it is about, "" without one; never raise."""

        def finish(self) -> None:
            """Send what waits, for a bounded time."""

else:
    describe = on_demand("taskmasterd.core.words.describe")
    gates = on_demand("taskmasterd.core.words.gates")
    health = on_demand("taskmasterd.core.words.health")
    hooks = on_demand("taskmasterd.core.words.hooks")
    eventlines = on_demand("taskmasterd.telling.eventlines")


DEBUG, INFO, WARNING, ERROR = LOG_LEVELS
PRIORITY = {DEBUG: 7, INFO: 6, WARNING: 4, ERROR: 3}
"""Priorities of the journal by level. Source: sd-daemon(3), SD_DEBUG and the like."""
NOT_EXECUTED = ": its program was not executed yet"
"""Why a child gets SIGKILL instead of the stop signal."""
WHOM: Mapping[bool | str, str] = {True: "its group", False: "it", LEADER: "its leader"}
"""Receiver of the stop signal, by `stopasgroup`."""
LAST_WORDS_OF = ("exited", "fatal")
"""Records that have the last words on stderr, unless the end was expected."""
MOST_WORDS = 400
"""Characters of a line of last words in the history; there are five lines at most."""
PHASE_WORDS = ("waiting", "blocked")
"""Records of a process that waits for its gate, named after the first word of what it waits for."""
MOST_WAITING = 256
"""Most lines to hold back until the next flush."""


class EventLog:
    """Writes lines of at least `level` to `target` and, in the foreground, to `stderr`; either may be missing.

    Both are sinks: a reader of stderr that does not read costs lines, never the daemon's time.
    Lines of events wait for the next `flush`, which comes before the state file has these events and before any client learns of
    them: a daemon that dies earlier loses both, and the next one logs the events again. All other lines are written at once.
    The `history` is written with the log, whatever its level.
    """

    def __init__(
        self,
        level: str,
        target: Target | None = None,
        stderr: Target | None = None,
        *,
        journal: bool = False,
        history: History | None = None,
        messages: MessageTarget | None = None,
    ) -> None:
        """`journal`: stderr is systemd's journal, where each line begins with its priority. `messages` stand in for a target."""
        self.level = level
        self.history = history or History()
        self._target = target
        self._messages = messages
        self._stderr = stderr
        self._journal = journal
        self._waiting: list[tuple[str, bytes, str]] = []
        self._stamp = Stamp()

    def set_level(self, level: str) -> None:
        """Write lines of at least this level from now on."""
        self.level = level

    def write(self, level: str, text: str) -> None:
        """Write one line, with line breaks and control characters inside `text` as escapes."""
        self._add(level, text)
        self.flush()

    def flush(self) -> None:
        """Write the waiting lines, and the records of the history."""
        said = self.history.flush()
        if said:
            self._add(WARNING, said)
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        if self._target:
            self._target.append(b"".join([line for _, line, _name in waiting]))
        if self._messages:
            self._messages.take([(line, name) for _, line, name in waiting])
        if self._stderr:
            marked = [b"<%d>%s" % (PRIORITY[level], line) if self._journal else line for level, line, _ in waiting]
            self._stderr.append(b"".join(marked))

    def note(self, name: str, event: str, **fields: Any) -> None:
        """Queue a record of the history for the next `flush`, see `History.note`."""
        self.history.note(name, event, **fields)

    def close(self) -> None:
        """Send the last lines where they go to no file, and close the history."""
        self.flush()
        if self._messages:
            self._messages.finish()
        self.history.close()

    def _add(self, level: str, text: str, name: str = "") -> None:
        if LOG_LEVELS.index(level) >= LOG_LEVELS.index(self.level):
            line = f"{self._stamp.of(time.time())} {level} {printable(text)}\n"
            self._waiting.append((level, line.encode("utf-8", "backslashreplace"), name))

    def block(self, level: str, text: str) -> None:
        """Write a text of several lines, such as a traceback, each with its own time."""
        for line in text.rstrip("\n").split("\n"):
            self.write(level, line)

    def bug(self, error: BaseException) -> None:
        """Write an uncaught error of ours with its traceback."""
        try:
            import traceback  # noqa: PLC0415 - takes 0.5 MB, and a healthy daemon never needs it

            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        except (OSError, ImportError):  # no descriptor left to read it
            text = repr(error)
        self.block("error", f"internal error, please report it:\n{text}")

    def announce(self, name: str, texts: Iterable[tuple[str, str]]) -> None:
        """Queue the `lines` of an event for the next `flush`; `name` is that of the process."""
        for level, text in texts:
            self._add(level, f"{name} {text}", name)
        if len(self._waiting) >= MOST_WAITING:
            self.flush()


class Announcer:
    """Writes the lines and records of every event, and after an end the last words of the process.

    `signals` maps numbers to names, `now` returns monotonic seconds.
    """

    def __init__(
        self, log: EventLog, table: Table, outputs: Outputs, now: Callable[[], float], signals: Mapping[int, str]
    ) -> None:
        self._log = log
        self._table = table
        self._outputs = outputs
        self._now = now
        self._signals = signals

    def changed(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        """Queue the lines of one event for the log's next flush."""
        now = self._now()
        said = lines(entry, before, event, now, self._signals)
        of_gates: Iterable[tuple[str, str]] = ()
        of_health: Iterable[tuple[str, str]] = ()
        if (before.health, before.sick) != (after.health, after.sick):
            of_health = health.health_lines(entry, before, now)
        if (before.phase, before.leaving) != (after.phase, after.leaving):
            of_gates = gates.gate_lines(self._table, entry, before, now, self._signals)
        of_hooks: Iterable[tuple[str, str]] = ()
        policy = entry.policy
        if before.hook or after.hook or (isinstance(event, Kill) and (policy.pre_stop or policy.post_stop)):
            of_hooks = hooks.hook_lines(entry, before, event, now)
        name, waits = self._table.name(entry), tuple(of_gates)
        for word, fields in happened(entry, before, event, now, self._signals):
            bad = word in LAST_WORDS_OF and not fields.get("expected")
            self._log.note(name, word, **fields, words=partial(self._words, entry) if bad else None)
        for _level, text in waits if after.phase != before.phase else ():
            word = text.partition(" ")[0].removesuffix(":")
            if word in PHASE_WORDS:
                self._log.note(name, word, reason=text)
        last = self._outputs.last_words.parting(entry, before)
        self._log.announce(name, (*said, *waits, *of_health, *of_hooks, *last))
        if entry.wanted.output.log_events:
            line = eventlines.line(name, before, event, after, self._signals)
            if line:
                self._outputs.tell(entry, line)

    def _words(self, entry: Entry) -> list[str] | None:
        return [line[:MOST_WORDS] for line in self._outputs.last_words.lines(entry)] or None


def printable(text: str) -> str:
    """Return the text with control characters as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def lines(
    entry: Entry, before: Process, event: Event, now: float, signals: Mapping[int, str]
) -> Iterator[tuple[str, str]]:
    """Yield (level, text) for one event; the entry holds the process after it. `now` is the monotonic clock, in seconds."""
    after = entry.process
    if isinstance(event, Spawned):
        tries = f", try {after.tries + 1} of {entry.policy.startretries + 1}" if after.tries else ""
        yield INFO, f"started (pid {after.pid}{tries})"
    if isinstance(event, Ready) and after is not before:
        yield (
            INFO,
            f"ready after {describe.seconds_text(now - after.spawned_at)}{f' ({event.text})' if event.text else ''}",
        )
    if after.end is not before.end:
        yield from _ended(before, after, signals)
    if after.killing > before.killing:
        whom = " to what may be signalled" if after.refused else ""
        late = f", {describe.seconds_text(now - after.since)} after it was told to stop"
        yield WARNING, f"SIGKILL sent{whom}{late if after.executed or after.pid is None else NOT_EXECUTED}"
    if after.state is not before.state:
        yield from _entered(entry, before, signals)
    elif after.shortages > before.shortages:
        yield WARNING, f"not started: {after.reason}"
    if after.refused and (after.refused, after.unkillable) != (before.refused, before.unkillable):
        yield WARNING, describe.not_allowed(after.refused)


def _ended(before: Process, after: Process, signals: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    end = after.end
    if end is None:
        return
    text = describe.end_text(end, signals)
    if before.state == STOPPING:
        yield INFO, f"ended: {text}"
    elif before.state == RUNNING:
        yield (INFO if end.expected else WARNING), f"exited: {text} ({'expected' if end.expected else 'unexpected'})"
    else:
        yield WARNING, f"failed to start: {text}"


def _entered(entry: Entry, before: Process, signals: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    after, policy = entry.process, entry.policy
    if after.state == RUNNING:
        yield INFO, f"running (pid {after.pid})"
    elif after.state == FATAL:
        yield ERROR, f"gave up: {describe.failed_start_text(after, policy, signals)}"
    elif after.state == BACKOFF and not after.phase:
        yield (WARNING if after.shortages else INFO), _waiting(entry)
    elif after.state == STARTING and before.state in (RUNNING, STOPPING) and not after.phase:
        yield INFO, "restarting"  # `gates.gate_lines` says what one that is held waits for
    elif after.state == STOPPING:
        yield from _stopping(entry, signals)
    elif after.state == STOPPED and before.state == STOPPING:
        killed = ", SIGKILL was needed" if before.killing else ""
        yield INFO, f"stopped by {after.by} after {describe.seconds_text(after.since - before.since)}{killed}"
    elif after.state == STOPPED and before.state in DOWN_STATES:
        yield INFO, f"stopped by {after.by}; it was not running ({before.state})"
    elif after.state == STOPPED:
        yield INFO, f"stopped by {after.by}"


def _stopping(entry: Entry, signals: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    process, wanted = entry.process, entry.wanted
    if process.pid is None:
        if process.end and process.hook_stage in ("", ENDS):  # else only a hook is left, see `core.words.hooks`
            yield WARNING, f"ending what it left behind: {describe.left_text(process.end.left)}"
        return
    number = signals.get(wanted.stopsignal, str(wanted.stopsignal))
    sent = "" if process.refused or process.hook_stage == RUNS else f": {number} to {WHOM[wanted.stopasgroup]}"
    if not process.executed:
        sent = NOT_EXECUTED
    if process.reason:
        yield (INFO if process.cause in PLANNED else WARNING), f"{process.reason}; ending it{sent}"
    else:
        yield INFO, f"stopping{sent}, {describe.cause_text('asked by', process.by)}"


def _waiting(entry: Entry) -> str:
    process, policy = entry.process, entry.policy
    pause = describe.seconds_text((process.deadline or process.since) - process.since)
    if process.shortages:
        return f"not started: {process.reason}; again in {pause}"
    if process.tries:
        return f"restarting in {pause} (retry {process.tries} of {policy.startretries})"
    return (
        f"restarting in {pause} ({policy.restart_burst} restarts within {describe.seconds_text(policy.restart_window)})"
    )

"""What an alert rule tells, when, and in which message. Pure: the caller says what time it is.

A rule hears records of the history: {"name": "web:1" or "" for the daemon, "event": word, ...}. Trouble is open, by slot and word,
until an event ends it. `for` lets it wait; a recovery is told when nothing of a slot's trouble is left, and only if some of it was
told. Records that are told go into a message, which is open for `batch` and then due. Beyond `at_most` a message is due when the
limit allows it: it has the recoveries, and counts the rest.
"""

from __future__ import annotations

from collections import deque

from taskmaster_common.config.alerts.words import FAILED_ALERT
from taskmaster_common.config.events import CRASH, LOST, OOM, RECOVERED, SKIPPED, TROUBLE, is_oom, is_skipping
from taskmaster_common.records import Record
from taskmaster_common.text.patterns import Pattern, Targets, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    Event = Mapping[str, Any]

GOOD = frozenset(("running", "done", "stopped"))
"""Events after which a slot is as somebody wants it."""
ENDED_BY: Mapping[str, frozenset[str]] = {
    "fatal": GOOD,
    CRASH: GOOD,
    OOM: GOOD,
    "unhealthy": frozenset(("healthy", "done", "stopped")),
    "blocked": GOOD | {"started"},
    "stuck": GOOD | {"exited", "failed", "backoff", "fatal"},
    SKIPPED: GOOD | {"started", "exited", "failed"},
    "log-trouble": frozenset(),
    "reload-failed": frozenset(("reload",)),
}
"""Which events end each trouble. A record with `over` ends the trouble that is called like its event."""
CRASHED = "crashed"
"""Trouble of the daemon that is over when it is told."""
AT_ONCE = (CRASHED, LOST)
"""Troubles that are over as soon as they happen: `for` does not delay them, and no recovery follows."""
STATES = {"healthy": "RUNNING", "started": "STARTING", "reload": "reloaded", "log-trouble": "can write its log again"}
"""The state to which an event leads, where it is not called like it."""


class Tell(Record):
    """A record belongs to a message."""

    message: int
    event: Event


class Deliver(Record):
    """A message is complete."""

    message: int


class Settings(Record):
    """What a rule asks for. `targets` have no groups any more. `limit` is (messages, seconds), None for any number."""

    events: tuple[str, ...]
    targets: tuple[str, ...] = ("all",)
    for_s: float = 0.0
    batch_s: float = 0.0
    limit: tuple[int, float] | None = None


def troubles_in(event: Event) -> tuple[str, ...]:
    """Return the troubles that a record begins, the one that says most first."""
    word = event["event"]
    if word == "exited" and event.get("expected") is False:
        return (OOM, CRASH) if is_oom(event) else (CRASH,)
    if is_oom(event):
        return (OOM,)
    if word == SKIPPED:
        return (SKIPPED,) if is_skipping(event) else ()
    return (word,) if (word in ENDED_BY and not event.get("over")) or word == CRASHED else ()


class About:
    """Which records a rule is about. Patterns match the words of the history, never what several of them stand for."""

    def __init__(self, settings: Settings) -> None:
        self._words = frozenset(word for word in settings.events if not is_pattern(word))
        self._patterns = tuple(Pattern(word) for word in settings.events if is_pattern(word))
        self._targets = Targets(settings.targets)
        self.recovered = RECOVERED in self._words

    def selects(self, name: str) -> bool:
        """Return whether it is about this slot; "" is the daemon."""
        program, _, index = name.partition(":")
        return not name or self._targets.select(program, int(index or 0))

    def matches(self, word: str, troubles: Sequence[str]) -> bool:
        """Return whether it is about a record with this word, which begins these troubles."""
        if word == FAILED_ALERT:
            return False
        if troubles and TROUBLE in self._words:
            return True
        return not self._words.isdisjoint((word, *troubles)) or any(each.matches(word) for each in self._patterns)


class Open:
    """One trouble of a slot. `due` is when it has lasted for long enough; `event` is what is told then, None once it is told."""

    __slots__ = ("due", "ended", "event", "since", "told", "word")

    def __init__(self, word: str, since: float, due: float, event: Event | None, *, told: bool = False) -> None:
        self.word = word
        self.since = since
        self.due = due
        self.event = event
        self.told = told
        self.ended = False


class Messages:
    """Gathers records into messages, and keeps to the limit."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque()
        self._last = 0
        self._limited = False
        self.open = 0
        """The message that is not due yet, 0 without one."""
        self.due = 0.0
        self.left_out = 0

    def begin_after(self, message: int) -> None:
        """Number messages from here on."""
        self._last = max(self._last, message)

    def tell(self, acts: list[Tell | Deliver], event: Event, settings: Settings, now: float, wall: float) -> bool:
        """Put a record into a message; return False for one that is only counted, beyond the limit."""
        if not self.open:
            self._begin(settings, now, wall)
        if self._limited and event["event"] != RECOVERED:
            self.left_out += 1
            return False
        acts.append(Tell(self.open, event))
        if self.due <= now:
            self.close(acts)
        return True

    def _begin(self, settings: Settings, now: float, wall: float) -> None:
        self.open = self._last = max(self._last + 1, int(wall * 1e6))
        self.due, self._limited = now + settings.batch_s, False
        if settings.limit:
            count, seconds = settings.limit
            while self._sent and self._sent[0] <= now - seconds:
                self._sent.popleft()
            if len(self._sent) >= count:
                self._limited, self.due = True, max(self.due, self._sent[-count] + seconds)
            self._sent.append(self.due)

    def close(self, acts: list[Tell | Deliver]) -> None:
        """Let the message be due; it says how many records were left out."""
        message, self.open = self.open, 0
        if self.left_out:
            acts.append(Tell(message, {"event": "", "name": "", "left_out": self.left_out}))
            self.left_out = 0
        self._limited = False
        acts.append(Deliver(message))


class Alerting:
    """One rule at work. `now` is monotonic, `wall` is the time of the day; both in seconds."""

    def __init__(self, settings: Settings) -> None:
        self._set(settings)
        self._open: dict[str, dict[str, Open]] = {}
        self._waiting: deque[tuple[float, str]] = deque()
        self._messages = Messages()
        self.changed: set[str] = set()
        """Slots whose trouble has changed; the caller takes them away."""

    def _set(self, settings: Settings) -> None:
        self.settings = settings
        self._wanted = About(settings)

    def change(self, settings: Settings) -> None:
        """Go on with other settings; what is open stays open, and a message that is gathered stays due when it was."""
        self._set(settings)
        self._waiting = deque(sorted(self._waiting))

    def selects(self, name: str) -> bool:
        """Return whether the rule is about this slot."""
        return self._wanted.selects(name)

    @property
    def open(self) -> Iterable[str]:
        """The slots with open trouble."""
        return self._open.keys()

    def next(self) -> float | None:
        """Return when to call `passed`, None where nothing waits."""
        times = [self._messages.due] if self._messages.open else []
        while self._waiting and self._untold(self._waiting[0][1]) is None:
            self._waiting.popleft()
        if self._waiting:
            times.append(self._waiting[0][0])
        return min(times, default=None)

    # -- what happens

    def heard(self, event: Event, now: float, wall: float) -> list[Tell | Deliver]:
        """Take a record; return what follows."""
        name, word = str(event.get("name", "")), str(event["event"])
        if not self._wanted.selects(name):
            return []
        acts: list[Tell | Deliver] = self.passed(now, wall)
        troubles = troubles_in(event)
        if self._wanted.matches(word, troubles):
            self._begin(acts, name, troubles, event, now, wall) if troubles else self._messages.tell(
                acts, event, self.settings, now, wall
            )
        self._end(acts, name, word, event, now, wall)
        return acts

    def over(self, name: str, state: str, now: float, wall: float) -> list[Tell | Deliver]:
        """Take that nothing is wrong with a slot any more, in whichever way that came about."""
        acts: list[Tell | Deliver] = []
        for trouble in self._open.get(name, {}).values():
            trouble.ended = True
        self._recover(acts, name, {"state": state}, now, wall)
        return acts

    def passed(self, now: float, wall: float) -> list[Tell | Deliver]:
        """Take that time has passed."""
        acts: list[Tell | Deliver] = []
        while self._waiting and self._waiting[0][0] <= now:
            _, name = self._waiting.popleft()
            trouble = self._untold(name)
            if trouble is None or trouble.event is None or trouble.due > now:
                continue
            untold = [each for each in self._open[name].values() if each.event is not None and not each.ended]
            told = self._messages.tell(acts, untold[-1].event or trouble.event, self.settings, now, wall)
            for each in untold:
                each.told, each.event = told, None
            if not self._was_told(name):  # only counted: who did not hear of it does not hear of its end
                self._forget(name)
            self.changed.add(name)
        if self._messages.open and self._messages.due <= now:
            self._messages.close(acts)
        return acts

    def flush(self, now: float, wall: float) -> list[Tell | Deliver]:
        """Have all that waits be due at once."""
        acts = self.passed(now, wall)
        if self._messages.open:
            self._messages.close(acts)
        return acts

    # -- for a later daemon

    def rows(self, name: str) -> list[list[Any]]:
        """Return the trouble of a slot as a later daemon reads it: [word, since, told, ended, event or null] for each."""
        return [
            [each.word, each.since, each.told, each.ended, None if each.event is None else dict(each.event)]
            for each in self._open.get(name, {}).values()
        ]

    def resume(self, name: str, rows: Iterable[Any], now: float, wall: float) -> None:
        """Go on with the trouble of a slot that an earlier daemon has left. Raises TypeError or ValueError if it makes no sense."""
        for word, since, told, ended, event in rows:
            if word not in ENDED_BY:
                raise ValueError(f"no trouble is called {word!r}")
            due = now + max(0.0, self.settings.for_s - (wall - float(since)))
            trouble = Open(word, float(since), due, None if told else event, told=bool(told))
            trouble.ended = bool(ended)
            self._open.setdefault(name, {})[word] = trouble
            if not told:
                self._waiting.append((due, name))
        self._waiting = deque(sorted(self._waiting))

    def begin_after(self, message: int) -> None:
        """Number messages from here on."""
        self._messages.begin_after(message)

    # -- inside

    def _untold(self, name: str) -> Open | None:
        """Return the first trouble of a slot that has still to be told."""
        found = self._open.get(name, {}).values()
        return next((each for each in found if each.event is not None and not each.ended), None)

    def _begin(
        self, acts: list[Tell | Deliver], name: str, troubles: Sequence[str], event: Event, now: float, wall: float
    ) -> None:
        word, for_s = troubles[0], self.settings.for_s
        if event["event"] in AT_ONCE:
            self._messages.tell(acts, event, self.settings, now, wall)
            return
        known = self._open.get(name, {}).get(word)
        if known and not known.ended and for_s:
            return
        since = known.since if known and not known.ended else wall
        if for_s:
            self._add(name, Open(word, since, now + for_s, event))
            self._waiting.append((now + for_s, name))
            return
        told = self._messages.tell(acts, event, self.settings, now, wall) or bool(known and known.told)
        if self._wanted.recovered and (told or self._was_told(name)):  # also one that was counted holds up a recovery
            self._add(name, Open(word, since, now, None, told=told))

    def _end(self, acts: list[Tell | Deliver], name: str, word: str, event: Event, now: float, wall: float) -> None:
        troubles = self._open.get(name, {})
        over = word if event.get("over") else ""
        ended = [
            each for each in troubles.values() if not each.ended and (word in ENDED_BY[each.word] or each.word == over)
        ]
        for each in ended:
            each.ended = True
        if ended:
            self.changed.add(name)
            self._recover(acts, name, event, now, wall)

    def _recover(self, acts: list[Tell | Deliver], name: str, event: Event, now: float, wall: float) -> None:
        troubles = self._open.get(name, {})
        if not troubles or not all(each.ended for each in troubles.values()):
            return
        told = [each for each in troubles.values() if each.told]
        self._forget(name)
        if not told or not self._wanted.recovered:
            return
        first = min(told, key=lambda each: each.since)
        kept = {key: event[key] for key in ("seq", "time", "state", "pid") if key in event}
        word = str(event.get("event", ""))
        state = kept.get("state") or STATES.get(word, word.upper())
        over = {
            **kept, "name": name, "event": RECOVERED, "state": state, "before": told[-1].word.upper(),
            "was": told[-1].word, "lasted": round(max(0.0, wall - first.since), 3),
        }  # fmt: skip
        self._messages.tell(acts, over, self.settings, now, wall)

    def _add(self, name: str, trouble: Open) -> None:
        troubles = self._open.setdefault(name, {})
        troubles.pop(trouble.word, None)  # the latest is the last
        troubles[trouble.word] = trouble
        self.changed.add(name)

    def _was_told(self, name: str) -> bool:
        """Return whether somebody has heard of any trouble of a slot that is open."""
        return any(each.told for each in self._open.get(name, {}).values())

    def _forget(self, name: str) -> None:
        self._open.pop(name, None)
        self.changed.add(name)

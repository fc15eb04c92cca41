"""What a program would do that ends as one says: the real `step` on a clock of its own. Pure; loaded with the first `simulate`.

Of the world outside only this is assumed: a start succeeds at once, a hook does, what has to become ready does, nothing that it
depends on is in the way, and a stop signal ends the program at once. A program with `schedule` is armed at first.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, FATAL, RUNNING, STARTING
from taskmaster_common.text.formats import format_seconds
from taskmaster_common.text.units import parse_seconds, parse_signal
from taskmasterd.core.process.events import (
    HOOK,
    KILL,
    NONE,
    SPAWN,
    TERMINATE,
    Arm,
    DeadlineReached,
    Due,
    Executed,
    Exited,
    HookEnded,
    Ready,
    Renew,
    Restart,
    Spawned,
    Start,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from taskmasterd.core.process.verdict import JITTER
from taskmasterd.core.timed import BY, LeftOut, Timed
from taskmasterd.core.words.describe import failed_start_text, status_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.process.events import Action, Event
    from taskmasterd.core.timed import WallClock

MOST_EVENTS = 10_000
USUAL_FOR_S = 3600.0
"""How long is simulated where nobody says."""
LONGEST_S = 10 * 366 * 86_400.0
ZERO = 1000.0
SIGKILL = 9
ENDS_NOTHING = ("STOP", "TSTP", "TTIN", "TTOU", "CONT", "CHLD", "URG", "WINCH")
"""Signals that by themselves stop or continue a process, or do nothing. Source: signal(7)."""
MOST_CODE = 255
ARROW, DASH = "\u2192", "\u2013"


class SaidEnd(Record):
    """How an instance ends: its wait status, so many seconds after its start."""

    status: int
    after_s: float


class Happening(Record):
    """What happens `at` seconds after the first start: the state that this leads to, and what is said of it."""

    at: float
    text: str
    state: str


def ending_of(word: str, numbers: Mapping[str, int]) -> SaidEnd:
    """Return the ending that `1@0.2`, `KILL@3s` or `0@1m` means. Raises ValueError; `numbers` maps names of signals to numbers."""
    how, at, after = word.partition("@")
    if not at:
        raise ValueError(f'"{word}" has no time: write {word or 1}@2s for an end after 2 seconds')
    after_s = parse_seconds(after)
    if not how.isdecimal():
        number = parse_signal(how, numbers)
        if number in (numbers.get(name) for name in ENDS_NOTHING):
            raise ValueError(f'"{how}" ends no process: write a signal that does, such as KILL@{after}')
        return SaidEnd(number, after_s)
    if int(how) > MOST_CODE:
        raise ValueError(f'"{how}" is no exit code: they go up to {MOST_CODE}')
    return SaidEnd(int(how) << 8, after_s)


def left_out(program: ProgramConfig) -> str:
    """Return which rule of a program is not simulated, and why; "" if all of them are."""
    if "memory" not in program.recycle:
        return ""
    return f"recycle.memory is left out: how much memory {program.name} would use is not known"


def asked_for(ends: str, lasts: str, seed: str, numbers: Mapping[str, int]) -> tuple[tuple[SaidEnd, ...], float, int]:
    """Return endings, seconds and seed from the words of a request: endings have commas or NUL between them. Raises ValueError."""
    for_s = parse_seconds(lasts) if lasts else USUAL_FOR_S
    if for_s > LONGEST_S:
        raise ValueError(f"{lasts} is longer than ten years")
    return (
        tuple(ending_of(word, numbers) for word in ends.replace("\0", ",").split(",") if word),
        for_s,
        int(seed or "0"),
    )


def simulate(
    program: ProgramConfig,
    endings: Sequence[SaidEnd],
    for_s: float,
    seed: int,
    signals: Mapping[int, str],
    clock: WallClock,
) -> Iterator[Happening | None]:
    """Yield what happens, and None for an event that nobody has to read about, for `for_s` seconds; MOST_EVENTS events at most.

    The instances end as `endings` say, one after the other, and the last one again and again; without any they run on. `seed`
    chooses the delays.
    """
    return _Simulation(program, endings, ZERO + seed, signals, Timed(program, clock)).run(for_s)


class _Simulation:
    """One process and its clock."""

    def __init__(
        self, program: ProgramConfig, endings: Sequence[SaidEnd], zero: float, signals: Mapping[int, str], timed: Timed
    ) -> None:
        self._program = program
        self._policy = program.policy.replace(depends_on=())
        self._endings = endings
        self._signals = signals
        self._timed = timed
        self._zero = self._now = zero
        self._process = Process()
        self._instances = 0
        self._end: tuple[float, int] | None = None
        self._due: list[Event] = []

    def run(self, for_s: float) -> Iterator[Happening | None]:
        until = self._zero + for_s
        self._due.append(Arm(BY) if self._timed.arms else Start(BY, free=True))
        for _ in range(MOST_EVENTS):
            event = self._next(until)
            if event is None:
                yield self._last_line(until)
                return
            yield self._deliver(event)
        yield self._line(f"{MOST_EVENTS} events, and no end")

    def _next(self, until: float) -> Event | None:
        """Return the event that comes next, and let it be that time; None where nothing comes."""
        if self._due:
            return self._due.pop(0)
        ended, deadline = self._end, self._process.deadline
        moments: list[tuple[float, Callable[[], list[Event]]]] = []
        if ended:
            moments.append((ended[0], lambda: [Exited(ended[1])]))
        if deadline is not None:
            moments.append((deadline, lambda: [DeadlineReached()]))
        moments += self._by_clock()
        if not moments:
            return None
        at, happens = min(moments, key=lambda each: each[0])  # an end comes before a deadline of that moment
        if at > until:
            return None
        self._now = max(self._now, at)
        self._due += happens()
        return self._due.pop(0) if self._due else self._next(until)

    def _by_clock(self) -> list[tuple[float, Callable[[], list[Event]]]]:
        process, zero = self._process, self._zero
        then = self._timed.next(process, process.since - zero, self._now - zero)
        return [(zero + then[0], lambda: then[1](self._now - zero))] if then else []

    def _deliver(self, event: Event) -> Happening | None:
        before = self._process
        if isinstance(event, LeftOut):
            return self._line(event.text)
        if isinstance(event, Exited):
            self._end = None
        self._process, action = step(self._policy, before, event, self._now)
        self._act(action)
        after = self._process
        return None if after.state == before.state else self._line(self._text(before, event))

    def _act(self, action: Action) -> None:
        """Do what `step` asks for, as everything goes well."""
        if action == SPAWN:
            self._instances += 1
            pid, awaits = self._instances + 1, bool(self._program.ready)
            self._due += [Spawned(pid, awaits=awaits), Executed(), *((Ready(pid),) if awaits else ())]
            if self._endings:
                ending = self._endings[min(self._instances, len(self._endings)) - 1]
                self._end = (self._now + ending.after_s, ending.status)
        elif action == HOOK:
            self._due.append(HookEnded(True))
        elif action == TERMINATE:
            self._end = (self._now, self._program.stopsignal)
        elif action == KILL:
            self._end = (self._now, SIGKILL)
        else:
            assert action == NONE, action

    def _line(self, text: str) -> Happening:
        return Happening(round(self._now - self._zero, 3), text, self._process.state)

    def _last_line(self, until: float) -> Happening:
        process = self._process
        if process.state in DOWN_STATES and not self._timed.arms:
            return self._line("nothing starts it by itself")
        self._now = until
        return self._line(f"still {process.state}")

    # -- words

    def _text(self, before: Process, event: Event) -> str:
        """Return what has happened and what follows: "exit 1 -> BACKOFF, retry 1 of 3 in 0.45-0.55s"."""
        after = self._process
        cause = self._cause(before, event)
        follows = self._follows(before)
        return f"{cause} {ARROW} {after.state}{f', {follows}' if follows else ''}"

    def _cause(self, before: Process, event: Event) -> str:
        if isinstance(event, Exited):
            return status_text(event.status, self._signals)
        if isinstance(event, Start):
            return "start"
        if isinstance(event, Due | Restart):
            return event.why if isinstance(event, Due) else event.by
        if isinstance(event, Renew):
            return f"recycled: {event.what}"
        if isinstance(event, Arm):
            return "armed"
        if before.state == BACKOFF:
            return f"try {before.tries + 1}" if before.tries else "again"
        if before.hook:
            return f"{before.hook} ends"
        if self._process.state == RUNNING:
            return "ready" if self._program.ready else "executed" if isinstance(event, Executed) else "stays up"
        if isinstance(event, DeadlineReached):
            return self._process.reason or "out of time"
        return "goes on"

    def _follows(self, before: Process) -> str:
        process, policy = self._process, self._policy
        if process.state == BACKOFF and process.tries:
            pause = min(policy.restart_delay * 2.0 ** min(process.tries - 1, 64), policy.restart_max_delay)
            return f"retry {process.tries} of {policy.startretries} in {_between(pause)}"
        if process.state == BACKOFF:
            window = format_seconds(policy.restart_window)
            left = format_seconds((process.deadline or self._now) - self._now)
            return f"again in {left}: {policy.restart_burst} restarts within {window}"
        following = self._timed.following(self._now - self._zero)
        if process.state == FATAL:
            tries = failed_start_text(process, policy, self._signals).rpartition(" (")[2].removesuffix(")")
            return "; ".join(filter(None, (tries, following)))
        if process.state == EXITED and process.end is None:
            return following
        if process.state == EXITED:
            ended = "done" if policy.type == ONESHOT else f"autorestart: {policy.autorestart}"
            return "; ".join(filter(None, (ended, following)))
        if process.state == STARTING and process.starts and not before.tries:
            return f"restart {process.starts}"
        return ""


def _between(pause: float) -> str:
    """Return the shortest and the longest pause: "0.45-0.55s"; it is spread so that mass failures drift apart."""
    least, most = pause * (1 - JITTER), pause * (1 + JITTER)
    return f"{least:.2f}{DASH}{most:.2f}s" if most < 10 else f"{least:.1f}{DASH}{most:.1f}s"

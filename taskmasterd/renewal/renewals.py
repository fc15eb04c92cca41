"""Instances that are to be replaced as planned, and wait until their program can spare them; pre_restart is asked before.

Whoever finds that an instance is to be replaced says so by `want`, and may take that back. `core.programs.spares` says whose turn it is.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.states import RUNNING
from taskmasterd.core.process.events import Renew
from taskmasterd.core.programs.checks import has_to_be_asked
from taskmasterd.core.programs.spares import held_back, pace_of
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.programs.checks import Refusal
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.system.loop.reactor import Reactor, Timer


class RenewalMeans(Record):
    """What planned restarts work with.

    `deliver(entry, event)` hands an event to the supervisor. `ask(entry, reason, then)` asks pre_restart; `then(refusal)` gets None
    where it allows the restart. `say(level, text)` writes to the event log, `note(name, event, **fields)` to the history. `stopping()`: whether the daemon is being shut down.
    """

    reactor: Reactor
    table: Table
    deliver: Callable[[Entry, Event], None]
    ask: Callable[[Entry, str, Callable[[Refusal | None], None]], None]
    say: Callable[[str, str], None]
    note: Callable[..., None]
    stopping: Callable[[], bool]


class Renewal(Record):
    """Why the instance with this pid is to be replaced: `cause` and `what` are those of Renew.

    `at_once`: so many instances of its program at a time, where that has no `update`; 0 for any number. `refused(entry, because)` is
    called where pre_restart does not allow it: it is not asked again then.
    """

    pid: int
    cause: str
    what: str
    at_once: int
    refused: Callable[[Entry, str], None]


class Renewals:
    """All instances that wait, by program."""

    def __init__(self, means: RenewalMeans) -> None:
        self._means = means
        self._waiting: dict[str, dict[Entry, Renewal]] = {}
        self._looking = self._again = False
        self._timer: Timer | None = None

    def want(self, entry: Entry, wanted: Renewal) -> None:
        """Replace an instance as soon as its program can spare it."""
        self._waiting.setdefault(entry.program, {})[entry] = wanted
        self._look_soon()

    def wanted(self, entry: Entry) -> Renewal | None:
        """Return why an instance waits, None for one that does not."""
        return self._waiting.get(entry.program, {}).get(entry)

    def drop(self, entry: Entry) -> None:
        """Replace an instance no more."""
        waiting = self._waiting.get(entry.program, {})
        waiting.pop(entry, None)
        if not waiting:
            self._waiting.pop(entry.program, None)

    def changed(self, entry: Entry) -> None:
        """Look again because a process has changed; an instance that is no more does not wait any longer."""
        if not self._waiting:
            return
        wanted = self.wanted(entry)
        if wanted and (entry.process.pid != wanted.pid or entry.process.state != RUNNING):
            self.drop(entry)
        self._look_soon()

    def _look_soon(self) -> None:
        """Look at the end of this turn whose turn it is."""
        self._again = True
        if not self._looking:
            self._looking = True
            self._means.reactor.call_soon(self._begin, self._end)

    def _begin(self) -> None:
        self._means.reactor.rounds.begin(self._look(), self._end)

    def _end(self) -> None:
        self._looking = False

    def _look(self) -> Iterator[None]:
        while self._again and not self._means.stopping():
            self._again = False
            moments: list[float] = []
            for program in tuple(self._waiting):
                for entry, wanted in tuple(self._waiting.get(program, {}).items()):
                    until = self._act(entry, wanted)
                    if until:
                        moments.append(until)
                    yield
            self._means.reactor.cancel(self._timer)
            self._timer = self._means.reactor.call_at(min(moments), self._look_soon) if moments else None
        self._looking = False

    def _act(self, entry: Entry, wanted: Renewal) -> float | None:
        """Replace an instance if its program can spare it; return when to look again, None for at the next change."""
        if self.wanted(entry) is not wanted or entry.asking:
            return None
        if not entry.wanted.enabled:  # nothing brings it up again
            self.drop(entry)
            return None
        reason, until = held_back(self._means.table, entry, pace_of(entry, wanted.at_once), self._means.reactor.now())
        if reason:
            return until
        self.drop(entry)
        if has_to_be_asked(entry):
            self._means.ask(entry, wanted.cause, partial(self._allowed, entry, wanted))
        else:
            self._renew(entry, wanted)
        return None

    def _allowed(self, entry: Entry, wanted: Renewal, refusal: Refusal | None) -> None:
        """Replace an instance that may be; asking takes its time, and meanwhile it may have gone."""
        if refusal is None:
            self._renew(entry, wanted)
            return
        self._look_soon()
        if refusal.because:
            wanted.refused(entry, refusal.because)

    def _renew(self, entry: Entry, wanted: Renewal) -> None:
        self._means.deliver(entry, Renew(wanted.pid, wanted.cause, wanted.what))

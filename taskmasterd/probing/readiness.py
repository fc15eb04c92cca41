"""Finds out when instances become ready: asks them again and again, or listens to what they announce.

Made with the first program that has `ready`; it follows the change bus from then on. It decides nothing about processes: it
delivers Ready and Condemned, and what follows is in `core.process.machine`.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import TaskmasterError
from taskmaster_common.states import STARTING
from taskmasterd.core.process.events import Condemned, Extend, Ready
from taskmasterd.core.process.state import AWAITED
from taskmasterd.output.targets import account_of, ids_of
from taskmasterd.probing.announced.channels import Channels
from taskmasterd.probing.announced.kept import row_of
from taskmasterd.probing.ways import (
    ANNOUNCED,
    FD,
    LOG,
    NOTIFY,
    USUAL_INTERVAL_S,
    WATCHDOG,
    readiness_probe,
    try_of,
    way_of,
)
from taskmasterd.processes.preparation import Announcement
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.probing.text.message import Message
    from taskmasterd.probing.text.result import Result
    from taskmasterd.probing.tries.queue import Queue, QueuedTry
    from taskmasterd.probing.ways import Asking
    from taskmasterd.system.loop.reactor import Timer
    from taskmasterd.system.users import Account

    class Watchdogs(Protocol):
        """What judges instances by what they say."""

        def heard(self, entry: Entry, said: bool) -> None:
            """Take a WATCHDOG=1, or, without one, know that nothing which an instance of an earlier daemon says is missed."""


FIRST_TRIES_S = (0.1, 0.2, 0.4, 0.8)
"""Moments of the first tries, seconds after the exec; the others follow at the interval."""
LEAST_PAUSE_S = 1.0
"""Least time between two writes of what an instance says of itself, seconds."""
UNHEARD = "not heard any more"
AWAY = "unknown, the daemon was away"


class Readiness:
    """All instances that are not ready yet, and the sockets of those that announce it.

    `deliver(entry, event)` hands an event to the supervisor, `watchdogs()` returns what judges instances by what they say.
    `remember(entry)` has a slot written to the state. `socket` is the daemon's own, beside which those of programs are.
    """

    def __init__(
        self,
        asking: Asking,
        deliver: Callable[[Entry, Event], None],
        watchdogs: Callable[[], Watchdogs],
        remember: Callable[[Entry], None],
        socket: str,
    ) -> None:
        self._asking = asking
        self._deliver = deliver
        self._watchdogs = watchdogs
        self._remember = remember
        self._remembered: dict[Entry, str] = {}
        self._asked: dict[Entry, _Questions] = {}
        self._channels = Channels(asking.reactor, asking.outputs, socket, self._heard, self._line_read)
        self._starts: dict[Entry, Sequence[tuple[str, int]]] = {}

    # -- before the spawn

    def announce(self, entry: Entry, account: Account | None) -> Announcement:
        """Prepare the start of a program that has `ready` or a watchdog. Raises SetupError, or OSError for a shortage."""
        self.forget(entry)
        program, line = entry.wanted, Announcement()
        way, watchdog_s = way_of(program.ready), program.health.get(WATCHDOG, 0.0)
        if way == LOG:
            self._starts[entry] = self._log_starts(entry)
        owner = ids_of(account)
        if way == FD:
            line = self._channels.open_line(entry, program.ready[FD], owner)
        if way != NOTIFY and not watchdog_s:
            return line
        variables = {"NOTIFY_SOCKET": self._channels.open_socket(entry, owner)}
        if watchdog_s:
            variables["WATCHDOG_USEC"] = str(round(watchdog_s * 1_000_000))
        return line.replace(environment=variables)

    def _log_starts(self, entry: Entry) -> Sequence[tuple[str, int]]:
        """Return the logs of the instance that is about to be spawned, and their sizes."""
        outputs, found = self._asking.outputs, []
        for path in dict.fromkeys(outputs.log_path(entry, stream) for stream in ("stdout", "stderr")):
            try:
                found.append((path, os.stat(path).st_size))
            except OSError:  # not there yet
                found.append((path, 0))
        return found

    # -- changes

    def changed(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Begin to ask an instance that was executed, and stop once it is ready or on its way down."""
        awaited = _is_awaited(after)
        if awaited and entry not in self._asked:
            if not (_is_awaited(before) and way_of(entry.present.ready) in ANNOUNCED):  # keeps what it has said
                self._ask(entry)
        elif not awaited and entry in self._asked:
            self._asked.pop(entry).end()
        if not after.alive:
            self.forget(entry)

    def added(self, entry: Entry) -> None:
        """Go on with an instance of an earlier life."""
        process, way = entry.process, way_of(entry.present.ready)
        awaited = process.state == STARTING and process.readiness == AWAITED  # be it executed or not
        if way in ANNOUNCED or WATCHDOG in entry.present.health:
            # once what was kept or handed over is known
            self._asking.reactor.call_soon(partial(self._hear_again, entry, way, awaited=awaited))
        if awaited and way not in ANNOUNCED:
            if way == LOG:
                self._starts[entry] = self._saved_starts(entry)
            if way == LOG and not self._starts[entry]:
                self._asking.reactor.call_soon(partial(self._missed, entry))
            elif process.executed:
                self._ask(entry)

    def _hear_again(self, entry: Entry, way: str, *, awaited: bool) -> None:
        """Listen to an instance without a channel of before; what it may have announced meanwhile is unknown."""
        listens = (way == NOTIFY or WATCHDOG in entry.present.health) and not self._channels.has(entry, NOTIFY)
        missed = awaited and way in ANNOUNCED and not self._channels.has(entry, way)
        if not entry.process.alive:
            if listens:
                self._channels.clear(entry)
            return
        if missed and way == FD:
            missed = not self._channels.find(entry, entry.present.ready[FD])
        if listens:
            try:
                self._channels.bind(entry, ids_of(account_of(entry.present)))
            except TaskmasterError as error:
                entry.say(f"{UNHEARD}: {error}")
            else:
                entry.say("" if entry.said.startswith(UNHEARD) else entry.said, entry.ready_tries)
        if missed:
            self._missed(entry)

    def _saved_starts(self, entry: Entry) -> Sequence[tuple[str, int]]:
        """Return where the logs of an instance of an earlier life begin; () unless one file has all, since only stderr's is saved."""
        outputs = self._asking.outputs
        start = outputs.last_words.log_start(entry)
        return [start] if start[0] and start[0] == outputs.log_path(entry, "stdout") else ()

    def _missed(self, entry: Entry) -> None:
        """Believe what may have been announced while no daemon listened."""
        entry.say("")
        self._deliver(entry, Ready(entry.process.pid or 0, AWAY, unsure=True))

    def _ask(self, entry: Entry) -> None:
        entry.say("")
        asked = readiness_probe(entry.present)
        way = way_of(asked)
        if way not in ANNOUNCED:
            probe = try_of(self._asking, entry, asked, self._starts.get(entry, ()))
            interval_s = entry.present.ready.get("interval", USUAL_INTERVAL_S)
            questions = _Questions(
                self._asking, self._asking.queue(way), interval_s, partial(self._answered, entry, way)
            )
            self._asked[entry] = questions
            questions.begin(probe, only_once=way == LOG)

    def _answered(self, entry: Entry, way: str, result: Result, tries: int) -> None:
        text = result.text if result.text.startswith(way) else f"{way}: {result.text}"
        if result.ok:
            entry.say(text, tries)
            self._deliver(entry, Ready(entry.process.pid or 0, text))
        else:
            entry.say(f"{text} ({tries} tr{'y' if tries == 1 else 'ies'})", tries)

    def _line_read(self, entry: Entry, result: Result) -> None:
        pid = entry.process.pid or 0
        entry.say(result.text)
        self._deliver(entry, Ready(pid, result.text) if result.ok else Condemned(pid, f"not ready: {result.text}"))

    def _heard(self, entry: Entry, message: Message) -> None:
        pid = entry.process.pid or 0
        if message.status is not None and message.status != entry.said:
            entry.say(message.status)
            self._note(entry)
        if message.extend_s is not None:
            self._deliver(entry, Extend(pid, self._asking.reactor.now() + message.extend_s))
        if message.ready:
            self._deliver(entry, Ready(pid, "READY=1"))
        if message.watchdog:
            self._watchdogs().heard(entry, True)

    def _note(self, entry: Entry) -> None:
        """Have what an instance says written, but no more often than once a second."""
        if entry not in self._remembered:
            self._remembered[entry] = entry.said
            self._remember(entry)
            self._asking.reactor.call_later(LEAST_PAUSE_S, partial(self._note_last, entry))

    def _note_last(self, entry: Entry) -> None:
        if self._remembered.pop(entry, entry.said) != entry.said:
            self._note(entry)

    def forget(self, entry: Entry) -> None:
        """Ask an instance no more, and close by what it announces."""
        self._remembered.pop(entry, None)
        questions = self._asked.pop(entry, None)
        self._starts.pop(entry, None)
        if questions:
            questions.end()
        self._channels.close(entry)

    # -- a later daemon

    def to_data(self) -> Iterable[Mapping[str, Any]]:
        """Return the channels with their descriptors, for the daemon that is executed next."""
        return self._channels.to_data()

    def resume(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the channels that the daemon before has handed over."""
        for row in rows:
            self._channels.resume(table.slot(row["program"], row["index"]), row)

    def resume_kept(self, table: Table, kept: Mapping[str, int]) -> None:
        """Go on with the channels that a guardian has kept: their texts, and their descriptors."""
        rows = [row_of(text, fd) for text, fd in kept.items()]
        self.resume(table, rows)
        for entry in filter(None, (table.slot(row["program"], row["index"]) for row in rows)):
            if WATCHDOG in entry.health and self._channels.has_from_start(entry):
                self._watchdogs().heard(entry, False)


def _is_awaited(process: Process) -> bool:
    return process.state == STARTING and process.executed and process.readiness == AWAITED


class _Questions:
    """Asks one instance until `end`. `answered(result, tries)` gets each result."""

    def __init__(
        self, asking: Asking, queue: Queue, interval_s: float, answered: Callable[[Result, int], None]
    ) -> None:
        self._reactor = asking.reactor
        self._queue = queue
        self._interval_s = interval_s
        self._answered = answered
        self._began = self._reactor.now()
        self._tries = 0
        self._over = False
        self._timer: Timer | None = None
        self._running: QueuedTry | None = None

    def begin(self, probe: Any, *, only_once: bool) -> None:
        """Ask with this try; `only_once`: one that ends by itself only when it knows."""
        self._probe, self._only_once = probe, only_once
        self._arm()

    def end(self) -> None:
        """Ask no more."""
        self._over = True
        self._reactor.cancel(self._timer)
        if self._running:
            self._running.cancel()

    def _arm(self) -> None:
        past = self._reactor.now() - self._began
        due_s = next((each - past for each in FIRST_TRIES_S if each > past), self._interval_s)
        self._timer = self._reactor.call_later(0.0 if self._only_once and not self._tries else due_s, self._ask)

    def _ask(self) -> None:
        self._tries += 1
        self._running = self._queue.begin(self._probe, self._done)

    def _done(self, result: Result) -> None:
        self._running = None
        if self._over:
            return
        self._answered(result, self._tries)
        if not self._over:
            self._arm()

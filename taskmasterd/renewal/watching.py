"""Follows the files of programs with `watch`, and restarts, signals or starts them when these change.

Made with the first configuration that has `watch`. A process of its own watches (`helper`, `watcher`), and sends one message for each burst
of changes; what a change does to a process is in `core.process.watching`, whose turn it is in `renewals`.
"""

from __future__ import annotations

import os

from taskmaster_common.config import for_instance
from taskmaster_common.config.watch import SIGNAL, watch_rules_of
from taskmaster_common.records import Record
from taskmaster_common.text.units import parse_signal
from taskmasterd.core.process.events import Due, Restart, Start
from taskmasterd.core.process.state import WATCH
from taskmasterd.core.process.watching import ACT, MARK, START, OwnChanges, after_mark, answer, counted
from taskmasterd.renewal.helper import WatchHelper
from taskmasterd.renewal.renewals import Renewal
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.renewal.helper import HelperMeans
    from taskmasterd.renewal.renewals import RenewalMeans, Renewals

ALL = 0
"""A change is for all instances at once, where the program has no `update`."""
RESTARTING = "off, restarting"
TICK_S = 0.01
"""The clock of file times lags behind the wall clock by at most one tick of the kernel, seconds (CONFIG_HZ=100)."""


class WatchMeans(Record):
    """What watching works with besides the means of planned restarts.

    `signal(entry, number)` signals a leader and returns whether that is allowed, `signals` are numbers by name. `logs(entry)` are the paths
    of its logs, `own` the paths of the daemon's own files, `own_below` its directories. `wall()` is the wall clock.
    """

    signal: Callable[[Entry, int], bool]
    signals: Mapping[str, int]
    logs: Callable[[Entry], Iterable[str]]
    own: tuple[str, ...]
    own_below: tuple[str, ...]
    wall: Callable[[], float]
    helper: HelperMeans


class Watching:
    """All programs that are watched."""

    def __init__(self, means: RenewalMeans, renewals: Renewals, more: WatchMeans) -> None:
        self._means = means
        self._more = more
        self._renewals = renewals
        self._helper = WatchHelper(more.helper, self._heard, self._lost, self._renewed)
        self._rows: dict[str, OwnChanges] = {}
        self._texts: dict[str, str] = {}
        self._marked: dict[Entry, str] = {}
        self._since: dict[str, float] = {}
        self._sent: Mapping[str, Any] = {}
        self._due = False
        for entry in means.table:
            self.added(entry)
        self._order_soon()

    # -- changes of processes

    def changed(self, entry: Entry, _before: Process, event: Event, _after: Process) -> None:
        """Do what a remembered change asks for, once it is known what has become of the instance."""
        if isinstance(event, (Start, Restart)):
            self._clear(entry.program)
        if entry in self._marked and after_mark(entry.process) != MARK:
            self._means.reactor.call_soon(partial(self._unmark, entry))

    def added(self, entry: Entry) -> None:
        """Watch for a slot that is new.

        The helper looks for the first time when programs run already. What has changed since an instance was started, and what has since
        now where none was, is a change: a daemon was not there, or the helper not yet.
        """
        if entry.wanted.watch:
            if entry.program not in self._sent.get("watch", ()):
                pid, now = entry.process.pid, self._more.wall()
                began = now - (TICK_S if pid is None else self._means.reactor.now() - entry.process.spawned_at)
                self._since[entry.program] = min(began, self._since.get(entry.program, began))
            self._order_soon()

    def gone(self, entry: Entry) -> None:
        """Watch for a slot no more."""
        self._marked.pop(entry, None)
        if entry.program in self._texts or entry.wanted.watch:
            self._order_soon()

    def applied(self, _plan: ReloadPlan) -> Steps[None]:
        """Follow a reload; what was paused is watched again."""
        for program in tuple(self._rows):
            self._clear(program)
        self._order_soon()
        yield from ()

    def _clear(self, program: str) -> None:
        row = self._rows.pop(program, None)
        if row and row.paused:
            self._show(program, "")

    # -- what is watched

    def _order_soon(self) -> None:
        if not self._due:
            self._due = True
            self._means.reactor.call_soon(self._order)

    def _order(self) -> None:
        self._due = False
        order = self._orders()
        if order == self._sent or self._means.stopping():
            return
        self._sent = order
        for program in tuple(self._texts):
            if program not in order["watch"]:
                self._show(program, "")
                del self._texts[program]
        if not order["watch"]:
            self._helper.close()
            return
        self._helper.order({**order, "since": self._since})
        self._since = {}

    def _orders(self) -> dict[str, Any]:
        watch: dict[str, Any] = {}
        never = list(self._more.own)
        for program in self._means.table.names():
            slots = self._means.table.slots(program)
            never += [path for entry in slots for path in self._more.logs(entry) if path.startswith("/")]
            config = slots[0].wanted
            if config.watch and not all(entry.removed for entry in slots):
                rules = watch_rules_of(config.watch)
                directory = for_instance(config.workingdir, slots[0].index)
                watch[program] = {
                    "paths": [[os.path.normpath(os.path.join(directory, path)), path] for path in rules.paths],
                    "include": list(rules.include),
                    "ignore": list(rules.ignore),
                    "default_ignores": rules.default_ignores,
                    "debounce": rules.debounce,
                    "poll": rules.poll,
                }
        roots = tuple(path.partition("*")[0] for each in watch.values() for path, _ in each["paths"])
        ours = [path for path in dict.fromkeys(never) if path.startswith(roots)]
        return {"watch": watch, "never": {"files": ours, "below": list(self._more.own_below)}}

    def _renewed(self) -> Mapping[str, Any]:
        """Return the order for a helper that follows one that has died."""
        self._sent = order = self._orders()
        since, self._since = self._since, {}
        return {**order, "since": since}

    # -- what the helper says

    def _lost(self, why: str) -> None:
        self._means.say("warning", f"the watcher of files {why}; it is started again")
        now = self._more.wall()
        for program in tuple(self._texts):
            self._since.setdefault(program, now)
            if not self._row(program).paused:
                self._show(program, RESTARTING)

    def _heard(self, message: Mapping[str, Any]) -> None:
        program = message["name"]
        if not self._means.table.slots(program):
            return
        if "changed" in message:
            self._changed(program, message)
        elif "off" in message:
            self._tell(program, f"off: {message['off']}", "warning")
        elif not self._row(program).paused:
            self._show(program, "")

    def _row(self, program: str) -> OwnChanges:
        return self._rows.get(program, OwnChanges())

    def _changed(self, program: str, message: Mapping[str, Any]) -> None:
        """Take a burst of changes."""
        slots, row = self._means.table.slots(program), self._row(program)
        started = max((each.process.spawned_at for each in slots), default=0.0) or None  # it may have ended by now
        path = str(message["changed"])
        self._rows[program] = now = counted(row, path, self._means.reactor.now() - float(message["ago"]), started)
        if now.paused:
            if not row.paused:
                self._tell(program, f"paused: {path} changes whenever {program} starts; ignore it", "warning")
            return
        more = f" (and {message['more']} more)" if message.get("more") else ""
        self._means.reactor.rounds.begin(self._answer_all(slots, f"{path} changed{more}"))

    def _answer_all(self, slots: Iterable[Entry], what: str) -> Steps[None]:
        for entry in slots:
            if entry.wanted.enabled and not (entry.removed or self._means.stopping()):
                self._do(answer(entry.process), entry, what)
            yield

    def _unmark(self, entry: Entry) -> None:
        what = self._marked.pop(entry, None)
        if what is not None and entry.wanted.enabled and not (entry.removed or self._means.stopping()):
            self._do(after_mark(entry.process), entry, what)

    def _do(self, word: str, entry: Entry, what: str) -> None:
        if word == ACT:
            self._act(entry, what)
        elif word == START:
            self._means.deliver(entry, Due(f"started: {what}", WATCH))
        elif word == MARK:
            self._marked[entry] = what

    def _act(self, entry: Entry, what: str) -> None:
        rules = watch_rules_of(entry.wanted.watch)
        if rules.action == SIGNAL:
            allowed = self._more.signal(entry, parse_signal(rules.signal, self._more.signals))
            said = (
                f"{rules.signal} to its leader" if allowed else f"its leader may not be signalled with {rules.signal}"
            )
            name = self._means.table.name(entry)
            if allowed:
                self._means.note(name, "signalled", pid=entry.process.pid, signal=rules.signal, reason=what)
            self._means.say("info" if allowed else "warning", f"{name} {what}: {said}")
            return
        pid = entry.process.pid or 0
        self._renewals.want(entry, Renewal(pid, WATCH, what, ALL, lambda _entry, _because: None))

    # -- for people

    def _tell(self, program: str, text: str, level: str) -> None:
        if self._texts.get(program) != text:
            self._means.say(level, f"{program} watch {text}")
            self._means.note(program, "watch", reason=text)
        self._show(program, text)

    def _show(self, program: str, text: str) -> None:
        """Show people that the files of a program are not watched, "" where they are."""
        self._texts[program] = text
        for entry in self._means.table.slots(program):
            entry.lack(text, watch=True)

"""What was lost in a run: compares the writers' rows with the logs, the event log and the last status."""

from __future__ import annotations

from tests.outlive import numbers, rows
from tests.outlive.cohort import ALONE, FORMS, POSTED, TOLD, kind_of
from tests.soak.judges import alerts
from tests.soak.wire import processes
from tests.support.history import history_problem, records_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.outlive.cohort import Cohort, Slot
    from tests.outlive.keepers import Keeper
    from tests.soak.actors.receivers import Receivers
    from tests.soak.stage import Stage
    from tests.support.daemon import Daemon

MARGIN_S = 1.0
"""An instance that ended this long before a kill may have gone unnoticed: the daemon shares two cores with hundreds.

Where nobody has heard the daemon for longer than that, it is that long.
"""
AGAIN = ("ends", "turns", "loops")


class Verdict:
    """One run's; `excused` are losses that only a guardian, or a daemon, could have prevented."""

    def __init__(self, cohort: Cohort, path: Path, daemon: Daemon, keeper: Keeper, mode: str) -> None:
        self._cohort = cohort
        self._path = path
        self._daemon = daemon
        self._mode = mode
        gaps = [
            (began - max(0.0, deaf_s - MARGIN_S), ended)
            for (began, ended), deaf_s in zip(keeper.gaps, keeper.deaf_s, strict=True)
        ]
        self._ends = rows.Ends(
            gaps if mode == "restart" else keeper.gaps,
            keeper.killed,
            MARGIN_S if mode == "restart" else 0.0,
            excused=mode == "restart",
        )
        self._lives: dict[bytes, rows.Life] = {}
        self.bytes = self.lines_read = self.lost = self.doubled = self.excused = self.rotated = 0
        self.chunked = self.told = self.posted = self._keepers = 0

    def statuses(self, stage: Stage) -> None:
        """Ask how those ended that end once, and how often others were started again."""
        self._lives = rows.lives(self._path)
        with stage.connect() as wire:
            told = processes(wire.ask("status"))
        for problem in self._once(told):
            stage.found(f"status: {problem}")

    def _once(self, told: dict[Slot, dict[str, object]]) -> Iterator[str]:
        by_slot: dict[Slot, list[rows.Life]] = {}
        for life in self._lives.values():
            by_slot.setdefault(life.slot, []).append(life)
        for slot in self._cohort.slots("once"):
            its = by_slot[slot]
            end = told[slot]["exit"]
            if len(its) != 1:
                yield f"{slot} has autorestart: never, and was started {len(its)} times"
            elif its[0].how and its[0].how != "exit 0" and not self._matches(its[0], end):
                yield f"{slot} ended with {its[0].how}, status says {end}"

    def _matches(self, life: rows.Life, end: object) -> bool:
        if not isinstance(end, dict):
            return False
        how = f"exit {end['code']}" if "code" in end else f"killed by SIG{end.get('signal')}"
        unknown = end.get("unknown") and self._mode == "restart" and self._ends.in_gap(life)
        return bool(how == life.how or unknown)

    def heard(self, receivers: Receivers) -> Iterator[str]:
        """Yield what receivers of alerts have not heard. Call it when the queues are empty and everything is stopped."""
        history, told = records_of(self._daemon.home), receivers.told
        self.told, self.posted = len(told), len(receivers.posted)

        def ended(record: alerts.Event) -> bool:
            return alerts.is_crash(record) and kind_of(record["name"].partition(":")[0]) in TOLD

        def moved(record: alerts.Event) -> bool:
            about = kind_of(record["name"].partition(":")[0]) in POSTED
            return about and record["event"] in ("running", "stopped")

        yield from alerts.problems(told, history, ended, recoveries=True)
        still = alerts.still_open(told)
        if still:
            yield f"no end of trouble was told of {sorted(still)}"
        yield from alerts.problems(receivers.posted, history, moved)

    def read(self, stage: Stage) -> None:
        """Read all logs; the daemon has ended."""
        self._keepers = stage.counts["keepers killed"]
        problem = history_problem(self._daemon.home)
        if problem:
            stage.found(f"history: {problem}")
        self._lives = lives = rows.lives(self._path)
        events = rows.told(self._events())
        alone = [life for life in lives.values() if kind_of(life.slot[0]) in ALONE]
        for problem in self._ends.look(alone, events):
            stage.found(f"statuses: {problem}")
        by_slot: dict[Slot, set[bytes]] = {}
        for life in lives.values():
            by_slot.setdefault(life.slot, set()).add(life.copy)
        for slot, copies in by_slot.items():
            for problem in self._log(slot, copies):
                stage.found(f"log: {slot}: {problem}")

    def _events(self) -> Iterator[str]:
        for piece in numbers.pieces(self._daemon.home / "log" / "taskmasterd.log"):
            yield from piece.decode("utf-8", "replace").splitlines()

    def _log(self, slot: Slot, copies: set[bytes]) -> Iterator[str]:
        name, index = slot
        log = self._daemon.home / "log" / (f"{name}-{index}.log" if index else f"{name}.log")
        form = FORMS.get(kind_of(name), numbers.RAW)
        found = numbers.read(log, form, self._keepers if form == numbers.TERMINAL else 0)
        self.chunked += found.chunked
        self.rotated += len(list(log.parent.glob(f"{log.name}.*")))
        self.bytes += found.bytes
        self.lost += found.lost
        self.doubled += found.doubled
        yield from found.problems
        for copy in found.cut:
            if copy in self._lives and not (self._mode == "restart" and self._ends.in_gap(self._lives[copy])):
                yield f"{copy.decode()} has a line that is cut"
        for copy in found.counts.keys() - copies:
            yield f"{copy.decode()} has lines, and never began"
        for copy in copies:
            life, lines = self._lives[copy], found.counts.get(copy, 0)
            self.lines_read += lines
            if life.how and lines != life.wrote:
                missing = sum(len(numbers.line(copy, each)) for each in range(lines + 1, life.wrote + 1))
                if self._mode == "restart" and self._ends.in_gap(life) and lines < life.wrote:
                    self.excused += missing
                else:
                    self.lost += missing
                    yield f"{copy.decode()} ended at {life.at:.3f} with {life.how} after {life.wrote} lines, {lines} are there"

    def lines(self) -> Iterator[str]:
        """Yield the summary."""
        ends = self._ends
        yield f"copies: {len(self._lives)}, of which ended by themselves {sum(bool(life.how) for life in self._lives.values())}"
        yield f"ends: {ends.right} told as they were, {ends.unknown} statuses lost; {ends.in_gaps} ends in gaps, {ends.young} of programs too young to be known"
        yield f"event log: {ends.untold} starts without a line, {ends.twice} ends told twice"
        yield f"output: {self.bytes / 1e6:.0f} MB in {self.lines_read} lines and {self.rotated} rotated files"
        yield f"messages: {self.told} told, {self.posted} posted; bytes of terminals that died with keepers: {self.chunked}"
        yield f"bytes lost: {self.lost}, doubled: {self.doubled}; lost with programs that ended while nobody held their pipes: {self.excused}"

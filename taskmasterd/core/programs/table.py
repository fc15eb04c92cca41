"""The process table: every slot of every program, in the order of the file.

It knows how slots are named; `selection` knows what a request means, and `supervisor` what happens to them. An entry that a
reload removed stays until nothing of it is left.
"""

from __future__ import annotations

from taskmaster_common.config import LIVE_OR_NEXT, NEXT, RELOAD_CLASS, RESTART
from taskmaster_common.states import RUNNING, STARTING
from taskmasterd.core.process.counts import DROPPED, NOTHING, with_dropped
from taskmasterd.core.process.state import HEALTHY, Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from taskmaster_common.config import Policy, ProgramConfig
    from taskmaster_common.config.graph import Graph
    from taskmasterd.core.process.counts import Counts
    from taskmasterd.core.process.health import Health
    from taskmasterd.core.programs.overlay import Overlay
    from taskmasterd.core.programs.schedule import Planned

    class Observer(Protocol):
        """Somebody who is shown every change of an entry."""

        def observe(self, entry: Entry, /) -> None:
            """Look at the entry: it has changed."""

        def tried(self, dependency: Entry, /) -> None:
            """A start of something that the entry waits for has failed."""


SKIPS_TOLERATED = 2
"""So many runs in a row of a schedule may be left out; then the job is not as wanted."""
WATCHDOG = "watchdog"
"""The way of `health` that is told to an instance at its start."""


class Entry:
    """One slot: its process, the configuration that is wanted, and the one that its last instance was started with.

    `pending` is what the file has, if an update has not reached the slot: until somebody restarts it, it keeps `wanted`.
    """

    __slots__ = (
        "asking",
        "checked",
        "counts",
        "current",
        "dropped",
        "index",
        "lacks",
        "logging",
        "losses",
        "pending",
        "planned",
        "process",
        "ready_tries",
        "removed",
        "said",
        "tickets",
        "wanted",
        "watching",
    )

    def __init__(self, wanted: ProgramConfig, index: int, process: Process) -> None:
        self.wanted = wanted
        self.index = index
        self.process = process
        self.current: ProgramConfig | None = None
        self.pending: ProgramConfig | None = None
        self.removed = False
        self.tickets: list[Observer] = []
        self.said = ""
        self.ready_tries = 0
        self.checked: Health | None = None
        self.asking = ""
        self.lacks = ""
        self.losses = ""
        self.watching = ""
        self.logging = ""
        self.planned: Planned | None = None
        self.counts: Counts = NOTHING
        self.dropped = 0

    def say(self, text: str, tries: int = 0) -> None:
        """Take what is known of the readiness of the present instance, and how often it was asked, for people."""
        self.said, self.ready_tries = text, tries

    def ask(self, hook: str) -> None:
        """Take the name of the hook that is asked before something is done about the instance, "" once it has answered; for people."""
        self.asking = hook

    def lack(self, text: str, *, losses: str = "", watch: bool = False, logger: bool = False) -> None:
        """Take what of its limits is not in force, and why, "" for nothing, and what it has lost to the others; for people.

        Or why its files are not watched (`watch`), or what is wrong with what reads its output (`logger`).
        """
        if watch:
            self.watching = text
        elif logger:
            self.logging = text
        else:
            self.lacks, self.losses = text, losses

    def check(self, health: Health | None) -> None:
        """Take what is known of the health of the present instance, for people."""
        self.checked = health

    def plan(self, planned: Planned | None) -> None:
        """Take what is known of its next run, for people; None without a schedule."""
        self.planned = planned

    def count(self, counts: Counts) -> None:
        """Take its counters."""
        self.counts = counts

    def lost(self, amount: int) -> None:
        """Count bytes of its output that could not be written."""
        self.dropped += amount

    def settle_losses(self) -> bool:
        """Take the bytes that were lost lately into the counters; return whether there were any, which the state has to know."""
        lost = bool(self.dropped)
        self.counts, self.dropped = self.all_counts, 0
        return lost

    @property
    def all_counts(self) -> Counts:
        """Its counters, with the bytes that were lost lately."""
        return with_dropped(self.counts, int(self.counts[DROPPED]) + self.dropped) if self.dropped else self.counts

    @property
    def health(self) -> Mapping[str, Any]:
        """How its health is checked: what is wanted, but with another watchdog what its instance was started with."""
        wanted, started = self.wanted.health, self.present.health
        return started if wanted.get(WATCHDOG) not in (None, started.get(WATCHDOG)) else wanted

    @property
    def well(self) -> bool:
        """Whether it is as healthy as others may ask: found healthy, or nobody checks it."""
        return self.process.state == RUNNING and (not self.health or self.process.health == HEALTHY)

    def want(self, wanted: ProgramConfig) -> None:
        """Take a configuration: its live keys hold from now on, the others from the next start on."""
        self.wanted = wanted
        self.pending = None

    def pend(self, newest: ProgramConfig) -> None:
        """Keep what is wanted until an update reaches the slot, or somebody restarts it."""
        self.pending = newest if newest != self.wanted else None

    @property
    def newest(self) -> ProgramConfig:
        """What the file has."""
        return self.pending or self.wanted

    @property
    def policy(self) -> Policy:
        """What decides over its process: the live keys of what is wanted."""
        return self.wanted.policy

    @property
    def program(self) -> str:
        """The name of the program."""
        return self.wanted.name

    @property
    def canonical(self) -> str:
        """The name that is always accepted: "web:0"."""
        return f"{self.program}:{self.index}"

    @property
    def present(self) -> ProgramConfig:
        """What the last instance was started with, or what the first one will be."""
        return self.current or self.wanted

    def outdated_keys(self) -> tuple[str, ...]:
        """Return the keys of whose new values the instance that runs or starts knows nothing; () if there is none."""
        newest = self.newest
        if self.current is None or self.current is newest:
            return ()
        if self.process.pid is None or self.process.state not in (STARTING, RUNNING):
            return ()
        keys = of_class(self.current.changed_keys(newest), RESTART, NEXT, LIVE_OR_NEXT)
        later = newest.health.get(WATCHDOG) not in (None, self.current.health.get(WATCHDOG))
        return (*keys, "health") if later else keys


def as_started(entry: Entry) -> ProgramConfig:
    """Return what is wanted as the live instance knows it: with the keys that it was started with."""
    if entry.current is None or entry.process.pid is None:
        return entry.wanted
    keys = of_class(entry.current.changed_keys(entry.wanted), RESTART, NEXT, LIVE_OR_NEXT)
    started_with = {key: entry.current.value(key) for key in keys}
    return entry.wanted.with_keys(**started_with) if started_with else entry.wanted


def is_as_wanted(entry: Entry) -> bool:
    """Return whether a process is in its wanted state, and its schedule does not leave out one run after the other."""
    return entry.process.as_wanted and not (entry.planned and entry.planned.skipped > SKIPS_TOLERATED)


def of_class(keys: Iterable[str], *classes: str) -> tuple[str, ...]:
    """Return those of some keys that a reload applies in one of these ways."""
    return tuple(key for key in keys if RELOAD_CLASS.get(key) in classes)


class Table:
    """All entries, by program and index. `graph` has the edges, None where no program depends on another.

    `rolling` are the programs whose instances are being replaced one after the other. `overlay` is what operators have laid over
    the file, None for nothing.
    """

    def __init__(self) -> None:
        self.rolling: set[str] = set()
        self.graph: Graph | None = None
        self.overlay: Overlay | None = None
        self._programs: dict[str, dict[int, Entry]] = {}
        self.groups: Mapping[str, tuple[str, ...]] = {}

    def __iter__(self) -> Iterator[Entry]:
        for slots in self._programs.values():
            yield from slots.values()

    def __len__(self) -> int:
        return sum(map(len, self._programs.values()))

    def add(self, entry: Entry) -> None:
        """Take in a slot; there must be none of that program and index."""
        slots = self._programs.setdefault(entry.program, {})
        in_order = not slots or entry.index > next(reversed(slots))
        slots[entry.index] = entry
        if not in_order:
            self._programs[entry.program] = dict(sorted(slots.items()))

    def discard(self, entry: Entry) -> None:
        """Forget a slot of which nothing is left."""
        slots = self._programs.get(entry.program, {})
        if slots.get(entry.index) is entry:
            del slots[entry.index]
            if not slots:
                del self._programs[entry.program]

    def slots(self, program: str) -> tuple[Entry, ...]:
        """Return the entries of a program, those that are being removed too, in the order of their index."""
        return tuple(self._programs.get(program, {}).values())

    def slot(self, program: str, index: int) -> Entry | None:
        """Return one entry, None where there is none."""
        return self._programs.get(program, {}).get(index)

    def use_groups(self, groups: Mapping[str, tuple[str, ...]]) -> None:
        """Take the programs of each group: from now on a group's name selects them."""
        self.groups = groups

    def only(self, seen: Callable[[str], bool]) -> Table:
        """Return a table with the programs of which `seen(name)` is true, as it is now, and the groups that have one of them."""
        part = Table()
        part.rolling, part.graph = self.rolling, self.graph
        part.overlay = self.overlay and self.overlay.only(seen)
        part._programs = {name: slots for name, slots in self._programs.items() if seen(name)}
        members = {name: tuple(filter(seen, programs)) for name, programs in self.groups.items()}
        part.groups = {name: programs for name, programs in members.items() if programs}
        return part

    def lay_over(self, overlay: Overlay) -> None:
        """Take what operators have laid over the file, for those who are shown programs."""
        self.overlay = overlay if overlay.overrides or overlay.scales else None

    def knows(self, program: str) -> bool:
        """Return whether there is such a program; one that was scaled to 0 has no slots."""
        return program in self._programs or (self.overlay is not None and program in self.overlay.scales)

    def names(self) -> tuple[str, ...]:
        """Return the programs, in order."""
        return tuple(self._programs)

    def order(self, names: Iterable[str]) -> None:
        """Put the programs into the order of `names`; others go to the end."""
        ordered = dict.fromkeys(name for name in names if name in self._programs)
        ordered.update(dict.fromkeys(self._programs))
        self._programs = {name: self._programs[name] for name in ordered}

    def name(self, entry: Entry) -> str:
        """Return the shown name: the program's where the slot is alone and has number 0, else with the number.

        One that is removed with others keeps its number when it is the last of them.
        """
        alone = entry.index == 0 and len(self._programs.get(entry.program, ())) <= 1
        alone = alone and not (entry.removed and entry.wanted.numprocs > 1)
        return process_name(entry.program, entry.index, alone)


def process_name(program: str, index: int, alone: bool) -> str:
    """Return the name of an instance in messages: `web` if it is `alone`, else `web:0`, `web:1`, ..."""
    return program if alone else f"{program}:{index}"

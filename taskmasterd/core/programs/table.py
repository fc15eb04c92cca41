"""The process table: every slot of every program, in the order of the file.

It knows how slots are named and selected; what happens to them is `supervisor`'s. An entry that a reload removed stays
until nothing of it is left.
"""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.text.names import ALL, Pattern, instance_meant, is_pattern, nearest, process_name, ranges
from taskmasterd.core.process.machine import Process
from taskmasterd.core.steps import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    from taskmaster_common.config import Policy, ProgramConfig
    from taskmasterd.core.steps import Steps

    class Observer(Protocol):
        """Somebody who is shown every change of an entry."""

        def observe(self, entry: Entry, /) -> None:
            """Look at the entry: it has changed."""


MOST_PATTERNS = 32
"""So many different patterns one request may hold: each is held against every name."""
TARGETS_A_STEP = PROGRAMS_A_STEP = 100
ENTRIES_A_STEP = 500


class Entry:
    """One slot: its process, the configuration that is wanted, and the one that its last instance was started with."""

    __slots__ = ("current", "index", "process", "removed", "tickets", "wanted")

    def __init__(self, wanted: ProgramConfig, index: int, process: Process) -> None:
        self.wanted = wanted
        self.index = index
        self.process = process
        self.current: ProgramConfig | None = None
        self.removed = False
        self.tickets: list[Observer] = []

    def want(self, wanted: ProgramConfig) -> None:
        """Take a configuration: its live keys hold from now on, the others from the next start on."""
        self.wanted = wanted

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


class Table:
    """All entries, by program and index."""

    def __init__(self) -> None:
        self._programs: dict[str, dict[int, Entry]] = {}

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

    def names(self) -> tuple[str, ...]:
        """Return the programs, in order."""
        return tuple(self._programs)

    def order(self, names: Iterable[str]) -> None:
        """Put the programs into the order of `names`; others go to the end."""
        ordered = dict.fromkeys(name for name in names if name in self._programs)
        ordered.update(dict.fromkeys(self._programs))
        self._programs = {name: self._programs[name] for name in ordered}

    def name(self, entry: Entry) -> str:
        """Return the shown name: the program's where the slot is alone and has number 0, else with the number."""
        alone = entry.index == 0 and len(self._programs.get(entry.program, ())) <= 1
        return process_name(entry.program, entry.index, alone)

    def select(self, targets: Sequence[str], unknown_exit: int) -> tuple[Entry, ...]:
        """Return the entries that the targets name, each once, in the order of the targets.

        `web` is every instance of the program, `web:1` one, patterns match programs and canonical names, `all` everything.
        Raises RequestError "unknown-name" with `unknown_exit` when a target names nothing, "usage" for too many patterns.
        """
        return run(self.selecting(targets, unknown_exit))

    def selecting(self, targets: Sequence[str], unknown_exit: int) -> Steps[tuple[Entry, ...]]:
        """Select in steps, for who has no time to do it at once; entries may leave the table meanwhile."""
        distinct = tuple(dict.fromkeys(targets))
        if sum(map(is_pattern, distinct)) > MOST_PATTERNS:
            raise RequestError("usage", f"a request holds at most {MOST_PATTERNS} patterns", 2)
        chosen: dict[Entry, None] = {}
        for number, target in enumerate(distinct):
            if number % TARGETS_A_STEP == 0:
                yield
            found: Sequence[Entry]
            if target == ALL:
                found = tuple(self)
            else:
                found = (yield from self._matched_by(Pattern(target))) if is_pattern(target) else self._named(target)
            if not found and target != ALL:
                raise self._unknown(target, unknown_exit)
            chosen.update(dict.fromkeys(found))
        return tuple(chosen)

    def _named(self, target: str) -> tuple[Entry, ...]:
        program, colon, index = target.partition(":")
        if not colon:
            return self.slots(program)
        slot = self._programs.get(program, {}).get(int(index)) if index.isdecimal() and len(index) < 9 else None
        return (slot,) if slot and index == str(slot.index) else ()

    def _matched_by(self, pattern: Pattern) -> Steps[list[Entry]]:
        found: list[Entry] = []
        for number, (program, slots) in enumerate(tuple(self._programs.items())):
            if number % PROGRAMS_A_STEP == 0:
                yield
            chosen = pattern.instances(program)
            entries = tuple(slots.values()) if chosen else ()
            for first in range(0, len(entries), ENTRIES_A_STEP):
                some = entries[first : first + ENTRIES_A_STEP]
                found += [entry for entry in some if chosen is True or (chosen and chosen(entry.index))]
                yield
        return found

    def _unknown(self, target: str, exit_code: int) -> RequestError:
        program, colon, _ = target.partition(":")
        if is_pattern(target):
            return RequestError("unknown-name", f'no program matches "{target}"', exit_code)
        message = f'no process named "{target}"' if colon else f'no program named "{target}"'
        meant = instance_meant(target)
        if meant and self.slot(*meant):
            return RequestError("unknown-name", f"{message}; did you mean {meant[0]}:{meant[1]}?", exit_code)
        named = program if colon else meant[0] if meant else ""
        if named in self._programs:
            there = ranges(named, [entry.index for entry in self.slots(named)])
            return RequestError("unknown-name", f"{message}; {named} has {there}", exit_code)
        near = nearest(program, self._programs)
        return RequestError(
            "unknown-name",
            f'no program named "{target}"' + (f"; did you mean {near}?" if near else ""),
            exit_code,
            () if near else ("if it is new in the configuration: run `reload` first",),
        )

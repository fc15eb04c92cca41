"""Which rows there are, in which order, and which of them is selected. Pure.

A row is known by its name: (program,) for a program with several processes, (program, instance) for a process, and (program,
instance, pid) for what belongs to one. The selection is such a name, so no sorting, arrival or removal moves it to another row.
"""

from __future__ import annotations

from taskmaster_common.commands.table import LOOK, at_least
from taskmaster_common.text.patterns import Pattern, Targets, is_pattern, ungrouped
from taskmasterctl.top.samples import Samples
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    Message = Mapping[str, Any]
    Key = tuple[str, int]
    Name = tuple[Any, ...]

SORTS = ("name", "state", "cpu", "mem", "uptime", "restarts")
BADNESS = {"FATAL": 0, "BACKOFF": 1, "EXITED": 2, "STOPPING": 3, "STARTING": 4, "RUNNING": 5, "STOPPED": 6}
"""The order of states, the worst first; EXITED as wanted comes last."""
STATE_WORD = "state:"
A_PROCESS = 2
"""Length of the name of a process."""


class Listing:
    """All processes that were asked for, and how somebody looks at them. `targets` () means all.

    `chosen`: somebody has pressed a key; before that the first row is the selected one, whichever it is.
    """

    def __init__(self, targets: Sequence[str] = (), sort: str = SORTS[0]) -> None:
        self.samples = Samples()
        self.processes: dict[Key, Message] = {}
        self.trees: Mapping[Key, Sequence[Message]] = {}
        self.sort = sort
        self.filter = ""
        self.open: set[Name] = set()
        self.marked: set[Name] = set()
        self.selected: Name = ()
        self.names: list[Name] = []
        self._targets = tuple(targets)
        self._programs: dict[str, list[Key]] = {}
        self.chosen = False
        self.pid_width = 0
        self._at = 0
        self._first = 0

    # -- what there is

    def update(self, processes: Iterable[Message], groups: Mapping[str, Sequence[str]]) -> None:
        """Take the present processes, in the daemon's order."""
        wanted = Targets(ungrouped(self._targets or ("all",), groups))
        self.processes = {
            (each["program"], each["instance"]): each
            for each in processes
            if wanted.select(each["program"], each["instance"])
        }
        self._programs = {}
        for key in self.processes:
            self._programs.setdefault(key[0], []).append(key)
        self.pid_width = len(str(max((each["pid"] or 0 for each in self.processes.values()), default=0)))
        self.marked = {name for name in self.marked if self.exists(name)}
        self.arrange()

    def arrange(self) -> None:
        """Put the rows in order: after a sample, or another sort, filter or fold."""
        allowed = _filter_of(self.filter)
        names: list[Name] = []
        groups = [
            (program, [key for key in keys if allowed(self.processes[key])]) for program, keys in self._programs.items()
        ]
        for program, keys in sorted((each for each in groups if each[1]), key=lambda each: self._rank(*each)):
            if len(self._programs[program]) == 1:
                names += self._process(keys[0])
                continue
            names.append((program,))
            if (program,) in self.open:
                for key in sorted(keys, key=lambda key: self._rank(program, [key])):
                    names += self._process(key)
        self.names = names
        self._keep_selection()

    def _process(self, key: Key) -> list[Name]:
        members = self.trees.get(key, ()) if key in self.open else ()
        return [key, *((*key, each["pid"]) for each in members)]

    def _rank(self, program: str, keys: Sequence[Key]) -> tuple[Any, ...]:
        """Return what rows are sorted by: the largest first, but names and states in their order."""
        last = (program, min(instance for _, instance in keys))
        if self.sort == "cpu":
            return (-(self.samples.cpu(keys) or 0.0), *last)
        if self.sort == "mem":
            return (-(self.samples.memory(keys) or 0), *last)
        if self.sort == "uptime":
            return (-max(self.processes[key].get("uptime_s") or 0.0 for key in keys), *last)
        if self.sort == "restarts":
            return (-sum(self.processes[key].get("restarts") or 0 for key in keys), *last)
        if self.sort == "state":
            return (min(badness(self.processes[key]) for key in keys), *last)
        return last

    def keys_of(self, name: Name) -> list[Key]:
        """Return the processes that a row stands for."""
        if len(name) == 1:
            return self._programs.get(name[0], [])
        key: Key = (name[0], name[1])
        return [key] if key in self.processes else []

    def exists(self, name: Name) -> bool:
        """Return whether the process or program of a row is still in the configuration."""
        return bool(self.keys_of(name))

    def text_of(self, name: Name) -> str:
        """Return the name that the daemon knows a row by, also after its removal."""
        if len(name) == 1 or (name[0], name[1]) not in self.processes:
            return name[0] if len(name) == 1 else f"{name[0]}:{name[1]}"
        return str(self.processes[name[0], name[1]]["name"])

    # -- what is selected

    def targets(self) -> list[Name]:
        """Return the rows that an action is for: the marked ones, or else the selected one."""
        if self.marked:
            return [name for name in self.names if name in self.marked] + sorted(self.marked - {*self.names}, key=str)
        return [self.selected[:A_PROCESS]] if self.selected else []

    def lacks(self, level: str) -> str:
        """Return the first process that an action is for and on which we lack a level, with what we have: `web:0: you have look`."""
        for name in self.targets():
            for key in self.keys_of(name):
                has = self.processes[key].get("may")
                if has is not None and not at_least(has or LOOK, level):
                    return f"{clean(self.processes[key]['name'])}: needs {level}; you have {clean(has)}"
        return ""

    def move(self, by: int) -> None:
        """Select the row that is so many below, or above if negative."""
        if self.names:
            at = self.names.index(self.selected) + by if self.selected in self.names else self._at
            self.select(at)

    def select(self, at: int) -> None:
        """Select the row at a place, the nearest one if there is none."""
        if self.names:
            self._at = min(max(0, at), len(self.names) - 1)
            self.selected = self.names[self._at]

    def mark(self) -> None:
        """Mark the selected row, or take its mark away, and go on to the next one."""
        name = self.selected[:A_PROCESS]
        if name:
            self.marked ^= {name}
            self.move(1)

    def fold(self) -> None:
        """Open or close the selected row; on what belongs to a process: close that process."""
        name = self.selected[:A_PROCESS]
        if name:
            self.open ^= {name}
            if name not in self.open:
                self.selected = name
            self.arrange()

    def next_sort(self) -> None:
        """Sort by the next column."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.arrange()

    def use_filter(self, text: str) -> None:
        """Show only what matches: names or patterns, `state:` with the beginning of a state. What nobody sees is not selected."""
        self.filter = text
        self.arrange()
        if self.selected not in self.names:
            self.selected = ()
            self.select(0)

    def _keep_selection(self) -> None:
        """Let the selection stay with its name, or with the row that it was folded into; nothing else takes its place."""
        if not (self.selected and self.chosen):
            self.select(0)
            return
        name = self.selected
        while len(name) > 1 and name not in self.names and name[:-1] in self.names:
            name = name[:-1]
        if name in self.names:
            self.selected, self._at = name, self.names.index(name)

    def visible(self, height: int) -> list[Name]:
        """Return the rows to show in so many lines: the selected one is among them."""
        last = max(0, len(self.names) - height)
        if self._at < self._first:
            self._first = self._at
        elif self._at >= self._first + height:
            self._first = self._at - height + 1
        self._first = min(self._first, last)
        return self.names[self._first : self._first + height]


def badness(process: Message) -> int:
    """Return the place of a process in the order of states."""
    if process["state"] == "EXITED" and process.get("wanted", True):
        return BADNESS["STOPPED"]
    if not process.get("wanted", True) and process["state"] == "RUNNING":
        return BADNESS["EXITED"]
    return BADNESS.get(process["state"], len(BADNESS))


def _filter_of(text: str) -> Any:
    """Return which processes match: in each word of `state:` the state, and of the other words at least one."""
    states = [word[len(STATE_WORD) :].upper() for word in text.split() if word.startswith(STATE_WORD)]
    words = [word for word in text.split() if not word.startswith(STATE_WORD)]
    patterns = [Pattern(word if is_pattern(word) else f"*{word}*") for word in words]

    def allowed(process: Message) -> bool:
        if states and not any(process["state"].startswith(state) for state in states):
            return False
        return not patterns or any(each.selects(process["program"], process["instance"]) for each in patterns)

    return allowed

"""A configuration that is being made: sections with keys, comments and what the report says of them. Pure.

A value is a bool, a number, a text as Taskmaster expands it, `Plain`, a list or a dict; `blocks` of programs keep the
order of the input. What cannot run without something that was dropped is `dead`: it is written as a comment.
"""

from __future__ import annotations

from taskmaster_common.config.keys import PROGRAM
from taskmaster_common.text.names import name_problem
from taskmaster_common.text.units import MAX_SECONDS
from taskmasterctl.convert.outcome.texts import INSTANCE, rendered, variable
from taskmasterctl.convert.report import CHANGED, DROPPED, IGNORED, Problem, Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from taskmasterctl.convert.report import LossReport


class Plain(str):
    """A text that needs no quotes: `027`, `10MiB`."""

    __slots__ = ()


class Block:
    """One mapping of the outcome: `taskmasterd:`, `defaults:` or a program. `remarks` stand above it, or above a key.

    `logs_by_default`: a stream of the program goes to the default log. `places`: where in the input a key comes from.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[str, Any] = {}
        self.above: list[str] = []
        self.remarks: dict[str, list[str]] = {}
        self.dead = False
        self.logs_by_default = False
        self.places: dict[str, Where] = {}

    def set(self, key: str, value: Any) -> None:
        """Set a key."""
        self.keys[key] = value

    def remark(self, text: str, key: str = "") -> None:
        """Write a comment above the block, or above a key of it."""
        lines = self.remarks.setdefault(key, []) if key else self.above
        if text not in lines:
            lines.append(text)


class Draft:
    """The configuration: what it was made from (`sources`, `kind`), how it starts, and its sections."""

    def __init__(self, kind: str, report: LossReport) -> None:
        self.kind = kind
        self.report = report
        self.sources: list[str] = []
        self.foreground = False
        self.secret = False
        self.daemon = Block("taskmasterd")
        self.defaults = Block("defaults")
        self.groups: dict[str, list[str]] = {}
        self.programs: list[Block] = []
        self._names: set[str] = set()
        self._groups: dict[str, str] = {}

    # -- names

    def program(self, wanted: str) -> tuple[Block, str]:
        """Add a program; return it and why it has another name than the wanted one, or ""."""
        name = self.free_name(wanted)
        block = Block(name)
        self.programs.append(block)
        reason = name_problem(wanted) or "the name is taken"
        return block, "" if name == wanted else reason

    def free_name(self, wanted: str) -> str:
        """Return the nearest name that Taskmaster allows and that is not taken, and take it."""
        name = _allowed(wanted)
        number = 1
        while name in self._names or name_problem(name):
            number += 1
            name = f"{_allowed(wanted)[:90]}-{number}"
        self._names.add(name)
        return name

    def group(self, wanted: str) -> tuple[str, str]:
        """Return the name of a group, and why it has another one than the wanted one, or "": once for each group."""
        if wanted in self._groups:
            return self._groups[wanted], ""
        name = self._groups[wanted] = self.free_name(wanted)
        self.groups[name] = []
        return name, "" if name == wanted else name_problem(wanted) or "a program has its name"

    def living(self) -> list[Block]:
        """Return the programs that are written as programs."""
        return [each for each in self.programs if not each.dead]

    # -- what became of an option

    def carried(self, count: int = 1) -> None:
        """Count options that mean exactly the same."""
        self.report.carried += count

    def drop(self, at: Where, text: str, instead: str = "", *, on: Block | None = None, key: str = "") -> None:
        """Report an option that is not carried."""
        self._tell(Problem(at, DROPPED, text, instead, key), on)

    def change(self, at: Where, text: str, instead: str = "", *, on: Block | None = None, key: str = "") -> None:
        """Report an option that is carried and behaves otherwise."""
        self._tell(Problem(at, CHANGED, text, instead, key), on)

    def ignore(self, at: Where, text: str, instead: str = "", *, on: Block | None = None, key: str = "") -> None:
        """Report an option that had no effect before either."""
        self._tell(Problem(at, IGNORED, text, instead, key), on)

    def _tell(self, problem: Problem, on: Block | None) -> None:
        self.report.add(problem)
        if on is not None:
            on.remark(problem.comment, problem.key if problem.key in on.keys else "")

    def finish(self) -> None:
        """Put right what can be seen only in the whole: logs of two programs, groups of what does not run, names of variables."""
        for block in self.living():
            self._bound(block)
        for block in (self.daemon, *self.living()):
            for name in ("stdout", "stderr", "logfile", "pidfile", "log_dir", "socket"):
                path = block.keys.get(name)
                if isinstance(path, str) and path and "/" not in path and not (path[0].isalnum() or path[0] in "._$"):
                    block.set(name, f"./{path}")  # `-` and `|` are words of other tools
        self._separate_logs()
        alive = {each.name for each in self.living()}
        self.groups = {name: [each for each in members if each in alive] for name, members in self.groups.items()}
        self.groups = {name: members for name, members in self.groups.items() if members}
        for block in (self.defaults, *self.living()):
            for name in [each for each in block.keys.get("env", ()) if not each or "=" in each]:
                del block.keys["env"][name]
                place = Where(self.sources[0], 0, block.name, "env", name)
                self.drop(place, "no variable can have this name", on=block, key="env")

    def _bound(self, block: Block) -> None:
        """Bring numbers into the bounds of their keys; what has no instance is no program."""
        if block.keys.get("numprocs") == 0:
            self.ignore(Where(self.sources[0], 0, block.name, "numprocs", "0"), "nothing of it runs", on=block)
            self.kill(block)
        for key in PROGRAM:
            value = block.keys.get(key.name)
            if isinstance(value, str) and not key.varies and rendered(variable(INSTANCE)) in value and not block.dead:
                del block.keys[key.name]
                place = Where(self.sources[0], 0, block.name, key.name, value)
                self.drop(place, "it is the same for all instances", on=block)
            if isinstance(value, bool) or not isinstance(value, int | float) or key.kind not in ("whole", "seconds"):
                continue
            most = MAX_SECONDS if key.kind == "seconds" else key.most
            bounded = min(max(value, key.least), most)
            if bounded != value and not block.dead:
                block.set(key.name, bounded)
                place = Where(self.sources[0], 0, block.name, key.name, str(value))
                self.change(place, f"it is between {key.least} and {most}", on=block, key=key.name)

    def _separate_logs(self) -> None:
        """Give each program a log of its own where other tools let several write to one."""
        owners: dict[str, str] = {}
        for block in self.living():
            for key in ("stdout", "stderr"):
                path = block.keys.get(key)
                if not isinstance(path, str) or "/" not in path or owners.setdefault(path, block.name) == block.name:
                    continue
                block.set(key, _own_path(path, block.name))
                text = f"{owners[path]} writes there too, and each program has a file of its own here"
                if key in block.places:
                    self.report.carried -= 1
                    self.change(block.places[key], text, on=block, key=key)

    def kill(self, block: Block) -> None:
        """Have a program written as a comment."""
        block.dead = True

    # -- counts

    def processes(self) -> int:
        """Return the number of processes, as far as it does not depend on a variable."""
        counts: Iterable[Any] = (each.keys.get("numprocs", 1) for each in self.living())
        return sum(count if isinstance(count, int) else 1 for count in counts)


def _allowed(name: str) -> str:
    made = "".join(character if not name_problem(f"x{character}") else "-" for character in name.strip())[:90]
    return made.lstrip("-.") or "program"


def _own_path(path: str, name: str) -> str:
    """Return a path with the name of a program before its suffix."""
    head, slash, last = path.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    return f"{head}{slash}{stem}.{name}.{suffix}" if dot and stem else f"{path}.{name}"

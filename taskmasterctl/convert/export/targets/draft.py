"""One program on its way to a target: what was said about it, and the rows by which each key is carried. Pure.

A target has one row for each key of a program. A row says for the documentation what becomes of the key, and carries it: it
writes to the draft, or says what is lost. Every key has a row in every target; a test holds that.
"""

from __future__ import annotations

from taskmaster_common.config import KIND
from taskmaster_common.config.graph import edge_of
from taskmaster_common.config.written import in_one_line, written_edges
from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_size, signal_name
from taskmasterctl.convert.export.targets.source import KEYS, readable, variables_in
from taskmasterctl.convert.report import CHANGED, DROPPED, Problem, Where
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.config.graph import Edge
    from taskmasterctl.convert.export.targets.source import ExportSource

MOST_SHOWN = 60
"""Most characters of a value in a line."""


NOT_SHOWN = ("env", "rlimits", "limits", "sockets")
"""Keys whose values may be secret, or are no text that one writes."""


class ExportContext(Record):
    """What all programs of one export share.

    `sources` are the programs that are exported, by name, `others` the names of those that are not. `find(word, PATH, directory)`
    returns the file that a command's first word stands for, "" where it is not found. `settings` are the values of --set.
    `environment` has the values of the variables in the file. `names` are those that the programs have in the target, where
    that has names of its own.
    """

    daemon: DaemonConfig
    sources: Mapping[str, ExportSource]
    groups: Mapping[str, tuple[str, ...]]
    signals: Mapping[str, int]
    environment: Mapping[str, str]
    find: Callable[[str, str, str], str]
    settings: Mapping[str, str] = {}
    directory: str = "/"
    file: str = ""
    names: Mapping[str, str] = {}


class TargetDraft:
    """What is written of one program, and what was said about it. `secret`: it holds a value that others may not read."""

    def __init__(self, source: ExportSource, context: ExportContext) -> None:
        self.source = source
        self.context = context
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.secret = any(
            value and is_secret(name) for name, value in source.config.env.items() if isinstance(value, str)
        )
        self._valued: set[str] = set()

    def value(self, key: str) -> Any:
        """Return the value of a key; say once that it has the values of variables, where it has."""
        opened = self.source.opened(key)
        found = [*dict.fromkeys(variables_in(opened))]
        if found and key not in self._valued:
            self._valued.add(key)
            self.hold(*found)
            names = ", ".join(f"${{{name}}}" for name in found)
            self.changed(key, f"{names} has the value of this environment: nothing puts it in there", shown=False)
        return self.source.value(key)

    def hold(self, *variables: str) -> None:
        """Note that the value of each of these variables stands in what is written."""
        self.secret = self.secret or any(map(is_secret, variables))

    def changed(self, key: str, text: str, instead: str = "", *, shown: bool = True) -> None:
        """Say that a key is carried and behaves otherwise."""
        self._say(CHANGED, key, text, instead, shown=shown)

    def dropped(self, key: str, text: str, instead: str = "") -> None:
        """Say that a key is not carried."""
        self._say(DROPPED, key, text, instead)

    def variables(self, of_file: Callable[[str, str], None]) -> Iterator[tuple[str, str | None]]:
        """Yield the variables of `env`; give those whose value stands in a file to `of_file`, with its path."""
        for name, value in self.value("env").items():
            if isinstance(value, dict):
                of_file(name, str(value["file"]))
            else:
                yield name, value

    def of_file(self, name: str, path: str) -> None:
        """Say that a variable is lost whose value stands in a file."""
        self.dropped("env", f"{name} has the value that {path} holds at each start, and nothing reads it there")

    def note(self, text: str) -> None:
        """Say what is true of many programs."""
        if text not in self.notes:
            self.notes.append(text)

    def _say(self, word: str, key: str, text: str, instead: str, *, shown: bool = True) -> None:
        places = self.source.places
        file, line = places.get(key) or places.get("") or (self.context.file, 0)
        value = self.shown(key) if shown else ""
        place = Where(file, line, f"programs.{self.source.program or self.source.name}", key, value)
        self.problems.append(Problem(place, word, text, instead, key))

    def shown(self, key: str) -> str:
        """Return a value for a line, "" for one that takes more than a line, or may be secret."""
        if key not in KIND:
            return ""
        value, kind = self.source.opened(key), KIND[key]
        if key in NOT_SHOWN or isinstance(value, dict):
            return ""
        if key == "depends_on":
            return _shortened(in_one_line(written_edges(value)))
        return _shortened(readable(_text(value, kind, self.context.signals)))

    def comments(self) -> Iterator[str]:
        """Yield what was said, for the outcome."""
        return (problem.comment for problem in self.problems)

    def needs(self) -> Iterator[tuple[Edge, str, int | None, ExportSource | None]]:
        """Yield the edges of `depends_on` program by program: the edge, the name, the instance, the program where it is exported."""
        seen: set[tuple[str, int | None]] = set()
        for edge in map(edge_of, self.source.config.policy.depends_on):
            program, _, digits = edge.name.partition(":")
            index = int(digits) if digits else None
            for name in self.context.groups.get(program, (program,)):
                if name != self.source.name and (name, index) not in seen:
                    seen.add((name, index))
                    yield edge, name, index, self.context.sources.get(name)


class KeyRow(Record):
    """How a target carries one key: `becomes` for the documentation, `carry` writes it or says what is lost."""

    becomes: str
    carry: Callable[[Any], None]


KeyRows = dict[str, KeyRow]


def carry(draft: TargetDraft, rows: Mapping[str, KeyRow]) -> int:
    """Carry every key by its row; return how many of those that the file has were carried exactly."""
    for key in sorted(KEYS, key=lambda name: name == "env"):  # last: commands may need variables
        row_of(rows, key).carry(draft)
    lost = {problem.key for problem in draft.problems}
    return sum(key not in lost for key in KEYS if key in draft.source.written)


def row_of(rows: Mapping[str, KeyRow], key: str) -> KeyRow:
    """Return the row of a key; one that the target does not know yet is said to be dropped."""
    return rows.get(key) or lost(key, "this export does not know it")


def lost(key: str, text: str, instead: str = "", becomes: str = "dropped") -> KeyRow:
    """Return the row of a key that the target does not have; it says so where the file says something else than the default."""

    def say(draft: TargetDraft) -> None:
        if draft.source.differs(key):
            draft.dropped(key, text, instead)

    return KeyRow(becomes, say)


def silent(becomes: str) -> KeyRow:
    """Return the row of a key that another row carries, or that is true in the target by itself."""
    return KeyRow(becomes, lambda _: None)


def wanted(source: ExportSource) -> bool:
    """Return whether a program is to be up by itself."""
    return source.config.autostart and bool(source.optional("enabled", True))


def plain_seconds(value: float) -> str:
    """Return seconds as a decimal number without an exponent: 5, 0.5."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _text(value: Any, kind: str, signals: Mapping[str, int]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "octal":
        return f"0{value:o}"
    if kind == "seconds":
        return plain_seconds(value)
    if kind == "size":
        return format_size(value)
    if kind == "signal":
        return signal_name(value, signals)
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value)) if kind != "hook" else " ".join(map(str, value[3:]))
    return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"

"""Problems and warnings of a configuration, as the finished lines that users read.

`file:line:column: error: place: reason` with the source line below it, so that editors jump there. The same reason at
the same position is reported once: a mistake in `defaults:` or under an anchor is one mistake, however many programs
use it.

Each text has a public twin for the event log and for clients that may not see values of env. The twin has no source
line; if its reason could contain a value of env, it names only the place. A check that quotes no value says so (`no_value`).
"""

from __future__ import annotations

from taskmaster_common.config import DAEMON_KEYS, PROGRAM_KEYS
from taskmaster_common.errors import ConfigError

MAX_PROBLEMS = 1000
MAX_SHOWN_LINE = 160
MAX_SHOWN_VALUE = 60
MAX_SHOWN_REASON = 500
"""Longest reason in a public twin below `env`, characters: it has a path, and all of them go to the event log."""
HIDDEN = "something is wrong here; `taskmasterd -t -c FILE` shows it to root and the daemon's user"
NOT_YAML = "not YAML"
ENV = "env"
OF_PROGRAMS = ("programs", "templates", "defaults")
KNOWN_KEYS = frozenset((*PROGRAM_KEYS, *DAEMON_KEYS)) - {ENV}

Texts = dict[tuple[int, int, int, str], tuple[str, str]]
"""The whole text and its public twin, by position and reason."""


class Source:
    """One file: its name in messages, its text, and its number in the order of reading."""

    __slots__ = ("_lines", "order", "shown", "text")

    def __init__(self, shown: str, text: str, order: int = 0) -> None:
        self.shown = shown
        self.text = text
        self.order = order
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        """Return a line of the file, counted from 0, split where YAML 1.1 splits; "" beyond the end."""
        if self._lines is None:
            text = self.text.replace("\r\n", "\n")
            for other in "\r\x85\u2028\u2029":
                text = text.replace(other, "\n")
            self._lines = text.split("\n")
        return self._lines[number] if 0 <= number < len(self._lines) else ""


class Position:
    """A place in a file; line and column are counted from 0."""

    __slots__ = ("column", "line", "source")

    def __init__(self, source: Source, line: int, column: int) -> None:
        self.source = source
        self.line = line
        self.column = column


class Report:
    """Collects problems and warnings."""

    def __init__(self) -> None:
        self._problems: Texts = {}
        self._warnings: Texts = {}
        self._said: set[str] = set()

    @property
    def is_bad(self) -> bool:
        """Whether there is a problem."""
        return bool(self._problems)

    def is_first(self, topic: str) -> bool:
        """Return whether this is the first call for the topic: some hints are given once."""
        first = topic not in self._said
        self._said.add(topic)
        return first

    def error(
        self,
        at: Position,
        place: str,
        reason: str,
        first: Position | None = None,
        example: tuple[str, ...] = (),
        *,
        no_value: bool = False,
    ) -> None:
        """Add a problem; `first` is a second position to show, `example` are lines that show how to write it.

        `no_value`: place and reason contain no value of env, so everybody may read them.

        Raises ConfigError if there are too many.
        """
        lines = [_heading(at, "error", place, reason)]
        if first is not None and (first.line, first.source) != (at.line, at.source):
            lines.extend(_excerpt(first, with_file=first.source is not at.source))
        lines.extend(_excerpt(at))
        lines.extend(visible(f"        {line}") for line in example)
        public = _heading(at, "error", *(_short(place, reason) if no_value else _public(place, reason)))
        self._problems.setdefault(_key(at, reason), ("\n".join(lines), public))
        if len(self._problems) >= MAX_PROBLEMS:
            more = f"{at.source.shown}: error: too many problems; the rest is not listed"
            raise ConfigError((*_sorted(self._problems, 0), more), (*_sorted(self._problems, 1), more))

    def file_error(self, shown: str, reason: str, order: int = 0) -> None:
        """Add a problem of a whole file."""
        self._problems.setdefault((order, -1, -1, f"{shown}: {reason}"), _of_file(shown, "error", reason))

    def warn(self, at: Position, place: str, reason: str, *, no_value: bool = False) -> None:
        """Add a warning, `no_value` as in `error`; after MAX_PROBLEMS they are dropped."""
        if len(self._warnings) < MAX_PROBLEMS:
            lines = [_heading(at, "warning", place, reason), *_excerpt(at)]
            public = _heading(at, "warning", *(_short(place, reason) if no_value else _public(place, reason)))
            self._warnings.setdefault(_key(at, reason), ("\n".join(lines), public))

    def warn_file(self, shown: str, reason: str, order: int = 0) -> None:
        """Add a warning about a whole file."""
        self._warnings.setdefault((order, -1, -1, f"{shown}: {reason}"), _of_file(shown, "warning", reason))

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings in the order of the files."""
        return _sorted(self._warnings, 0)

    def public_warnings(self) -> tuple[str, ...]:
        """Return the public twins of the warnings."""
        return _sorted(self._warnings, 1)

    def check(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        if self._problems:
            raise ConfigError(_sorted(self._problems, 0), _sorted(self._problems, 1))


def _sorted(texts: Texts, which: int) -> tuple[str, ...]:
    return tuple(both[which] for _, both in sorted(texts.items()))


def _of_file(shown: str, severity: str, reason: str) -> tuple[str, str]:
    return visible(f"{shown}: {severity}: {reason}"), visible(f"{shown}: {severity}: {_public('', reason)[1]}")


def _public(place: str, reason: str) -> tuple[str, str]:
    """Return the public form of a problem: its reason is hidden if it may quote a piece of env.

    Such pieces appear if the file is not YAML, in unknown names (a line of a text that is indented wrongly), and under
    anchors. Values of known keys are public, as in `show`.
    """
    section, _, below = place.partition(".")
    key = place.rpartition(".")[2]
    if section in ("groups", "alerts") or (section in ("programs", "templates") and "." not in below):
        return section, HIDDEN if '"' in reason else reason
    if section in (*OF_PROGRAMS, "taskmasterd") and ENV not in below.split("."):
        return (place, reason) if key in KNOWN_KEYS or not below else (section, HIDDEN)
    if section in OF_PROGRAMS:
        return place[: f"{place}.".index(f".{ENV}.", len("programs")) + len(f".{ENV}")], HIDDEN
    known = section == "include" or (not section and not reason.startswith(NOT_YAML) and '"' not in reason)
    return (section, reason) if known else ("", HIDDEN)


def _short(place: str, reason: str) -> tuple[str, str]:
    return place, reason if len(reason) <= MAX_SHOWN_REASON else reason[: MAX_SHOWN_REASON - 3] + "..."


def _key(at: Position, reason: str) -> tuple[int, int, int, str]:
    return (at.source.order, at.line, at.column, reason)


def _heading(at: Position, severity: str, place: str, reason: str) -> str:
    where = f"{at.source.shown}:{at.line + 1}:{at.column + 1}"
    return visible(f"{where}: {severity}: " + (f"{place}: " if place else "") + reason)


def _excerpt(at: Position, *, with_file: bool = False) -> list[str]:
    text = at.source.line(at.line)
    if not text.strip():
        return []
    if len(text) > MAX_SHOWN_LINE:
        text = text[: MAX_SHOWN_LINE - 3] + "..."
    where = f"{at.source.shown}:" if with_file else ""
    return [f"{where}{at.line + 1:5} | {visible(text)}"]


def visible(text: str) -> str:
    """Return `text` with control characters escaped, except tabs."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\t" else character.encode("unicode_escape").decode()
        for character in text
    )


def quoted(text: str) -> str:
    """Return a value for a message: in double quotes, cut after MAX_SHOWN_VALUE characters."""
    text = text.replace("\0", "${TASKMASTER_INSTANCE}")
    return f'"{text[:MAX_SHOWN_VALUE]}{"..." if len(text) > MAX_SHOWN_VALUE else ""}"'

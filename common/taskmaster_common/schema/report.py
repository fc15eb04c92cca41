"""Problems and warnings of a configuration, as the finished lines that users read.

`file:line:column: error: place: reason` with the source line below it, so that editors jump there. The same reason at
the same position is told once: a mistake in `defaults:` or under an anchor is one mistake, however many programs use it.
"""

from __future__ import annotations

from taskmaster_common.errors import ConfigError

MAX_PROBLEMS = 1000
MAX_SHOWN_LINE = 160
MAX_SHOWN_VALUE = 60


class Source:
    """One file: the name that users see, its text, and its place among the files."""

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
    """Where something stands: line and column are counted from 0."""

    __slots__ = ("column", "line", "source")

    def __init__(self, source: Source, line: int, column: int) -> None:
        self.source = source
        self.line = line
        self.column = column


class Report:
    """Collects everything that is wrong or doubtful."""

    def __init__(self) -> None:
        self._problems: dict[tuple[int, int, int, str], str] = {}
        self._warnings: dict[tuple[int, int, int, str], str] = {}

    def error(self, at: Position, place: str, reason: str, first: Position | None = None) -> None:
        """Add a problem; `first` is a second position that belongs to it. Raises ConfigError when there are too many."""
        lines = [_heading(at, "error", place, reason)]
        if first is not None and (first.line, first.source) != (at.line, at.source):
            lines.extend(_excerpt(first, with_file=first.source is not at.source))
        lines.extend(_excerpt(at))
        self._problems.setdefault(_key(at, reason), "\n".join(lines))
        if len(self._problems) >= MAX_PROBLEMS:
            raise ConfigError(
                (*self.problems(), f"{at.source.shown}: error: too many problems; the rest is not listed")
            )

    def file_error(self, shown: str, reason: str, order: int = 0) -> None:
        """Add a problem of a whole file."""
        self._problems.setdefault((order, -1, -1, f"{shown}: {reason}"), visible(f"{shown}: error: {reason}"))

    def warn(self, at: Position, place: str, reason: str) -> None:
        """Add a warning; beyond a thousand the rest is dropped."""
        if len(self._warnings) < MAX_PROBLEMS:
            lines = [_heading(at, "warning", place, reason), *_excerpt(at)]
            self._warnings.setdefault(_key(at, reason), "\n".join(lines))

    def warn_file(self, shown: str, reason: str, order: int = 0) -> None:
        """Add a warning about a whole file."""
        self._warnings.setdefault((order, -1, -1, f"{shown}: {reason}"), visible(f"{shown}: warning: {reason}"))

    def problems(self) -> tuple[str, ...]:
        """Return the problems in the order of the files."""
        return tuple(text for _, text in sorted(self._problems.items()))

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings in the order of the files."""
        return tuple(text for _, text in sorted(self._warnings.items()))

    def check(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        if self._problems:
            raise ConfigError(self.problems())


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
    """Return `text` with what a terminal could obey made visible; a tab stays."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\t" else character.encode("unicode_escape").decode()
        for character in text
    )


def quoted(text: str) -> str:
    """Return a value for a message: in double quotes, at most some sixty characters."""
    text = text.replace("\0", "${TASKMASTER_INSTANCE}")
    return f'"{text[:MAX_SHOWN_VALUE]}{"..." if len(text) > MAX_SHOWN_VALUE else ""}"'

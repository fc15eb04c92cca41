"""A unit file as its directives, with line numbers. Pure. Source: systemd.syntax(7)."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterctl.convert.report import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterctl.convert.reading.files import InputFile
    from taskmasterctl.convert.report import LossReport

SECTIONS = ("Unit", "Service", "Install")


class Directive(Record):
    """One assignment: its section, name and value, the line, and the comments above it."""

    section: str
    name: str
    value: str
    line: int
    comments: tuple[str, ...] = ()


class Unit:
    """The directives of one file; an empty assignment takes back those before it."""

    def __init__(self, file: InputFile, report: LossReport) -> None:
        self.file = file
        self.comments: list[str] = []
        self.sections: set[str] = set()
        self._left: list[Directive] = []
        self._report = report
        self._read()

    def take(self, name: str) -> list[Directive]:
        """Return all assignments of a directive that count, and take them out."""
        found = [each for each in self._left if each.name == name]
        self._left = [each for each in self._left if each.name != name]
        return found

    def last(self, name: str) -> Directive | None:
        """Return the assignment that counts where only one can; it takes all out."""
        found = self.take(name)
        return found[-1] if found else None

    def rest(self) -> Iterator[Directive]:
        """Yield what nobody has taken."""
        yield from self._left

    def place(self, directive: Directive | None = None) -> Where:
        """Return the place of a directive, or of the file."""
        if directive is None:
            return Where(self.file.name, 1, "Service")
        return Where(self.file.name, directive.line, directive.section, directive.name, directive.value)

    def refuse(self, directive: Directive, text: str) -> None:
        """Report what systemd refuses, too."""
        self._report.refuse(self.place(directive), text)

    def _read(self) -> None:
        section = ""
        comments: list[str] = []
        for line, text in _joined(self.file.text):
            if text[:1] in "#;":
                comments = [*comments, text.lstrip("#; ")] if text else []
            elif text.startswith("[") and text.endswith("]"):
                section = text[1:-1]
                self.sections.add(section)
                self.comments += comments if section == "Unit" else []
                comments = []
            elif "=" not in text or not section:
                self._strange(line, section, text)
            else:
                name, _, value = (part.strip() for part in text.partition("="))
                self._assign(Directive(section, name, value, line, tuple(comments)))
                comments = []

    def _assign(self, directive: Directive) -> None:
        if directive.value:
            self._left.append(directive)
        else:
            self._left = [each for each in self._left if each.name != directive.name]

    def _strange(self, line: int, section: str, text: str) -> None:
        place = Where(self.file.name, line, section)
        self._report.note(f"{place.start}: systemd ignores this line, which is no NAME=VALUE: {text[:60]}")


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their continuations, each with the number of its first one; comments between them are left out."""
    first = 0
    pieces: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if pieces and stripped[:1] in ("#", ";"):
            continue
        if not pieces:
            first = number
        if line.endswith("\\"):
            pieces.append(stripped[:-1].strip() if stripped else "")
            continue
        yield first, " ".join([*pieces, stripped]).strip()
        pieces = []
    if pieces:
        yield first, " ".join(pieces).strip()

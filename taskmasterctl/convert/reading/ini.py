"""INI files as Python's RawConfigParser reads them, with line numbers and comments. Pure.

Source: docs.python.org, configparser, with the settings of supervisor and circus: `;` and `#` begin a comment at the start of a
line or after a blank; a line that is indented deeper than its option continues the value; names of options are in lower case;
sections and options may come again, and the last option counts.
"""

from __future__ import annotations

import re

from taskmasterctl.convert.reading.files import WrongInput
from taskmasterctl.convert.report import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterctl.convert.reading.files import InputFile
    from taskmasterctl.convert.report import LossReport

MAX_SECTIONS = 20_000
"""Most sections: as many processes as Taskmaster runs."""
DEFAULT = "DEFAULT"
_COMMENT = re.compile(r"(?:^|(?<=\s))[;#]")
_HEADER = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"(.*?)\s*[=:]\s*(.*)$")


class IniOption:
    """One option of a section: its value, where it stands, and the comments above it and at its end."""

    __slots__ = ("comments", "file", "line", "name", "pieces")

    def __init__(self, name: str, file: InputFile, line: int, value: str, comments: list[str]) -> None:
        self.name = name
        self.file = file
        self.line = line
        self.pieces = [value]
        self.comments = comments

    @property
    def value(self) -> str:
        """The value, lines joined by LF."""
        return "\n".join(self.pieces).rstrip()


class Section:
    """One section, which may be spread over files."""

    def __init__(self, name: str, file: InputFile, line: int, comments: list[str]) -> None:
        self.name = name
        self.file = file
        self.line = line
        self.comments = comments
        self.options: dict[str, IniOption] = {}

    def place(self, option: IniOption | str = "") -> Where:
        """Return the place of an option, or of the section."""
        if isinstance(option, str):
            return Where(self.file.name, self.line, self.name, option)
        return Where(option.file.name, option.line, self.name, option.name, option.value)


class Ini:
    """The sections of several files, by name in the order of their first lines."""

    def __init__(self, report: LossReport, *, strict: bool = False) -> None:
        """`strict`: as circus reads them; see `_StrictReading`."""
        self.sections: dict[str, Section] = {}
        self._report = report
        self._reading = _StrictReading if strict else _Reading

    def read(self, file: InputFile) -> None:
        """Add a file. Problems go to the report. Raises WrongInput if there are too many sections."""
        self._reading(self.sections, self._report, file).run()
        if DEFAULT in self.sections:
            for option in self.sections.pop(DEFAULT).options.values():
                for section in self.sections.values():
                    section.options.setdefault(option.name, option)

    def named(self, prefix: str) -> Iterator[tuple[str, Section]]:
        """Yield what follows the prefix, and the section."""
        for name, section in self.sections.items():
            if name.startswith(prefix):
                yield name[len(prefix) :].strip(), section


class _Reading:
    def __init__(self, sections: dict[str, Section], report: LossReport, file: InputFile) -> None:
        self._sections = sections
        self._report = report
        self._file = file
        self._section: Section | None = None
        self._option: IniOption | None = None
        self._indent = 0
        self._comments: list[str] = []

    def run(self) -> None:
        for number, line in enumerate(self._file.text.split("\n"), 1):
            found = _COMMENT.search(line)
            value = (line[: found.start()] if found else line).strip()
            comment = line[found.start() :].lstrip(";# \t").rstrip() if found else ""
            if value:
                self._take(number, line, value, comment)
            elif found:
                self._comments.append(comment)
            else:
                self._comments = []
                if self._option is not None:
                    self._option.pieces.append("")

    def _take(self, number: int, line: str, value: str, comment: str) -> None:
        indent = len(line) - len(line.lstrip())
        if self._option is not None and indent > self._indent:
            self._option.pieces.append(value)
            self._option.comments += [comment] if comment else []
            return
        self._indent = indent
        above = [*_kept(self._comments), *([comment] if comment else [])]
        self._comments = []
        header = _HEADER.match(value)
        if header:
            self._open(header[1], number, above)
        elif self._section is None:
            self._report.refuse(Where(self._file.name, number), f"no [section] before this line: {value[:40]}")
        else:
            self._add(self._section, number, value, above)

    def _open(self, name: str, number: int, comments: list[str]) -> None:
        self._option = None
        self._section = self._sections.get(name)
        if self._section is None:
            if len(self._sections) >= MAX_SECTIONS:
                raise WrongInput(f"{self._file.name}:{number}: error: more than {MAX_SECTIONS} sections")
            self._section = self._sections[name] = Section(name, self._file, number, comments)
        else:
            self._section.comments += comments

    def _add(self, section: Section, number: int, value: str, comments: list[str]) -> None:
        found = _OPTION.match(value)
        if not found or not found[1]:
            self._report.refuse(Where(self._file.name, number, section.name), f"no option=value: {value[:40]}")
            self._option = None
            return
        self._keep(section, IniOption(self._name(found[1]), self._file, number, found[2].strip(), comments))

    @staticmethod
    def _name(written: str) -> str:
        return written.lower()

    def _keep(self, section: Section, option: IniOption) -> None:
        """Add an option; the last of equal ones counts."""
        first = section.options.get(option.name)
        if first is not None:
            self._report.note(
                f"{self._file.name}:{option.line}: {section.name} {option.name} is written again; the first, "
                f"{first.file.name}:{first.line}, does not count"
            )
        self._option = section.options[option.name] = option


class _StrictReading(_Reading):
    """As circus 0.19 reads: names keep their case, the first of equal options counts, only `;` after a blank ends a value."""

    def run(self) -> None:
        for number, line in enumerate(self._file.text.split("\n"), 1):
            text = line.strip()
            if not text or line[0] in "#;":
                self._comments = [*self._comments, text.lstrip("#; ")] if text else []
            elif line[0].isspace() and self._option is not None:
                self._option.pieces.append(text)
            else:
                at = text.find(";")
                value = text[:at].rstrip() if at > 0 and text[at - 1].isspace() else text
                self._indent = len(line)
                self._take(number, line.lstrip(), value, "")

    @staticmethod
    def _name(written: str) -> str:
        return written

    def _keep(self, section: Section, option: IniOption) -> None:
        first = section.options.get(option.name)
        if first is None:
            self._option = section.options[option.name] = option
            return
        self._option = None
        self._report.note(
            f"{self._file.name}:{option.line}: {section.name} {option.name} is written again and does not count; the first, "
            f"{first.file.name}:{first.line}, does"
        )


def _kept(comments: list[str]) -> list[str]:
    """Return comments that are words: what is commented out, and lines that only decorate, are not kept."""
    return [
        each for each in comments if each.strip("-=#;* ") and not _HEADER.match(each) and not _looks_like_option(each)
    ]


def _looks_like_option(comment: str) -> bool:
    found = re.match(r"([a-z_]+)\s*=", comment)
    return found is not None

"""What a conversion could not carry over, and how that reads: as text, as a comment in the outcome, as JSON. Pure.

A word says how serious a line is: `dropped` (not carried, something will be missing), `changed` (carried, behaves otherwise),
`ignored` (without effect in its own tool too), `note` (true of many programs: once, with how many).
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterctl.convert.secrets import veiled
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

DROPPED = "dropped"
CHANGED = "changed"
IGNORED = "ignored"
NOTE = "note"
WORDS = (DROPPED, CHANGED, IGNORED)
"""The words of single lines, hardest first."""
LESS_PROTECTED = "less protected"
MAX_VALUE = 60
"""Most characters of a value that a line shows."""
MAX_WRONG = 100
"""Most lines about wrong input; the rest is counted."""


class Where(Record):
    """Where something stands: `file` as the user named it, `line` from 1, the section and the option with its value."""

    file: str
    line: int = 0
    section: str = ""
    option: str = ""
    value: str = ""

    @property
    def start(self) -> str:
        """`file:line`, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def setting(self) -> str:
        """`section option=value`, with secrets veiled and long values cut."""
        shown = veiled(self.option, self.value)
        shown = shown if len(shown) <= MAX_VALUE else f"{shown[: MAX_VALUE - 1]}…"
        setting = f"{self.option}={shown}" if self.value else self.option
        return clean(" ".join(part for part in (self.section, setting) if part))


class Problem(Record):
    """One line: `text` says what is different and why, `instead` what to do, `key` which key of Taskmaster it concerns."""

    place: Where
    word: str
    text: str
    instead: str = ""
    key: str = ""

    @property
    def reason(self) -> str:
        """The text, and what to do."""
        return clean(f"{self.text}; {self.instead}" if self.instead else self.text)

    @property
    def line(self) -> str:
        """The line of the report."""
        setting = self.place.setting
        return f"{clean(self.place.start)}: {self.word}: {setting + ': ' if setting else ''}{self.reason}"

    @property
    def comment(self) -> str:
        """The same for the outcome, where the section is known."""
        setting = self.place.replace(section="").setting
        return f"{self.word}: {setting + ': ' if setting else ''}{self.reason}"

    def to_data(self) -> dict[str, Any]:
        """Return the object of --json."""
        at = self.place
        return {
            "file": at.file,
            "line": at.line,
            "section": at.section,
            "option": at.option,
            "value": veiled(at.option, at.value),
            "word": self.word,
            "text": self.text,
            "instead": self.instead,
            "key": self.key,
        }


class LossReport:
    """Collects problems, notes, what is wrong with the input, and the number of options that were carried exactly."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.wrong: list[str] = []
        self.carried = 0
        self.needs: dict[str, None] = {}
        self._notes: dict[str, set[str]] = {}
        self._wrong_left = 0

    @property
    def losses(self) -> bool:
        """Whether something was dropped or changed."""
        return any(each.word in (DROPPED, CHANGED) for each in self.problems)

    def add(self, problem: Problem) -> Problem:
        """Add a line."""
        self.problems.append(problem)
        return problem

    def note(self, text: str, program: str = "") -> None:
        """Add a note, or one more program of which it is true."""
        self._notes.setdefault(text, set()).update((program,) if program else ())

    def refuse(self, place: Where, text: str) -> None:
        """Add what the format's own tool refuses, too."""
        if len(self.wrong) < MAX_WRONG:
            setting = place.setting
            self.wrong.append(f"{clean(place.start)}: error: {setting + ': ' if setting else ''}{clean(text)}")
        else:
            self._wrong_left += 1

    def need(self, variable: str) -> None:
        """Note a variable that the environment of the daemon has to have."""
        self.needs[variable] = None

    def notes(self) -> Iterator[str]:
        """Yield the texts of the notes."""
        for text, programs in self._notes.items():
            yield f"{counted(len(programs), 'program')}: {text}" if programs else text

    def errors(self) -> Iterator[str]:
        """Yield the lines about wrong input."""
        yield from self.wrong
        if self._wrong_left:
            yield f"and {self._wrong_left} more"

    def lines(self, summary: str) -> Iterator[str]:
        """Yield the whole report: what protects less first, then by word in the order of the files, notes, the summary."""
        yield from (each.line for each in self._sorted())
        yield from (f"{NOTE}: {clean(text)}" for text in self.notes())
        yield clean(summary)

    def _sorted(self) -> Iterable[Problem]:
        files = {name: number for number, name in enumerate(dict.fromkeys(each.place.file for each in self.problems))}
        return sorted(
            self.problems,
            key=lambda each: (
                LESS_PROTECTED not in each.text,
                WORDS.index(each.word),
                files[each.place.file],
                each.place.line,
            ),
        )

    def counts(self) -> str:
        """Return `31 options carried, 1 changed, 1 dropped, 1 ignored`."""
        numbers = {word: sum(each.word == word for each in self.problems) for word in (CHANGED, DROPPED, IGNORED)}
        others = "".join(f", {number} {word}" for word, number in numbers.items() if number)
        return f"{counted(self.carried, 'option')} carried{others}"

    def to_data(self, kind: str, programs: int) -> dict[str, Any]:
        """Return the object of --json."""
        notes = [Problem(Where(""), NOTE, text).to_data() for text in self.notes()]
        return {
            "schema": 1,
            "kind": kind,
            "programs": programs,
            "carried": self.carried,
            "needs": [*self.needs],
            "problems": [*(each.to_data() for each in self._sorted()), *notes],
        }


def counted(number: int, thing: str) -> str:
    """Return `1 program`, `4 programs`; thing is singular."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"

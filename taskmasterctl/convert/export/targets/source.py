"""What an export reads: the programs of a configuration, with the variables of the environment that are still in their texts. Pure.

A program is decoded twice: once with the values of the environment, once with a mark in the place of each variable. A target that
has variables of its own renders the marks, the others take the values.
"""

from __future__ import annotations

import re

from taskmaster_common.config import INSTANCE, PROGRAM_KEYS, ProgramConfig
from taskmaster_common.config.keys import PROGRAM
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

BEGIN, ABSOLUTE, END = "\ufdd0", "\ufdd2", "\ufdd1"
"""What stands around the name of a variable: characters that no text has. Source: Unicode, noncharacters.

ABSOLUTE begins one whose value begins with a slash, and has a slash before it, so that paths are joined as its value would be.
"""
_PIECE = re.compile(f"(?:{BEGIN}|/{ABSOLUTE})([A-Za-z_][A-Za-z0-9_]*){END}|{INSTANCE}")
TEXT, VARIABLE, NUMBER = "text", "variable", "number"
"""The pieces of a text: itself, the name of a variable, the place of the instance's number."""
KEYS = tuple(key for key in PROGRAM_KEYS if key in ProgramConfig.part_of_)
"""The keys that a program has once it is put together: `extends` is gone then."""
DEFAULTS: Mapping[str, Any] = {key.name: key.default for key in PROGRAM}


class ExportSource(Record):
    """One program as an export sees it.

    `config` has the values of this environment, `open_config` a mark for each variable. `written` are the keys that the file
    has for it, `places` their file and line; `""` is the program itself.
    `program` is the name of the program in the file, "" where it is its own.
    """

    config: ProgramConfig
    open_config: ProgramConfig
    written: frozenset[str]
    places: Mapping[str, tuple[str, int]] = {}
    program: str = ""

    @property
    def name(self) -> str:
        """The name of the program."""
        return self.config.name

    def value(self, key: str) -> Any:
        """Return the value of a key, with the values of variables."""
        return self.config.value(key)

    def optional(self, key: str, otherwise: Any) -> Any:
        """Return the value of a key, `otherwise` where there is no such key yet."""
        return self.config.value(key) if key in KEYS else otherwise

    def opened(self, key: str) -> Any:
        """Return the value of a key, with marks for variables."""
        return self.open_config.value(key)

    def differs(self, key: str) -> bool:
        """Return whether the file says something else about the key than its default."""
        return key in self.written and self.value(key) != DEFAULTS[key]

    def numbered(self) -> bool:
        """Return whether the number of an instance stands in one of its texts."""
        return any(INSTANCE in text for key in KEYS for text in texts_in(self.value(key)))

    def instances(self) -> Iterator[ExportSource]:
        """Yield a program for each instance, `web-0`, `web-1`, with its number in the texts."""
        for number in range(self.config.numprocs):
            yield self._of(f"{self.name}-{number}", number)

    def single(self) -> ExportSource:
        """Return the program for its only instance."""
        return self._of(self.name, 0)

    def _of(self, name: str, number: int) -> ExportSource:
        def put(config: ProgramConfig) -> ProgramConfig:
            changed = {key: mapped(config.value(key), lambda text: text.replace(INSTANCE, str(number))) for key in KEYS}
            different = {key: value for key, value in changed.items() if value != config.value(key)}
            return config.with_keys(**{**different, "name": name, "numprocs": 1})

        return self.replace(config=put(self.config), open_config=put(self.open_config), program=self.name)


def plain_source(config: ProgramConfig) -> ExportSource:
    """Return a program without variables, whose keys are written where they differ from their defaults."""
    written = frozenset(key for key in KEYS if config.value(key) != DEFAULTS[key])
    return ExportSource(config, config, written)


def texts_in(value: Any) -> Iterator[str]:
    """Yield all texts in a value of a key, names of a map excepted."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from texts_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value of a key with its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)(mapped(each, change) for each in value)
    if isinstance(value, dict):
        return {name: mapped(each, change) for name, each in value.items()}
    return value


def mark(name: str, value: str) -> str:
    """Return what stands for a variable with that value."""
    return f"/{ABSOLUTE}{name}{END}" if value.startswith("/") else f"{BEGIN}{name}{END}"


def readable(text: str) -> str:
    """Return a text with its variables as a configuration has them."""
    return render(text, str, lambda name: f"${{{name}}}", "${TASKMASTER_INSTANCE}")


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """Return a value with the values of its variables; the number of the instance stays open."""
    return mapped(value, lambda text: render(text, str, lambda name: values[name], INSTANCE))


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a text, each with its kind."""
    at = 0
    for found in _PIECE.finditer(text):
        if found.start() > at:
            yield TEXT, text[at : found.start()]
        yield (VARIABLE, found.group(1)) if found.group(1) else (NUMBER, "")
        at = found.end()
    if at < len(text):
        yield TEXT, text[at:]


def render(text: str, literal: Callable[[str], str], variable: Callable[[str], str], number: str) -> str:
    """Return a text with each piece as the target writes it; `number` stands for the number of the instance."""
    made = {TEXT: literal, VARIABLE: variable}
    return "".join(number if kind == NUMBER else made[kind](piece) for kind, piece in pieces(text))


def variables_in(value: Any) -> Iterator[str]:
    """Yield the names of the variables that are marked in a value."""
    for text in texts_in(value):
        yield from (piece for kind, piece in pieces(text) if kind == VARIABLE)

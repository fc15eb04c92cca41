"""Procfile and the `.env` beside it. Source: the documentation of foreman; honcho 2."""

from __future__ import annotations

import os
import re

from taskmaster_common.config import PROGRAM_KEYS
from taskmasterctl.convert.outcome.shelltext import set_command
from taskmasterctl.convert.outcome.texts import INSTANCE, literal, rendered, variable
from taskmasterctl.convert.reading.dotenv import variables
from taskmasterctl.convert.report import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.outcome.model import Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.settings import ImportSettings

ROWS: dict[str, str] = {
    "name": "programs",
    "command": "cmd",
    ".env": "env_file",
    "PORT": "env",
    "release": "type",
}
"""What a Procfile has, and the keys that it sets."""
FIRST_PORT = 5000
PORTS_OF_A_LINE = 100
RELEASE = "release"
_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
OF_ALL = (
    "a program that ends is started again; `foreman start` ends all of them instead: essential: true does that",
    "output goes to logs; `taskmasterctl logs -f` shows it with names, and `taskmasterd --follow` runs all in one terminal",
    "a stop waits 10 s before it kills (there 5)",
)


def convert(files: Sequence[InputFile], settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
    """Convert Procfiles. Raises Unreadable, WrongInput."""
    number = 0
    for file in files:
        port = _env_file(file, settings, reader, outcome)
        if file.directory != settings.base:
            outcome.defaults.set("workingdir", rendered(settings.beside(file.directory)))
        number = _lines(file, reader, outcome, number, port)
    for text in OF_ALL:
        outcome.report.note(text)
    outcome.report.note("PORT is 5000, 5100 and so on by line, plus the number of the instance (up to 10 of them)")


def _lines(file: InputFile, reader: InputReader, outcome: Draft, number: int, port: int) -> int:
    seen: dict[str, int] = {}
    comments: list[str] = []
    for at, line in enumerate(file.text.split("\n"), 1):
        reader.check_time()
        text = line.strip()
        if not text or text.startswith("#"):
            comments = [*comments, text.lstrip("# ")] if text else []
            continue
        found = _LINE.fullmatch(line.rstrip())
        place = Where(file.name, at, found[1] if found else "", "", "")
        if not found:
            outcome.report.refuse(place, f"no `name: command`: {text[:60]}")
        elif found[1] in seen:
            outcome.report.refuse(place, f"{found[1]} is on line {seen[found[1]]}, too")
        else:
            seen[found[1]] = at
            _program(place, found[2].strip(), comments, outcome, port + number * PORTS_OF_A_LINE)
            number += 1
        comments = []
    return number


def _program(place: Where, command: str, comments: Sequence[str], outcome: Draft, port: int) -> None:
    block, reason = outcome.program(place.section)
    if reason:
        outcome.change(place, f"it is called {block.name} here: {reason}", on=block)
    for comment in comments:
        block.remark(comment)
    set_command(block, command)
    outcome.carried()
    if place.section == RELEASE:
        block.set("type", "oneshot")
        block.set("autostart", False)
        text = "it is a job that runs before a release, which nothing here knows"
        outcome.change(
            place, text, "start it by hand, or let others have depends_on: {release: done}", on=block, key="type"
        )
    else:
        block.set("autorestart", "always")
    if port % 10:
        block.set("env", {"PORT": str(port)})
    else:
        block.set("env", {"PORT": rendered(f"{port // 10}{variable(INSTANCE)}")})


def _env_file(file: InputFile, settings: ImportSettings, reader: InputReader, outcome: Draft) -> int:
    """Name the `.env` in the outcome, or copy its values; return the first port."""
    path = settings.values.get("env", os.path.join(file.directory, ".env"))
    if "env" not in settings.values and not reader.exists(path):
        return FIRST_PORT
    found = reader.included(path)
    if found is None:
        return FIRST_PORT
    shown = os.path.relpath(found.name) if "env" not in settings.values else found.name
    values: dict[str, str] = {}
    exact = "env_file" in PROGRAM_KEYS
    for line, name, value in variables(found.text):
        if not name:
            outcome.ignore(Where(shown, line, "", value), "no NAME=VALUE")
            exact = False  # env_file would refuse the line
            continue
        values[name] = value
    outcome.carried(len(values))
    if exact:
        beside = found.directory == settings.base
        outcome.defaults.set("env_file", literal(os.path.basename(path) if beside else os.path.abspath(path)))
    elif values:
        outcome.defaults.set("env", {name: literal(value) for name, value in values.items()})
        outcome.secret = True
    given = values.get("PORT", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 6 else FIRST_PORT

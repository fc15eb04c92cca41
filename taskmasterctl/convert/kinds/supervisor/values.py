"""Supervisor's values: what it accepts, in Taskmaster's notation. Each raises ValueError for what supervisor refuses. Pure."""

from __future__ import annotations

import re
import shlex

from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import MARK, rendered
from taskmasterctl.convert.reading.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRUE = ("yes", "true", "on", "1")
FALSE = ("no", "false", "off", "0")
SIZES = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}
UNITS = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


def has_variable(text: str) -> bool:
    """Return whether the text is known only when the daemon starts."""
    return MARK in text


def boolean(text: str) -> bool | str:
    """Return a boolean, or a text with a variable."""
    if has_variable(text):
        return rendered(text)
    word = text.lower()
    if word not in TRUE + FALSE:
        raise ValueError("neither true nor false")
    return word in TRUE


def restart(text: str) -> str:
    """Return the value of autorestart."""
    if has_variable(text):
        return rendered(text)
    if text.lower() == "unexpected":
        return "unexpected"
    return "always" if boolean(text) else "never"


def whole(text: str) -> int | str:
    """Return a whole number, or a text with a variable."""
    if has_variable(text):
        return rendered(text)
    if not re.fullmatch(r"[-+]?[0-9]{1,18}", text.strip()):
        raise ValueError("not a whole number")
    return int(text)


def size(text: str) -> int:
    """Return a size in bytes; KB, MB and GB are powers of 1024."""
    found = re.fullmatch(r"([0-9]{1,18})\s*(kb|mb|gb)?", text.strip().lower())
    if not found:
        raise ValueError("not a size such as 50MB")
    return int(found[1]) * SIZES.get(found[2] or "", 1)


def written_size(value: int) -> Any:
    """Return bytes in the largest unit that is exact."""
    unit, factor = next(((unit, factor) for unit, factor in UNITS if value and value % factor == 0), ("", 1))
    return Plain(f"{value // factor}{unit}") if unit else value


def codes(text: str) -> list[int]:
    """Return exit codes: `0,2`."""
    found = [whole(each) for each in text.split(",") if each.strip()]
    if not all(isinstance(each, int) and 0 <= each <= 255 for each in found):
        raise ValueError("exit codes are numbers from 0 to 255")
    return [each for each in found if isinstance(each, int)]


def octal(text: str) -> Any:
    """Return a umask as it is written."""
    if has_variable(text):
        return rendered(text)
    if not re.fullmatch(r"(?:0o?)?[0-7]{1,4}", text.strip()):
        raise ValueError("not an octal number")
    number = int(text.strip().lower().removeprefix("0o"), 8)
    return Plain(f"{number:03o}" if number > 0o77 else f"0{number:02o}")


def stop_signal(text: str) -> str:
    """Return the name of a signal, without SIG."""
    return rendered(text) if has_variable(text) else signal_name(text)


def environment(text: str) -> dict[str, str]:
    """Return variables by name: `A="1",B='x,y'`. The values are texts with variables.

    Source: supervisor splits with Python's shlex, in which a quoted text ends at the next quote of its kind.
    """
    lexer = shlex.shlex(text)
    lexer.wordchars += f"/.+-():{MARK}"
    try:
        tokens = [*lexer]
    except ValueError as error:
        raise ValueError(str(error).lower()) from None
    found: dict[str, str] = {}
    for at in range(0, len(tokens), 4):
        name, equals, value = (*tokens[at : at + 3], "", "", "")[:3]
        if equals != "=" or not value:
            raise ValueError("not KEY=value,KEY2=value2; quote values that hold other characters")
        found[name] = value.strip("'\"")
    return found

"""Words, specifiers and values of systemd. Pure. Source: systemd.syntax(7), systemd.unit(5), systemd.time(7)."""

from __future__ import annotations

import re

from taskmasterctl.convert.outcome.texts import BARE, INSTANCE, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TRUE = ("1", "yes", "y", "true", "t", "on")
FALSE = ("0", "no", "n", "false", "f", "off")
SPANS = {
    "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3, "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60,
    "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800, "M": 2629800, "month": 2629800, "months": 2629800, "y": 31557600,
    "year": 31557600, "years": 31557600,
}  # fmt: skip
INFINITY = float("inf")
SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
EXIT_NAMES = {
    "SUCCESS": 0, "FAILURE": 1, "INVALIDARGUMENT": 2, "NOTIMPLEMENTED": 3, "NOPERMISSION": 4, "NOTINSTALLED": 5,
    "NOTCONFIGURED": 6, "NOTRUNNING": 7, "USAGE": 64, "DATAERR": 65, "NOINPUT": 66, "NOUSER": 67, "NOHOST": 68,
    "UNAVAILABLE": 69, "SOFTWARE": 70, "OSERR": 71, "OSFILE": 72, "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75,
    "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78,
}  # fmt: skip
DIRECTORIES = {
    "t": "/run",
    "S": "/var/lib",
    "L": "/var/log",
    "C": "/var/cache",
    "E": "/etc",
    "h": "/root",
    "T": "/tmp",
    "V": "/var/tmp",
}
"""Specifiers of the system's manager."""
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "s": " ",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "r": "\r",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def boolean(text: str) -> bool:
    """Return a boolean. Raises ValueError."""
    word = text.lower()
    if word not in TRUE + FALSE:
        raise ValueError("neither yes nor no")
    return word in TRUE


def seconds(text: str) -> float:
    """Return a time span in seconds, infinity included. Raises ValueError."""
    if text.strip() == "infinity":
        return INFINITY
    parts = re.findall(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text)
    if not parts or "".join(number + unit for number, unit in parts) != re.sub(r"\s", "", text):
        raise ValueError("no time span such as 1min 30s")
    if any(unit not in SPANS for _, unit in parts):
        raise ValueError("no time span such as 1min 30s")
    return sum(float(number) * SPANS[unit] for number, unit in parts)


def plain(value: float) -> float:
    """Return a whole number as int."""
    return int(value) if value == int(value) else value


def size(text: str) -> int | None:
    """Return bytes, None for infinity. Raises ValueError."""
    if text == "infinity":
        return None
    found = re.fullmatch(r"([0-9]+)([KMGT]?)B?", text)
    if not found:
        raise ValueError("no size such as 512M")
    return int(found[1]) * SIZES[found[2]]


class Specifiers:
    """What `%x` stands for in one unit; `instance` is None where each instance has its number."""

    def __init__(self, name: str, instance: str | None, given: Mapping[str, str], *, template: bool) -> None:
        prefix, _, own = name.partition("@")
        own = own if instance is None or not template else instance
        shown = variable(INSTANCE) if template and instance is None else own
        whole = f"{prefix}@{shown}" if "@" in name else name
        self._texts = {
            "i": shown,
            "I": shown,
            "n": f"{whole}.service",
            "N": whole,
            "p": prefix,
            "P": prefix,
            "j": prefix,
            "%": "%",
        }
        self._texts |= DIRECTORIES
        self._given = given

    def expanded(self, text: str) -> str:
        """Return the text with its specifiers replaced. Raises ValueError for one that is known on its host only."""
        return re.sub(r"%(.?)", self._one, text, flags=re.DOTALL)

    def _one(self, found: re.Match[str]) -> str:
        if found[1] and found[1] in self._given:
            return self._given[found[1]]
        if found[1] not in self._texts:
            raise ValueError(f"%{found[1]} is known where systemd runs; --set {found[1]}=VALUE gives it")
        return self._texts[found[1]]


def words(text: str) -> list[str]:
    """Return words, unquoted. Raises ValueError for an open quote."""
    return [word for word, _ in quoted_words(text)]


def quoted_words(text: str) -> list[tuple[str, bool]]:
    """Return words, each with whether a part of it was quoted. Raises ValueError for an open quote or an escape that is none."""
    found: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        word, quoted, at = _word(text, at)
        found.append((word, quoted))
    return found


def _word(text: str, at: int) -> tuple[str, bool, int]:
    made: list[str] = []
    quote, quoted = "", False
    while at < len(text):
        character = text[at]
        if character == "\\" and at + 1 < len(text):
            piece, at = _escape(text, at)
            made.append(piece)
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
            quoted = True
        elif not quote and character.isspace():
            break
        else:
            made.append(character)
        at += 1
    if quote:
        raise ValueError(f"an open {quote}")
    return "".join(made), quoted, at


def _escape(text: str, at: int) -> tuple[str, int]:
    following = text[at + 1]
    if following in _ESCAPES:
        return _ESCAPES[following], at + 2
    for pattern, base in ((r"x([0-9a-fA-F]{2})", 16), (r"u([0-9a-fA-F]{4})", 16), (r"([0-7]{3})", 8)):
        found = re.compile(pattern).match(text, at + 1)
        if found and int(found[1], base):
            return chr(int(found[1], base)), found.end()
    return "\\" + following, at + 2


def with_variables(word: str, values: Mapping[str, str]) -> list[str]:
    """Return the words that one word of a command becomes: `$X` alone is split, `${X}` is not, `$$` is `$`.

    What `values` does not have stays a variable.
    """
    alone = re.fullmatch(r"\$([A-Za-z_][A-Za-z0-9_]*)", word)
    if alone:
        return values[alone[1]].split() if alone[1] in values else [variable(BARE + alone[1])]

    def one(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found[2]:
            return found[0]  # within a word, `$X` without braces stays as it is
        return values.get(found[1], variable(found[1]))

    return [_VARIABLE.sub(one, word)]

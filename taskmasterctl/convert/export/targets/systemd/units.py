"""The text of unit files: words of commands, assignments, paths, sections. Pure.

Source: systemd.service(5), "Command lines"; systemd.syntax(7); systemd.exec(5), Environment=.
"""

from __future__ import annotations

import re

from taskmasterctl.convert.export.targets.source import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTIONS = ("Unit", "Service", "Socket", "Timer", "Install")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_/.,:=@+-]|%i|\$\{[A-Za-z_][A-Za-z0-9_]*\})+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class UnitFile:
    """One unit file: settings by section, in the order in which they come, comments among them."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def set(self, section: str, name: str, value: str) -> None:
        """Add a setting. The value is escaped already."""
        self._lines.setdefault(section, []).append(f"{name}={value}")

    def comment(self, section: str, text: str) -> None:
        """Add a comment."""
        self._lines.setdefault(section, []).append(f"# {text}")

    def text(self, head: Iterable[str] = ()) -> str:
        """Return the file; `head` are the comments above it."""
        parts = ["\n".join(f"# {line}" for line in head)] if head else []
        parts += ["\n".join((f"[{name}]", *self._sorted(name))) for name in SECTIONS if name in self._lines]
        return "\n\n".join(parts) + "\n"

    def _sorted(self, section: str) -> list[str]:
        """Return the lines of a section, the description first."""
        return sorted(self._lines[section], key=lambda line: not line.startswith("Description="))


def command_word(text: str) -> str:
    """Return a word of a command: as it is where nothing in it has a meaning, else in double quotes."""
    made = render(text, lambda part: _escaped(part).replace("$", "$$"), lambda name: f"${{{name}}}", "%i")
    return made if _PLAIN.fullmatch(made) else f'"{made}"'


def command_path(text: str) -> str:
    """Return the file of a command, in which variables are not expanded."""
    made = render(text, _escaped, lambda name: f"${{{name}}}", "%i")
    return made if _PLAIN.fullmatch(made) else f'"{made}"'


def assignment(name: str, value: str) -> str:
    """Return a variable for Environment=."""
    made = render(value, _escaped, lambda variable: f"${{{variable}}}", "%i")
    return f"{name}={made}" if _PLAIN.fullmatch(made) and "$" not in made else f'"{name}={made}"'


def whole(text: str) -> str:
    """Return a text that is the whole value of a setting, such as a path."""
    return render(text, lambda part: part.replace("%", "%%"), lambda name: f"${{{name}}}", "%i")


def whole_problem(text: str) -> str:
    """Return why a text cannot be the whole value of a setting, or ""."""
    if text != text.strip():
        return "begins or ends with a blank"
    if text.endswith("\\"):
        return "ends with a backslash"
    bare = text.replace("\0", "")
    return "" if bare.isprintable() else "holds a control character"


def variable_problem(name: str, value: str) -> str:
    """Return why systemd refuses a variable, or "". Source: env_assignment_is_valid of systemd, as systemd.exec(5) says."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return "its name has other characters than letters, digits and _"
    if any((ord(each) < 32 and each not in "\n\t\0") or ord(each) == 127 for each in value):
        return "its value holds a control character"
    return ""


def seconds(value: float) -> str:
    """Return a time that is not 0, which means for ever there."""
    return "1ms" if value <= 0 else f"{value:.6f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return "".join(_character(each) for each in text).replace("%", "%%")


def _character(character: str) -> str:
    known: Mapping[str, str] = _ESCAPES
    if character in known:
        return known[character]
    return character if character.isprintable() else _by_bytes(character)


def _by_bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))

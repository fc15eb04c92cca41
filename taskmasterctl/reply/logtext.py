"""The output of programs as text: byte for byte, or made safe for a terminal; with names if several write. Pure."""

from __future__ import annotations

from taskmasterctl.visible import Visible, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HELD_LINE = 1024 * 1024
"""Longest unfinished line that is held back, characters."""


class LogText:
    """The output of several processes.

    `named(name)` returns whether the lines of a process begin with its name. `harmless`: written for a terminal.
    """

    def __init__(self, named: Callable[[str], bool], *, harmless: bool) -> None:
        self._named = named
        self._harmless = harmless
        self._visible: dict[str, Visible] = {}
        self._held: dict[str, str] = {}

    def take(self, name: str, text: str) -> str:
        """Return the text to show after a process wrote this piece."""
        if self._harmless:
            text = self._visible.setdefault(name, Visible()).take(text)
        return self._lines(name, text) if self._named(name) else text

    def flush(self) -> str:
        """Return the text that was held back, with an end for each unfinished line."""
        rest = {name: visible.flush() for name, visible in self._visible.items()}
        shown = "".join(text for name, text in rest.items() if not self._named(name))
        held = {name: self._held.get(name, "") + rest.get(name, "") for name in (*self._held, *rest)}
        self._held, self._visible = {}, {}
        return shown + "".join(f"{clean(name)} | {line}\n" for name, line in held.items() if line and self._named(name))

    def _lines(self, name: str, text: str) -> str:
        *lines, rest = (self._held.pop(name, "") + text).split("\n")
        if len(rest) > HELD_LINE:
            lines.append(rest)
        elif rest:
            self._held[name] = rest
        label = clean(name)
        return "".join(f"{label} | {line}\n" for line in lines)

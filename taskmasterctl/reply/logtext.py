"""The output of programs as text: byte for byte, or made safe for a terminal; with names if several write. Pure."""

from __future__ import annotations

from taskmasterctl.visible import Visible, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELD_LINE = 1024 * 1024
"""Longest unfinished line that is held back, characters."""


NAME_COLOURS = tuple(f"\x1b[{number}m" for number in (36, 33, 32, 35, 34, 96, 93, 92, 95, 94))
PLAIN = "\x1b[0m"
"""Source: ECMA-48, SGR. Red is left to what programs say themselves."""


class LogText:
    """The output of several processes.

    `named(name)` returns whether the lines of a process begin with its name. `harmless`: written for a terminal. `colour`:
    each name has a colour, in the order in which they come.
    """

    def __init__(self, named: Callable[[str], bool], *, harmless: bool, colour: bool = False) -> None:
        self._colours: dict[str, str] | None = {} if colour else None
        self._named = named
        self._harmless = harmless
        self._visible: dict[str, Visible] = {}
        self._held: dict[str, tuple[str, str]] = {}

    def take(self, name: str, text: str, stamp: str = "") -> str:
        """Return the text to show after a process wrote this piece; each line that begins in it begins with `stamp`."""
        if self._harmless:
            text = self._visible.setdefault(name, Visible()).take(text)
        return self._lines(name, text, stamp) if stamp or self._named(name) else text

    def flush(self) -> str:
        """Return the text that was held back, with an end for each unfinished line."""
        rest = {name: visible.flush() for name, visible in self._visible.items()}
        alone = [name for name in rest if name not in self._held and not self._named(name)]
        shown = "".join(rest.pop(name) for name in alone)
        held = {name: self._held.get(name, ("", "")) for name in (*self._held, *rest)}
        lines = [(self._label(name) + stamp, begun + rest.get(name, "")) for name, (stamp, begun) in held.items()]
        self._held, self._visible = {}, {}
        return shown + "".join(f"{label}{line}\n" for label, line in lines if line)

    def _lines(self, name: str, text: str, stamp: str) -> str:
        before, begun = self._held.pop(name, (stamp, ""))
        *lines, rest = text.split("\n")
        found = []
        for line in lines:
            found.append(f"{self._label(name)}{before}{begun}{line}\n")
            before, begun = stamp, ""
        if len(begun) + len(rest) > HELD_LINE:
            found.append(f"{self._label(name)}{before}{begun}{rest}\n")
        elif begun or rest:
            self._held[name] = before, begun + rest
        return "".join(found)

    def _label(self, name: str) -> str:
        if not self._named(name):
            return ""
        label = f"{clean(name)} | "
        if self._colours is None:
            return label
        colour = self._colours.setdefault(name, NAME_COLOURS[len(self._colours) % len(NAME_COLOURS)])
        return f"{colour}{label}{PLAIN}"


class Merged:
    """Collects what logs hold, and gives it back by the times of the lines."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def take(self, name: str, text: str) -> None:
        """Keep a piece of a log."""
        self._texts.setdefault(name, []).append(text)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield (name, line with its end) by time. A line without a time follows the one before it in its log."""
        from taskmaster_common.text.lineformat import (  # noqa: PLC0415 - only `logs --merge` needs it
            STAMP_LENGTH,
            seconds_of,
            stamp_at,
        )

        found: list[tuple[float, str, str]] = []
        for name, pieces in self._texts.items():
            at = 0.0
            for line in "".join(pieces).split("\n"):
                if line:
                    start = stamp_at(line.encode("utf-8", "surrogateescape"))
                    if start >= 0:
                        at = seconds_of(line[start : start + STAMP_LENGTH].encode("ascii"))
                    found.append((at, name, f"{line}\n"))
        found.sort(key=lambda each: each[0])  # lines of one time keep the order of their logs
        for _at, name, line in found:
            yield name, line

"""Which modes of a terminal a program has switched on, read from what it writes. Pure.

The keeper remembers them for each terminal of a program, so that another terminal can be put into the same modes; the client
remembers them for the terminal in front of it, so that it can take them back. Everything else in the output is nobody's business
here. Source: XTerm Control Sequences; ECMA-48; the keyboard protocol of kitty.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PRIVATE = frozenset({1, 25, 47, *range(1000, 1007), 1015, 1016, 1047, 1049, 2004})
"""Private modes that are remembered: cursor keys, cursor, alternate screens, mouse, focus, bracketed paste."""
SCREENS = frozenset({47, 1047, 1049})
"""Those that are an alternate screen."""
CURSOR = 25
"""The only one that is on at first."""
LONGEST = 64
"""Bytes of the longest sequence that is understood."""
MOST_KEY, MOST_DIGITS = 7, 5
"""Highest resource of modifyOtherKeys and the like (xterm has 0 to 7), and most digits of a number: programs decide both."""
MOST_PUSHED = 8
"""Most entries of the stack of keyboard flags that are remembered."""
ESC = 0x1B


class Modes:
    """The modes that are on. A sequence may come in several pieces."""

    __slots__ = ("_begun", "_keyboard", "_keypad", "_keys", "_private", "_region")

    def __init__(self) -> None:
        self._begun = b""
        self._clear()

    def _clear(self) -> None:
        self._private: dict[int, None] = {}
        self._keypad = False
        self._keyboard: list[int] = []
        self._keys: dict[int, str] = {}
        self._region = ""

    @property
    def alternate(self) -> bool:
        """Whether an alternate screen is shown."""
        return not SCREENS.isdisjoint(self._private)

    def feed(self, data: bytes) -> None:
        """Take some output."""
        if self._begun:
            data, self._begun = self._begun + data, b""
        at = data.find(ESC)
        while at >= 0:
            after = self._sequence(data, at + 1)
            if after < 0:
                self._begun = data[at:] if len(data) - at < LONGEST else b""
                return
            at = data.find(ESC, after)

    def _sequence(self, data: bytes, at: int) -> int:
        """Read the sequence whose second byte is at `at`; return where it ends, -1 where it is not complete."""
        if at >= len(data):
            return -1
        second = data[at : at + 1]
        if second != b"[":
            if second in (b"=", b">"):
                self._keypad = second == b"="
            elif second == b"c":
                self._clear()
            return at if second == b"\x1b" else at + 1
        end = at + 1
        while end < len(data):
            byte = data[end]
            if 0x40 <= byte <= 0x7E:
                self._control(data[at + 1 : end].decode("latin-1"), chr(byte))
                return end + 1
            if not 0x20 <= byte <= 0x3F:
                return end  # not a sequence after all
            end += 1
        return -1

    def _control(self, inside: str, final: str) -> None:
        """Take a control sequence: what is between `[` and its last byte, and that."""
        if final in "hl" and inside.startswith("?"):
            self._switch(inside[1:], on=final == "h")
        elif final == "u" and inside[:1] in ("<", ">", "="):
            self._keyboard_flags(inside[0], inside[1:])
        elif final == "m" and inside.startswith(">"):
            which, _, value = inside[1:].partition(";")
            key = _number(which, 0)
            self._keys.pop(key, None)
            if key <= MOST_KEY and value.isdecimal() and len(value) <= MOST_DIGITS and value.strip("0"):
                self._keys[key] = value
        elif final == "r" and len(inside) <= 2 * MOST_DIGITS + 1 and not inside.strip("0123456789;"):
            self._region = "" if inside in ("", "0", "1", ";") else inside
        elif final == "p" and inside == "!":
            for mode in (1, CURSOR):
                self._private.pop(mode, None)
            self._keypad, self._region = False, ""

    def _switch(self, numbers: str, *, on: bool) -> None:
        for word in numbers.split(";"):
            mode = _number(word, 0)
            if mode in PRIVATE:
                self._private.pop(mode, None)
                if on != (mode == CURSOR):
                    self._private[mode] = None

    def _keyboard_flags(self, how: str, numbers: str) -> None:
        first = _number(numbers.partition(";")[0], 1 if how == "<" else 0)
        if how == ">":
            self._keyboard = [*self._keyboard, first][-MOST_PUSHED:]
        elif how == "<":
            del self._keyboard[-max(first, 0) :]
        elif self._keyboard:
            self._keyboard[-1] = first
        elif first:
            self._keyboard = [first]

    def on(self) -> tuple[str, ...]:
        """Return the sequences, without their ESC, that put a fresh terminal into these modes."""
        private = sorted(self._private, key=lambda mode: mode not in SCREENS)  # an alternate screen comes first
        return (
            *(f"[?{mode}{'l' if mode == CURSOR else 'h'}" for mode in private),
            *(["="] if self._keypad else []),
            *(f"[>{flags}u" for flags in self._keyboard),
            *(f"[>{which};{value}m" for which, value in self._keys.items()),
            *([f"[{self._region}r"] if self._region else []),
        )

    def off(self) -> tuple[str, ...]:
        """Return the sequences, without their ESC, that take these modes back: attributes off and the cursor on at the end."""
        private = sorted(self._private, key=lambda mode: mode in SCREENS)  # an alternate screen is left last
        return (
            *(f"[>{which}m" for which in self._keys),
            *([f"[<{len(self._keyboard)}u"] if self._keyboard else []),
            *([">"] if self._keypad else []),
            *(["7", "[r", "8"] if self._region else []),  # a new region moves the cursor
            *(f"[?{mode}l" for mode in private if mode != CURSOR),
            "[0m",
            "[?25h",
        )


def shows_alternate(sequences: Iterable[str]) -> bool:
    """Return whether an alternate screen is among the modes that `Modes.on` has returned."""
    return not {f"[?{mode}h" for mode in SCREENS}.isdisjoint(sequences)


def _number(text: str, missing: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 8 else missing

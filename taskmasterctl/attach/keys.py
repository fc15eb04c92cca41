"""What is typed at an attached terminal: bytes for the program, or commands for us. Pure.

The command key is Ctrl-], followed by a letter; or a sequence of one or two keys detaches, and nothing else is ours. A key counts as
the byte that it is by habit, as CSI u with any lock modifiers, and as modifyOtherKeys has it, but not inside a bracketed paste: programs
switch all of these on. Every other byte is the program's, at once. Source: XTerm Control Sequences; the keyboard protocol of kitty;
docker's --detach-keys.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DETACH, TAKE, REDRAW, SUSPEND, HELP = "detach", "take", "redraw", "suspend", "help"
COMMANDS = {"d": DETACH, "t": TAKE, "r": REDRAW, "z": SUSPEND, "?": HELP}
COMMAND_KEY = "\x1d"
"""Ctrl-]."""
NONE = "none"
WAIT_S = 1.0
"""Longest time between two keys that belong together, seconds."""
HALF_S = 0.05
"""Longest time that the beginning of a sequence waits for its rest, seconds."""
LONGEST = 24
"""Bytes of the longest sequence that is looked at."""
PASTE_BEGINS, PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
CONTROL = 4
LOCKS = 64 | 128
"""Modifiers: caps lock and num lock change no key."""
NAMES = {"@": "\0", "[": "\x1b", "\\": "\x1c", "]": "\x1d", "^": "\x1e", "_": "\x1f"}


class Press(Record):
    """One key: its bytes, and the character that it is, "" for none that we know."""

    raw: bytes
    character: str


def keys_of(text: str) -> tuple[str, ...] | None:
    """Return the keys of a detach sequence, () for `none`; None where the text is no such sequence."""
    if text == NONE:
        return ()
    found = [_named(word) for word in text.split(",")]
    return tuple(found) if 1 <= len(found) <= 2 and all(found) else None


def _named(word: str) -> str:
    if len(word) == 1 and " " < word <= "~":
        return word
    name = word.removeprefix("ctrl-")
    if name == word or len(name) != 1:
        return ""
    return chr(ord(name.lower()) & 0x1F) if name.isascii() and name.isalpha() else NAMES.get(name, "")


def ours_text(sequence: str) -> tuple[str, str]:
    """Return what detaches, and what takes the typing, as the banner says it; `sequence` as it was written, "" for the command key."""
    if not sequence:
        return "Ctrl-] d detaches, Ctrl-] ? helps", "Ctrl-] t"
    if sequence == NONE:
        return "no key detaches", "attach --take"
    return f"{sequence.replace(',', ' ')} detaches", "attach --take"


class AttachKeys:
    """Turns what is typed into bytes and commands. `sequence` is a detach sequence of its own, None for the command key."""

    def __init__(self, sequence: tuple[str, ...] | None = None) -> None:
        self._sequence = sequence
        self._first: Press | None = None
        self._half = b""
        self._pasting = False
        self._due: float | None = None

    @property
    def due(self) -> float | None:
        """The moment at which `tick` has something to say, None where it has not."""
        return self._due

    def feed(self, data: bytes, now: float) -> Iterator[bytes | str]:
        """Yield bytes for the program, and commands."""
        data, self._half = self._half + data, b""
        self._due = None if self._first is None else self._due
        at = 0
        while at < len(data):
            if self._pasting:
                end = data.find(PASTE_ENDS, at)
                stop = len(data) if end < 0 else end + len(PASTE_ENDS)
                self._pasting = end < 0
                yield data[at:stop]
                at = stop
                continue
            key = _key_at(data, at)
            if key is None:
                self._half, self._due = data[at:], now + HALF_S
                return
            at += len(key.raw)
            self._pasting = key.raw == PASTE_BEGINS
            yield from self._key(key, now)

    def tick(self, now: float) -> Iterator[bytes]:
        """Yield what has waited long enough."""
        if self._due is None or now < self._due:
            return
        self._due = None
        first, self._first = self._first, None
        half, self._half = self._half, b""
        if first or half:
            yield (first.raw if first else b"") + half

    def _key(self, key: Press, now: float) -> Iterator[bytes | str]:
        first, self._first, self._due = self._first, None, None
        if self._sequence is None:
            yield from self._after_command_key(first, key, now)
        elif first and key.character == self._sequence[1]:
            yield DETACH
        else:
            if first:
                yield first.raw
            yield from self._begins(key, now)

    def _begins(self, key: Press, now: float) -> Iterator[bytes | str]:
        if not self._sequence or key.character != self._sequence[0]:
            yield key.raw
        elif len(self._sequence) == 1:
            yield DETACH
        else:
            self._first, self._due = key, now + WAIT_S

    def _after_command_key(self, first: Press | None, key: Press, now: float) -> Iterator[bytes | str]:
        if first is None and key.character == COMMAND_KEY:
            self._first, self._due = key, now + WAIT_S
        elif first is None:
            yield key.raw
        elif key.character in COMMANDS:
            yield COMMANDS[key.character]
        else:
            yield key.raw if key.character == COMMAND_KEY else first.raw + key.raw


def _key_at(data: bytes, at: int) -> Press | None:
    """Return the key that begins there, None where its rest has yet to come. Bytes that are no key of ours go together."""
    if data[at : at + 2] != b"\x1b[":
        if data[at] != 0x1B and data[at] >= 0x80:
            end = at + 1
            while end < len(data) and data[end] >= 0x80:
                end += 1
            return Press(data[at:end], "")
        return Press(data[at : at + 1], chr(data[at]))
    end = at + 2
    while end < len(data) and 0x20 <= data[end] <= 0x3F:
        end += 1
    if end == len(data):
        return None if end - at <= LONGEST else Press(data[at:], "")
    return Press(data[at : end + 1], _character(data[at + 2 : end].decode("latin-1"), chr(data[end])))


def _character(inside: str, final: str) -> str:
    """Return the character of a key that is written as a control sequence, "" for any other sequence."""
    numbers = [part.split(":") for part in inside.split(";")]
    if final == "u" and len(numbers) <= 3:
        code, modifiers = numbers[0][0], numbers[1] if len(numbers) > 1 else ["1"]
    elif final == "~" and len(numbers) == 3 and numbers[0] == ["27"]:
        code, modifiers = numbers[2][0], numbers[1]
    else:
        return ""
    held = modifiers[0] or "1"
    if not (code.isdecimal() and held.isdecimal()) or int(code) > 0x7E or modifiers[1:] in (["3"], ["2"]):
        return ""
    with_others = (int(held) - 1) & ~LOCKS
    if with_others == CONTROL and 0x40 <= (int(code) & 0x5F | 0x40) <= 0x5F:
        return chr(int(code) & 0x1F)
    return chr(int(code)) if with_others in (0, 1) else ""

"""The text of `ready: {log: TEXT}`: lines from pieces, without terminal codes, and a match in linear time. Bytes throughout.

`re` would cost the daemon 1.1 MB, and a backtracking matcher is at the mercy of what programs write. Here each part between two
`*` is looked for once, leftmost first, which is enough: a later place of a part never makes room for the next one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LINE = 4096
"""Bytes of a line that are looked at, the first ones."""
ANY = ord("?")
ESCAPE, BELL, STRING_END = b"\x1b", b"\x07", b"\x1b\\"


class LinePattern:
    """A text that a line has to hold. `*` stands for any bytes, `?` for one byte."""

    def __init__(self, text: str) -> None:
        self._parts = tuple(part for part in text.encode("utf-8", "surrogateescape").split(b"*") if part)

    def matches(self, line: bytes) -> bool:
        """Return whether the line holds the text."""
        at = 0
        places: dict[int, int] = {}
        for part in self._parts:
            found = _find(part, line, at, places) if ANY in part else line.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        return True


def _find(part: bytes, line: bytes, at: int, places: dict[int, int]) -> int:
    """Return the first place from `at` on where the part is in the line, or -1.

    All places are tried at once: one bit stands for each, and each byte of the part leaves those at which it fits. `places` keeps
    the bits of a byte value for the other parts.
    """
    last = len(line) - len(part)
    if last < at:
        return -1
    fitting = (1 << last + 1) - (1 << at)
    for offset, byte in enumerate(part):
        if byte != ANY:
            if byte not in places:
                places[byte] = _places(byte, line)
            fitting &= places[byte] >> offset
            if not fitting:
                return -1
    return (fitting & -fitting).bit_length() - 1


def _places(byte: int, line: bytes) -> int:
    """Return a number whose bit N says whether the line has this byte at N."""
    digits = bytearray(b"0" * 256)
    digits[byte] = ord("1")
    return int(line[::-1].translate(bytes(digits)), 2)


def without_codes(line: bytes) -> bytes:
    """Return a line without the codes that colour a terminal's text. Source: ECMA-48, 5.4 and 8.3; xterm's OSC."""
    end = line.find(ESCAPE)
    if end < 0:
        return line
    kept, at = [], 0
    while end >= 0:
        kept.append(line[at:end])
        at = _after_code(line, end + 1)
        end = line.find(ESCAPE, at)
    return b"".join((*kept, line[at:]))


def _after_code(line: bytes, at: int) -> int:
    """Return where the text goes on after a code whose ESC is before `at`."""
    kind = line[at : at + 1]
    if kind == b"]":
        ends = [found + length for end, length in ((BELL, 1), (STRING_END, 2)) if (found := line.find(end, at)) >= 0]
        return min(ends, default=len(line))
    at += kind == b"["
    while at < len(line) and 0x20 <= line[at] < (0x40 if kind == b"[" else 0x30):
        at += 1
    return min(at + 1, len(line))


class LineCutter:
    """Puts lines together from pieces that were written at different times; keeps MOST_LINE bytes of each."""

    def __init__(self) -> None:
        self._begun = b""
        self._whole = True

    def lines(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that this piece completes, without their newlines."""
        start, end = 0, piece.find(b"\n")
        while end >= 0:
            line, whole = self._joined(piece[start:end]), self._whole
            self._begun, self._whole = b"", True
            if whole:
                yield line
            start, end = end + 1, piece.find(b"\n", end + 1)
        self._begun = self._joined(piece[start:])

    def gap(self) -> None:
        """Note that bytes are missing before the next piece: the line there is not whole."""
        self._begun, self._whole = b"", False

    def _joined(self, more: bytes) -> bytes:
        return self._begun + more[: MOST_LINE - len(self._begun)]

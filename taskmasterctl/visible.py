"""Foreign text made harmless: for a terminal, which might obey it, and for a shell, which might evaluate it. Pure.

`clean` is for names, reasons and paths: one line without control characters. `Visible` is for the output of programs, which
comes in pieces: it keeps line ends, tabs and colours. `shell_quoted` is for command lines in hints.
"""

from __future__ import annotations

import codecs

MOST_SGR = 64
"""Longest colour sequence that is kept, characters."""
MOST_COLOURS = 16
"""Most colour sequences that are repeated at the start of a line; the oldest are dropped."""
SGR_CHARACTERS = frozenset("0123456789;:")
RESET = "\x1b[0m"
RESETS = frozenset({"\x1b[m", RESET, "\x1b[00m"})
BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder the text beside them. Source: Unicode Standard Annex 9."""

UNQUOTED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")
"""Characters without a meaning for a shell. Source: POSIX XCU 2.2. (shlex.quote would import re.)"""


def clean(text: object) -> str:
    """Return the text as one line, with control characters written as in a Python string."""
    line = str(text)
    return line if line.isprintable() else "".join(map(_shown, line))


def clean_lines(text: object) -> list[str]:
    """Return the lines of a text, each cleaned; one empty line for an empty text."""
    return [clean(line) for line in str(text).split("\n")]


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if character == "\t" or (character.isspace() and character > "\x9f" and character not in "\u2028\u2029"):
        return " "
    return _escaped(character)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


class Visible:
    """The output of one program, piece by piece, made safe for a terminal.

    LF, tabs and the colours of SGR sequences (ECMA-48 8.3.117) are kept. A colour ends with its line and begins again on the
    next one, so that it never reaches what stands beside the output. All other control characters (C0, DEL, C1 in any
    encoding) and bytes that are not UTF-8 are written out. A CR before LF is dropped. The end of a piece is held back
    while it may continue in the next one: a character, a colour sequence, a CR.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._colours: list[str] = []
        self._fresh = True

    def take(self, text: str) -> str:
        """Return the text to show for the next piece."""
        try:
            written = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a surrogate that does not stand for a byte
            written = text.encode("utf-8", "backslashreplace")
        return self._shown(self._held + self._decoder.decode(written), last=False)

    def flush(self) -> str:
        """Return the text that was held back, and reset the colours."""
        shown = self._shown(self._held + self._decoder.decode(b"", True), last=True)
        return shown + (RESET if self._colours and not self._fresh else "")

    def _shown(self, text: str, *, last: bool) -> str:
        self._held = ""
        pieces: list[str] = []
        *lines, rest = text.split("\n")
        for line in lines:
            self._line(line.removesuffix("\r"), pieces)
            pieces.append(f"{RESET}\n" if self._colours and not self._fresh else "\n")
            self._fresh = True
        if rest and not last:
            rest = self._hold_back(rest)
        self._line(rest, pieces)
        return "".join(pieces)

    def _hold_back(self, rest: str) -> str:
        """Hold back an end that may continue in the next piece; return the text before it."""
        at = len(rest) - 1 if rest.endswith("\r") else rest.rfind("\x1b", max(0, len(rest) - MOST_SGR))
        tail = rest[at:] if at >= 0 else ""
        if tail in {"\r", "\x1b"} or (tail.startswith("\x1b[") and SGR_CHARACTERS.issuperset(tail[2:])):
            self._held = tail
            return rest[:at]
        return rest

    def _line(self, text: str, pieces: list[str]) -> None:
        """Add a part of a line to the pieces, after the colours that are in force."""
        if not text:
            return
        if self._fresh:
            pieces.extend(self._colours)
            self._fresh = False
        if text.isprintable():
            pieces.append(text)
            return
        first, *parts = text.split("\x1b")
        pieces.append(_plain(first))
        for part in parts:
            sequence = _sgr(part)
            self._coloured(sequence, pieces)
            pieces.append(_plain(part[len(sequence) - 1 :]) if sequence else "\\x1b" + _plain(part))

    def _coloured(self, sequence: str, pieces: list[str]) -> None:
        if sequence:
            pieces.append(sequence)
            self._colours = [] if sequence in RESETS else [*self._colours[1 - MOST_COLOURS :], sequence]


def _sgr(part: str) -> str:
    """Return the colour sequence that begins with the ESC before `part`, "" if none does."""
    end = part.find("m", 1, MOST_SGR) if part.startswith("[") else -1
    return f"\x1b{part[: end + 1]}" if end > 0 and SGR_CHARACTERS.issuperset(part[1:end]) else ""


def _plain(text: str) -> str:
    """Return text without escape sequences, with its other control characters written out."""
    return text if text.isprintable() else "".join(map(_kept, text))


def _kept(character: str) -> str:
    obeyed = character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff"
    if character != "\t" and (obeyed or character in BIDIRECTIONAL or character in "\u2028\u2029"):
        return _escaped(character)
    return character


def shell_quoted(word: str) -> str:
    """Return a word as a shell needs it: plain, in quotes, or with control characters in the $'...' of bash."""
    if word and UNQUOTED.issuperset(word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    return "$'" + "".join(map(_in_quotes, word)) + "'"


def _in_quotes(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")

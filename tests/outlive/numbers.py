"""Whether logs hold every number exactly once, in order. Pure but for reading the files.

A line may be cut where its rest was in a pipe that nobody held any more: a daemon that is killed while it looks for the end of
a line to rotate at, and a program that ends before the next one comes.

A copy's lines are known from its name and their numbers alone, so whole blocks are compared at once; only where they differ
is looked line by line.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RAW, TERMINAL, PREFIX, JSON = "raw", "terminal", "prefix", "json"
STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d ")
OWN = "event"
"""The stream of the daemon's own lines in a log with `log_events`."""
CHUNK = 4096
"""Most bytes of a terminal that die with a keeper."""
BLOCK = 500
BEGINS = re.compile(rb"\d+\.\d+ 1 x\n")
READ_BYTES = 4 * 1024 * 1024
MOST_PROBLEMS = 5


def line(copy: bytes, number: int) -> bytes:
    """Return what a copy writes as its line of that number."""
    return b"%s %d %s\n" % (copy, number, b"x" * (number % 60))


class Numbers:
    """Reads the output of one slot. `counts`: how many lines each copy has; `lost` and `doubled` are in bytes.

    `cut` are the copies whose last line is not whole. `chunks` may be missing, each of CHUNK bytes at most and of one copy:
    `chunked` are the bytes that were.
    """

    def __init__(self, chunks: int = 0) -> None:
        self.chunks = chunks
        self.chunked = 0
        self._torn: bytes | None = None
        self.counts: dict[bytes, int] = {}
        self.problems: list[str] = []
        self.cut: list[bytes] = []
        self.bytes = self.lost = self.doubled = 0
        self._copy = b""
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Read on."""
        self.bytes += len(data)
        data = self._rest + data
        at = 0
        while True:
            number = self.counts.get(self._copy, 0)
            if len(data) - at > BLOCK * 100 and self._copy:
                block = b"".join([line(self._copy, each) for each in range(number + 1, number + 1 + BLOCK)])
                if data.startswith(block, at):
                    at += len(block)
                    self.counts[self._copy] = number + BLOCK
                    continue
            for _ in range(BLOCK):
                end = data.find(b"\n", at) + 1
                if not end:
                    self._rest = data[at:]
                    return
                self._line(data[at:end])
                at = end

    def begin_with(self, text: bytes) -> None:
        """Begin at this line instead of the first one."""
        copy, number, *_ = text.split()
        self._copy, self.counts[copy] = copy, int(number) - 1

    def end(self) -> None:
        """There is nothing more."""
        if self._torn is not None:
            self._problem(f"no line that was written: {self._torn[:80]!r}")
        if self._rest:
            self._problem(f"ends in the middle of a line: {self._rest[-80:]!r}")
            self._rest = b""

    def _line(self, text: bytes) -> None:
        torn, self._torn = self._torn, None
        due = self.counts.get(self._copy, 0) + 1
        if torn is not None and not self._chunk_is_missing(torn, due, text):
            self._problem(f"no line that was written: {torn[:80]!r} where {due} of {self._copy!r} was due")
        due = self.counts.get(self._copy, 0) + 1
        if self._copy and text == line(self._copy, due):
            self.counts[self._copy] = due
            return
        if torn is None and self.chunks and not BEGINS.fullmatch(text):
            self._torn = text  # the next line tells where it goes on
            return
        if self._copy and not BEGINS.fullmatch(text):
            text = self._after_cut(text, line(self._copy, due))
        copy, _, rest = text.partition(b" ")
        word = rest.partition(b" ")[0]
        if not word.isdigit() or text != line(copy, int(word)):
            self._problem(f"no line that was written: {text[:80]!r} where {due} of {self._copy!r} was due")
            return
        number = int(word)
        if copy != self._copy:
            if copy in self.counts:
                self._problem(f"{copy.decode()} goes on with {number} after {self._copy.decode()}")
            self._copy = copy
            due = self.counts.setdefault(copy, 0) + 1
        if number > due:
            self.lost += sum(len(line(copy, each)) for each in range(due, number))
            self._problem(f"{copy.decode()}: {number} where {due} was due")
        elif number < due:
            self.doubled += len(text)
            self._problem(f"{copy.decode()}: {number} again, where {due} was due")
        self.counts[copy] = max(number, due - 1)

    def _chunk_is_missing(self, torn: bytes, due: int, after: bytes) -> bool:
        """Return whether a line is the beginning of what was due and the end of what was written before `after`, with a chunk in between."""
        copy, _, rest = after.partition(b" ")
        word = rest.partition(b" ")[0]
        if copy != self._copy or not word.isdigit() or not due <= int(word) - 1 <= due + CHUNK:
            return False
        last = int(word) - 1
        first, whole = line(copy, due), line(copy, last)
        missing = sum(len(line(copy, each)) for each in range(due, last + 1)) - len(torn)
        fits = any(first[:at] == torn[:at] and whole.endswith(torn[at:]) for at in range(len(torn) + 1))
        if not fits or not 0 < missing <= CHUNK:
            return False
        self.chunks -= 1
        self.chunked += missing
        self.counts[copy] = last
        return True

    def _after_cut(self, text: bytes, whole: bytes) -> bytes:
        """Return the first line of a copy where it follows a part of the line that was due, else the text."""
        rest = text[next(at for at in range(len(text) + 1) if text[: at + 1] != whole[: at + 1]) :]
        if rest == text or not BEGINS.fullmatch(rest):
            return text
        self.cut.append(self._copy)
        return rest

    def _problem(self, text: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(text)


def pieces(log: Path) -> Iterator[bytes]:
    """Yield what is in a log, from its oldest rotated file to the newest."""
    rotated = sorted(log.parent.glob(f"{log.name}.*"), key=lambda path: -int(path.suffix[1:]))
    for path in (*rotated, log):
        with path.open("rb") as file:
            yield from iter(lambda: file.read(READ_BYTES), b"")


def plain(some: Iterable[bytes], form: str) -> Iterator[bytes]:
    """Yield what a program wrote, from what its log holds in some form; what does not have that form stays as it is."""
    if form == RAW:
        yield from some
        return
    rest = b""
    for piece in some:
        *lines, rest = (rest + piece).split(b"\n")
        yield b"".join([_plain(each, form) for each in lines])
    yield rest


def _plain(text: bytes, form: str) -> bytes:
    if form == TERMINAL:
        return text.removesuffix(b"\r") + b"\n"
    if form == PREFIX:
        stamp = STAMP.match(text)
        return (text[stamp.end() :] if stamp else b"without its prefix: " + text) + b"\n"
    try:
        written = json.loads(text)
        if written["stream"] == OWN:
            return b""
        message: str = written["message"]
        return message.encode("utf-8", "surrogateescape") + (b"" if written.get("partial") else b"\n")
    except (ValueError, KeyError, TypeError):
        return b"no object: " + text + b"\n"


def read(log: Path, form: str = RAW, chunks: int = 0) -> Numbers:
    """Return what is in a log of some form and its rotated files, in which so many chunks may be missing."""
    numbers = Numbers(chunks)
    for piece in plain(pieces(log), form):
        numbers.take(piece)
    numbers.end()
    return numbers

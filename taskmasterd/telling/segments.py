"""The files of the history: `PLACE.FIRST-TIME.jsonl`, named after the number of their first record and the time of their beginning.

They lie in a directory of their own below that of the state, 0700. The newest one is appended to. When it is full, or a quarter
of `age` has passed, another one begins, and what is beyond `size` or older than `age` is removed. A last line that a daemon could
not finish is cut off. Files of other daemons in the directory are removed when nobody has written to them for a year.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.jsontext import read_json
from taskmaster_common.records import Record
from taskmasterd.system.paths.held import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from typing_extensions import Self

SUFFIX = ".jsonl"
PIECE = 64 * 1024
"""Bytes that are read at once. No record is as long."""
YEAR_S, FOREVER_S = 366 * 86_400.0, 1e12
KEPT = 4
"""Most files of one history; each ends with the line that makes it larger than such a part of `size`."""


class Segment(Record):
    """One file: the number of its first record, the time of its beginning, its name."""

    first: int
    began: int
    name: str


class OpenSegment(Record):
    """An open file: its length, at which length and time it is continued no more, and the number of the last record so far."""

    fd: int
    size: int
    most: int
    until: float
    seq: int


class Directory:
    """The directory of a history, held open while this is entered. Raises SystemFailure when entered."""

    def __init__(self, place: str, *, create: bool = False) -> None:
        self._path, self._stem = os.path.split(place)
        self._create = create
        self._fd = -1

    def __enter__(self) -> Self:
        held = Held(self._path, "open")
        held.hold()
        try:
            if self._create and held.status() is None:
                held.make_directory(0o700)
            self._fd = held.open(os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            reason = "it is a symbolic link" if error.errno == errno.ELOOP else system_reason(error)
            raise SystemFailure("open", self._path, reason, error.errno or 0) from None
        finally:
            held.close()
        found = os.fstat(self._fd)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
            os.close(self._fd)
            raise SystemFailure("use", self._path, "it belongs to somebody else, or others may write there")
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    def segments(self) -> list[Segment]:
        """Return the files of this history, the oldest first."""
        found = [segment_of(name, self._stem) for name in os.listdir(self._fd)]
        return sorted((segment for segment in found if segment), key=lambda each: (each.first, each.began))

    def open(self, name: str, flags: int) -> int:
        """Open a file, never through a link. Raises OSError, and SystemFailure if it is not one of ours."""
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        found = os.fstat(fd)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if not ours or stat.S_IMODE(found.st_mode) & 0o022:
            os.close(fd)
            raise SystemFailure("use", f"{self._path}/{name}", "it is no file that only this daemon may write")
        return fd

    def begin(self, first: int, now: float) -> int:
        """Begin a new file; returns its descriptor. Raises OSError."""
        return self.open(f"{self._stem}.{first}-{int(now)}{SUFFIX}", os.O_RDWR | os.O_CREAT)

    def prune(self, most: int, oldest: float, now: float) -> None:
        """Remove the files of this history beyond the newest `most`, those last written before `oldest`, and forgotten ones.

        The newest one stays.
        """
        mine = self.segments()
        for at, segment in enumerate(mine[:-1]):
            if at < len(mine) - most or self._written(segment.name) < oldest:
                self._remove(segment.name)
        for name in os.listdir(self._fd):
            if name.endswith(SUFFIX) and not segment_of(name, self._stem) and self._written(name) < now - YEAR_S:
                self._remove(name)

    def _written(self, name: str) -> float:
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mtime
        except OSError:
            return float("inf")

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except OSError:
            return


def segment_of(name: str, stem: str) -> Segment | None:
    """Return the file of this name, if it is one of the history that begins so."""
    if not (name.startswith(f"{stem}.") and name.endswith(SUFFIX)):
        return None
    first, dash, began = name[len(stem) + 1 : -len(SUFFIX)].partition("-")
    if not (dash and first.isdecimal() and began.isdecimal()):
        return None
    return Segment(int(first), int(began), name)


def open_segment(place: str, limits: Mapping[str, Any], first: int, now: float) -> OpenSegment:
    """Begin a file for the record of the number `first`; 0: continue the newest one. Raises OSError or SystemFailure."""
    most, age = limits["size"] // KEPT, limits["age"] or FOREVER_S
    with Directory(place, create=True) as directory:
        opened = None if first else _continued(directory, most, age / KEPT, now)
        if opened is None or opened.fd < 0:
            seq = opened.seq if opened else max(0, first - 1)
            fd = directory.begin(seq + 1, now)
            opened = OpenSegment(fd, os.fstat(fd).st_size, most, now + age / KEPT, seq)
        directory.prune(KEPT, now - age, now)
        return opened


def _continued(directory: Directory, most: int, age_s: float, now: float) -> OpenSegment | None:
    """Return the newest file, without an unfinished last line; None without one. `fd` is -1 if it may not be continued."""
    mine = directory.segments()
    if not mine:
        return None
    newest = mine[-1]
    fd = directory.open(newest.name, os.O_RDWR)
    size, seq = _whole(fd, newest.first)
    until = newest.began + age_s
    if size >= most or not newest.began <= now < until:
        os.close(fd)
        fd = -1
    return OpenSegment(fd, size, most, until, seq)


def _whole(fd: int, first: int) -> tuple[int, int]:
    """Cut off an unfinished last line; returns the length, and the number of the last record."""
    size = os.fstat(fd).st_size
    start = max(0, size - PIECE)
    whole = start + os.pread(fd, PIECE, start).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(fd, whole)
    end, after = whole, 0
    while end > 0:
        start = max(0, end - PIECE)
        for line in reversed(os.pread(fd, end - start, start).removesuffix(b"\n").split(b"\n")):
            try:
                return whole, int(read_json(line.decode("ascii"))["seq"]) + after
            except (ValueError, TypeError, KeyError, RecursionError):
                after += 1  # somebody else wrote it
        end = start
    return whole, first - 1

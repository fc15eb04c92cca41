"""Files of the daemon's own in the directory of its state: lines of JSON, each file appended to until it is replaced or removed.

Their directory is one below that of the state, 0700. It is judged and held by its descriptor. What cannot be written is still in
the daemon's memory, so that only its death would lose it. Alerts and runs of schedules are kept like that.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.system.paths.held import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MODE, DIRECTORY_MODE = 0o600, 0o700
DRAFT = "~new"
"""Ends the name of a file that will replace another one; names of rules have no "~"."""
ASIDE = "~unreadable"
"""Ends the name of a file that is kept though nobody can read it."""
MOST_OLD_LINES = 200
"""Lines beyond those that count after which a file is written again."""
MOST_READ = 8 * 1024 * 1024
"""Most bytes read of a file; none of ours is nearly as long."""


class Place:
    """The directory; `path` None: the daemon has none, and what waits dies with it. `trouble` says why it cannot be used.

    `what` it holds, for that text: "alerts that wait".
    """

    def __init__(self, path: str | None, what: str) -> None:
        self._path = path
        self._fd = -1
        self._what = what
        self.trouble = "" if path else f"there is no directory for the state: {what} die with the daemon"

    @property
    def usable(self) -> bool:
        """Whether there is a directory at all."""
        return self._path is not None

    def enter(self) -> int:
        """Return the directory's descriptor; make the directory where it is missing. Raises OSError or SystemFailure."""
        if self._fd < 0:
            path = self._path or ""
            _make(os.path.dirname(path))
            self._fd = _make(path, keep=True)
        return self._fd

    def names(self) -> list[str]:
        """Return the names of the files in it; nothing where it cannot be read or does not exist."""
        if self._path is None or (self._fd < 0 and not os.path.isdir(self._path)):
            return []
        try:
            return os.listdir(self.enter())
        except (OSError, SystemFailure):
            return []

    def discard(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            os.unlink(name, dir_fd=self.enter())
        except (OSError, SystemFailure):
            return

    def set_aside(self, name: str) -> str:
        """Give a file another name; return that, "" where it cannot be."""
        try:
            os.rename(name, name + ASIDE, src_dir_fd=self.enter(), dst_dir_fd=self.enter())
        except (OSError, SystemFailure):
            return ""
        return name + ASIDE

    def failed(self, error: OSError | SystemFailure) -> None:
        """Note why something could not be written."""
        reason = (
            str(error) if isinstance(error, SystemFailure) else f"cannot write to {self._path}: {system_reason(error)}"
        )
        self.trouble = f"{self._what} are not on the disk: {reason}"

    def worked(self) -> None:
        """Note that something could be written."""
        self.trouble = ""

    def close(self) -> None:
        """Close the directory."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _make(path: str, *, keep: bool = False) -> int:
    """Make a directory if it is missing, and judge it; return its descriptor with `keep`. Raises OSError or SystemFailure."""
    with Held(path, "use") as held:
        if held.status() is None:
            held.make_directory(DIRECTORY_MODE)
        fd = held.open(os.O_RDONLY | os.O_DIRECTORY)
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        os.close(fd)
        raise SystemFailure("use", path, "it belongs to somebody else, or others may write there", errno.EPERM)
    if not keep:
        os.close(fd)
    return fd


class Journal:
    """One file. Lines wait until `flush`."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self.name = name
        self._fd = -1
        self._waiting: list[bytes] = []

    def add(self, value: object) -> None:
        """Queue a line."""
        if self._place.usable:
            self._waiting.append(write_json(value) + b"\n")

    def flush(self) -> None:
        """Append what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            try:
                self._open(os.O_CREAT)
                _write(self._fd, b"".join(waiting))
            except (OSError, SystemFailure) as error:
                self._place.failed(error)
            else:
                self._place.worked()

    def replace(self, values: Iterable[object]) -> None:
        """Let the file have these lines only; without any there is no file."""
        self._waiting = []
        block = b"".join([write_json(value) + b"\n" for value in values])
        self._close()
        if not block:
            self.remove()
            return
        if not self._place.usable:
            return
        try:
            directory = self._place.enter()
            self._place.discard(self.name + DRAFT)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self.name + DRAFT, flags, MODE, dir_fd=directory)
            try:
                _write(fd, block)
                os.rename(self.name + DRAFT, self.name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
        except (OSError, SystemFailure) as error:
            self._place.failed(error)
        else:
            self._place.worked()

    def read(self) -> list[Any]:
        """Return the values of all whole lines; what is no JSON is left out. Raises OSError or SystemFailure."""
        if self.name not in self._place.names():
            return []
        self._open(0)
        size = min(os.fstat(self._fd).st_size, MOST_READ)
        values: list[Any] = []
        for line in os.pread(self._fd, size, 0).split(b"\n")[:-1]:
            try:
                values.append(read_json(line.decode("ascii")))
            except (ValueError, RecursionError):
                continue
        return values

    def remove(self) -> None:
        """Remove the file."""
        self._waiting = []
        self._close()
        if self._place.usable and self.name in self._place.names():
            self._place.discard(self.name)

    def _open(self, flags: int) -> None:
        """Open the file, unless that has been done and it is still there. Raises OSError or SystemFailure."""
        if self._fd >= 0 and os.fstat(self._fd).st_nlink:
            return
        self._close()
        fd = os.open(
            self.name,
            os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags,
            MODE,
            dir_fd=self._place.enter(),
        )
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            os.close(fd)
            raise SystemFailure("use", self.name, "it is not a file of the daemon's", errno.EPERM)
        self._fd = fd

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    close = _close


class LatestValues:
    """A file of values by name; the last line of a name counts, and an empty value means that there is none."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: dict[str, Any] = {}
        self._lines = 0

    def put(self, name: str, value: Any) -> None:
        """Queue the value of a name."""
        self._rows.pop(name, None)
        if value:
            self._rows[name] = value
        self._lines += 1
        self._journal.add([name, value])

    def flush(self) -> None:
        """Write what waits; a file that is mostly old is written again."""
        if self._lines > 2 * len(self._rows) + MOST_OLD_LINES or (self._lines and not self._rows):
            self._lines = len(self._rows)
            self._journal.replace([[name, value] for name, value in self._rows.items()])
        else:
            self._journal.flush()

    def read(self) -> dict[str, Any]:
        """Return the values in the file. Raises OSError or SystemFailure, and ValueError or TypeError if they make no sense."""
        for name, value in self._journal.read():
            self._lines += 1
            self._rows.pop(str(name), None)
            if value:
                self._rows[str(name)] = value
        return dict(self._rows)

    def remove(self) -> None:
        """Remove the file."""
        self._journal.remove()


def _write(fd: int, block: bytes) -> None:
    """Append a block. Raises OSError, and then leaves the file as it was."""
    size = os.fstat(fd).st_size
    view = memoryview(block)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        os.ftruncate(fd, size)
        raise

"""The state file: lines that the daemon appends with each change; a whole new file replaces it when it has grown.

This module knows lines, not their meaning. Each write is one system call, and a rename replaces the file, so a daemon that dies
at any moment leaves a whole file, or one with an incomplete last line. Nothing is synced to the disk: the kernel's page cache
outlives the daemon, and the next boot makes the state worthless anyway (write(2), rename(2)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterd.processes.members.proofs import KEY_SUFFIX
from taskmasterd.system.loop.cmodules import keyed_hash
from taskmasterd.system.paths.held import Held, inode_of, unlink_held

MODE, DIRECTORY_MODE = 0o600, 0o700
LONGEST_NAME = 220
"""Longest name without suffixes, bytes; with all suffixes it stays within NAME_MAX, 255."""
MOST_BYTES = 256 * 1024 * 1024
"""Largest file to read, bytes; 10 000 programs need less than a tenth of it."""
SUFFIX, DRAFT, ASIDE = ".state", ".new", ".unusable"
HISTORY = "history"
"""The directory of all histories, below that of the state files; each begins with the name of its daemon's state file."""
OVERRIDES = "overrides"
"""The directory of all files of overrides, likewise."""
KEEPER_SUFFIX = ".keeper"
"""What follows the name of the state file in that of the keeper's socket."""


def file_name(socket: str) -> str:
    """Return the name of the state file of the daemon at this socket: the path, escaped as in systemd.unit(5).

    A path that is too long for a file name is cut, and ends with a hash.
    """
    text = socket.strip("/").replace("\\", "\\x5c").replace("-", "\\x2d").replace("/", "-")
    if len(os.fsencode(text)) > LONGEST_NAME:
        text = f"{text[: LONGEST_NAME // 4]}-{keyed_hash(b'', os.fsencode(socket)).hex()}"
    return text + SUFFIX


def pid_namespace() -> int:
    """Return the number of the namespace in which the pids of a state mean something, 0 if it is unknown.

    Source: pid_namespaces(7), namespaces(7).
    """
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


class StateFile:
    """A file of lines. `size` is its length in bytes, `base` its length after the last replacement.

    The daemon locks it for life, so that others can see whether the daemon is alive (flock(2)). `key` is the text of the key file
    beside it, which is as old as the daemon, so that a cleaner of old files takes that one first; "" without a key.
    """

    def __init__(self, path: str, key: str = "") -> None:
        self.path = path
        self._key = key
        self.size = self.base = 0
        self._fd = -1
        self._draft = -1
        self._held = Held(path, "write")

    @property
    def open(self) -> bool:
        """Whether lines can be appended."""
        return self._fd >= 0

    @property
    def touched(self) -> bool:
        """Whether others have changed what is open, or removed it. `what_became_of_it` looks at its path and its key, too."""
        if self._fd < 0:
            return False
        found = os.fstat(self._fd)
        return found.st_size != self.size or not found.st_nlink

    def what_became_of_it(self) -> str:
        """Return what others have done to the file since our last write, as text, or ""."""
        if self._fd < 0:
            return ""
        found = os.fstat(self._fd)
        if found.st_nlink == 0:
            return "had been removed"
        if inode_of(self.path) != (found.st_dev, found.st_ino):
            return "had been replaced or moved"
        if found.st_size != self.size:
            return "had been changed"
        return "had lost its key" if self._key and inode_of(self.path + KEY_SUFFIX) is None else ""

    def forget(self) -> None:
        """Close the file, which the next daemon will not read."""
        os.close(self._fd)
        self._fd = -1

    def append(self, block: bytes) -> None:
        """Append whole lines. Raises OSError, and then leaves the file as it was."""
        self._write(self._fd, block, self.size)
        self.size += len(block)

    def begin(self) -> None:
        """Begin the draft that will replace this file; create the directory again if it has vanished. Raises OSError."""
        self.abandon()
        self._hold()
        self._mend_key()
        self._held.discard(DRAFT)
        self._draft = self._held.open(os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK, MODE, suffix=DRAFT)
        _lock(self._draft)

    def _hold(self) -> None:
        try:
            try:
                self._held.hold()
            except SystemFailure as failure:
                if failure.errno != errno.ENOENT:
                    raise
                os.mkdir(os.path.dirname(self.path), DIRECTORY_MODE)
                self._held.hold()
        except SystemFailure as failure:
            raise OSError(failure.errno, failure.reason) from None

    def _mend_key(self) -> None:
        if not self._key:
            return
        try:
            fd = self._held.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE, suffix=KEY_SUFFIX)
        except FileExistsError:
            return
        try:
            os.write(fd, self._key.encode())
        finally:
            os.close(fd)

    def add(self, block: bytes) -> None:
        """Append whole lines to the draft. Raises OSError."""
        self._write(self._draft, block, os.fstat(self._draft).st_size)

    def replace(self) -> None:
        """Replace the file by the draft. Raises OSError."""
        self._held.replace(DRAFT)
        self._held.close()
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._draft = self._draft, -1
        self.size = self.base = os.fstat(self._fd).st_size

    def abandon(self) -> None:
        """Drop the draft."""
        if self._draft >= 0:
            os.close(self._draft)
            self._draft = -1
            self._held.discard(DRAFT)
        self._held.close()

    def remove(self) -> None:
        """Remove the file, or whatever has its name by now, because the state in it is out of date."""
        self.abandon()
        if self._fd >= 0:
            self.forget()
        unlink_held(self.path)

    @staticmethod
    def _write(fd: int, block: bytes, offset: int) -> None:
        view = memoryview(block)
        try:
            while view:
                written = os.pwrite(fd, view, offset + len(block) - len(view))
                view = view[written:]
        except OSError:
            os.ftruncate(fd, offset)
            raise


def read_lines(path: str) -> list[bytes] | None:
    """Return the complete lines of a state file, None without a file.

    Raises SystemFailure if we cannot read or trust it: a link, not a regular file, another user's, or writable by others.
    """
    held = Held(path, "read state file")
    try:
        held.hold()
        fd = held.open(os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except SystemFailure as failure:
        if failure.errno == errno.ENOENT:
            return None
        raise
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else system_reason(error)
        raise SystemFailure("read state file", path, reason, error.errno or 0) from None
    finally:
        held.close()
    try:
        found = os.fstat(fd)
        wrong = _what_is_wrong(found)
        if wrong:
            raise SystemFailure("use state file", path, wrong)
        content = b"".join(iter(lambda: os.read(fd, found.st_size + 1), b""))
    except OSError as error:
        raise SystemFailure("read state file", path, system_reason(error), error.errno or 0) from None
    finally:
        os.close(fd)
    return content.split(b"\n")[:-1]  # the daemon died while it wrote what follows the last newline


def _lock(fd: int) -> None:
    """Lock the file, if the file system has locks, so that others can see that its daemon is alive."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return


def overrides_place(directory: str | None, socket: str) -> str | None:
    """Return the path of the file of overrides, None without a directory for the state."""
    name = f"{file_name(socket).removesuffix(SUFFIX)}.json"
    return directory and os.path.join(directory, OVERRIDES, name)


def set_aside(path: str) -> str:
    """Rename an unusable file; returns its new path, "" if the rename fails."""
    try:
        with Held(path) as held:
            held.move(ASIDE)
    except (OSError, SystemFailure):
        return ""
    return path + ASIDE


def _what_is_wrong(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_uid != os.geteuid():
        return f"it belongs to uid {found.st_uid}"
    if found.st_nlink > 1:
        return f"it has {found.st_nlink} hard links"
    if stat.S_IMODE(found.st_mode) & 0o022:
        return "others may write it"
    return f"it is larger than {MOST_BYTES >> 20} MiB" if found.st_size > MOST_BYTES else ""

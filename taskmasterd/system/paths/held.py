"""A file name in a directory that was checked once and is held open since, so that no later step can be redirected.

Root often works in directories that others may write to. A path that is looked up again for each step can lead elsewhere each
time; a name below a descriptor cannot (openat(2)).
"""

from __future__ import annotations

import errno
import os

from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterd.system.paths.walk import CAN_WALK, PlantedError, enter_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

Inode = tuple[int, int]
"""Device and inode."""


class Held:
    """The file at the absolute `path`, by its name in its directory, which is held open while this is entered.

    Root does not follow links that others have planted on the way. On a system without O_PATH it uses the path itself.
    Raises SystemFailure ("cannot OP path: ...") when entered, if the directory is missing or a link was planted.
    """

    def __init__(self, path: str, op: str = "use") -> None:
        self.path = path
        self._op = op
        self._name = path
        self._fd: int | None = None

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def hold(self) -> None:
        """Check the directory and hold it open."""
        try:
            directory, name = os.path.split(self.path)
            if CAN_WALK and os.geteuid() == 0:
                self._fd = enter_directory(directory)
            elif CAN_WALK:
                self._fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._name = name if self._fd is not None else self.path
        except PlantedError as planted:
            raise SystemFailure(self._op, self.path, str(planted), errno.ELOOP) from None
        except FileNotFoundError:
            raise SystemFailure(self._op, self.path, "its directory does not exist", errno.ENOENT) from None
        except OSError as error:
            raise SystemFailure(self._op, self.path, system_reason(error), error.errno or 0) from None

    @property
    def real_path(self) -> str:
        """The path with links and `..` resolved, if it still leads to the directory that is held."""
        directory, name = os.path.split(self.path)
        real = os.path.realpath(directory)
        if self._fd is not None and inode_of(real) != inode_of_fd(self._fd):
            return self.path  # the directory was moved, or a link on the way was exchanged
        return os.path.join(real, name)

    @property
    def address(self) -> str:
        """A path of the file for bind(2) and connect(2): it goes by the directory that is held, and is short, as theirs must be.

        Without /proc it is the path itself.
        """
        by_descriptor = self._fd is not None and os.path.isdir("/proc/self/fd")
        return f"/proc/self/fd/{self._fd}/{self._name}" if by_descriptor else self.path

    def close(self) -> None:
        """Close the directory, if it is held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd, self._name = None, self.path

    def open(self, flags: int, mode: int = 0o600, *, suffix: str = "") -> int:
        """Open the file, or the one with `suffix` after its name, never through a link. Raises OSError."""
        return os.open(self._name + suffix, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self._fd)

    def status(self) -> os.stat_result | None:
        """Return the file's lstat(2), None if it is missing. Raises OSError."""
        try:
            return os.stat(self._name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @property
    def inode(self) -> Inode | None:
        """The inode at the path now, None if it is missing or we cannot look."""
        try:
            found = self.status()
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None

    def make_directory(self, mode: int) -> None:
        """Create a directory of this name. Raises OSError."""
        os.mkdir(self._name, mode, dir_fd=self._fd)

    def unlink(self) -> None:
        """Remove the file. Raises OSError."""
        os.unlink(self._name, dir_fd=self._fd)

    def discard(self, suffix: str = "") -> None:
        """Remove the file, or the one with `suffix` after its name; ignore a failure."""
        try:
            os.unlink(self._name + suffix, dir_fd=self._fd)
        except OSError:
            return

    def move(self, suffix: str) -> None:
        """Rename the file: append `suffix` to its name. Raises OSError."""
        os.rename(self._name, self._name + suffix, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def replace(self, suffix: str) -> None:
        """Replace the file by the one with `suffix` after its name. Raises OSError."""
        os.rename(self._name + suffix, self._name, src_dir_fd=self._fd, dst_dir_fd=self._fd)


def inode_of(path: str) -> Inode | None:
    """Return the inode at `path`, without following a link, or None."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def inode_of_fd(fd: int) -> Inode:
    """Return the inode of an open file."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def unlink_own(path: str, inode: Inode | None) -> None:
    """Remove `path` if it is still the file `inode`; leave any other file there alone."""
    if inode is not None:
        unlink_held(path, inode)


def unlink_held(path: str, inode: Inode | None = None) -> None:
    """Remove `path`, with an `inode` only if it is that file; ignore a failure."""
    held = Held(path, "remove")
    try:
        held.hold()
    except SystemFailure as failure:
        if failure.errno not in (errno.EMFILE, errno.ENFILE):
            return  # only a shortage of descriptors is no obstacle: then `held` uses the path itself
    if inode is None or held.inode == inode:
        held.discard()
    held.close()

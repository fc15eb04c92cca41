"""Walks into the directory of a log, following another user's links only to that user's own directories.

Otherwise a program could replace the directory of its log by a link, and have root create, rename or delete files wherever it
likes. The walk follows a link if root or the daemon's user made it, or if it leads to a directory of its maker. It returns a
descriptor: callers name files relative to that, so nothing can be exchanged afterwards.
"""

from __future__ import annotations

import errno
import os
import stat

DIRECTORY_MODE = 0o750
MOST_LINKS = 40
"""Most links to follow, the kernel's own limit. Source: path_resolution(7)."""
MOST_STEPS = 1024
"""Most names on the way, those in links included: the makers of links decide how many there are."""
CAN_WALK = hasattr(os, "O_PATH")
HOLD = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that hold a link itself instead of following it, on Linux and FreeBSD. Source: open(2)."""
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PlantedError(Exception):
    """A link on the way was made by a user who may not lead us there; the text is the reason."""


def enter_directory(path: str, *, make: bool = False, owner: tuple[int, int] | None = None) -> int:
    """Return a descriptor of the directory at `path`; with `make`, create missing directories, for `owner` if we are root.

    Raises PlantedError, or OSError as open(2) would. On a system without O_PATH the kernel follows all links.
    """
    if not CAN_WALK:
        if make:
            os.makedirs(path or ".", DIRECTORY_MODE, exist_ok=True)
        return os.open(path or ".", LIST & ~os.O_NOFOLLOW)
    way = _Way("/" if path.startswith("/") else ".", make, owner)
    try:
        way.go(path)
        way.judge()
    except BaseException:
        os.close(way.held)
        raise
    return way.held


class _Way:
    """Goes step by step from the directory that is `held`, so that nothing can be exchanged behind us."""

    def __init__(self, start: str, make: bool, owner: tuple[int, int] | None) -> None:
        self.held = os.open(start, HOLD | os.O_DIRECTORY)
        self._make = make
        self._owner = owner
        self._links = 0
        self._makers: set[int] = set()

    def go(self, path: str) -> None:
        """Take all steps of a path, and of the links in it."""
        names = _names(path)
        steps = 0
        while names:
            steps += 1
            if steps > MOST_STEPS:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            name = names.pop()
            try:  # most names are directories, which need no further look
                self._hold(os.open(name, HOLD | os.O_DIRECTORY, dir_fd=self.held))
                continue
            except (FileNotFoundError, NotADirectoryError):
                below = self._step(name)
            found = os.fstat(below)
            if stat.S_ISLNK(found.st_mode):
                names += self._follow(below, found.st_uid)
            else:
                self._hold(below)

    def judge(self) -> None:
        """Raise if the way does not end at a directory, or if the maker of a link does not own the end."""
        end = os.fstat(self.held)
        if not stat.S_ISDIR(end.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        self._refuse_to_be_led(end)

    def _refuse_to_be_led(self, to: os.stat_result) -> None:
        """Raise PlantedError if a link that another user made has led to a directory that is not his."""
        planters = self._makers - {0, os.geteuid(), to.st_uid}
        if planters:
            raise PlantedError(f"a link on its way was made by uid {min(planters)}, who does not own where it leads")

    def _step(self, name: str) -> int:
        """Return a descriptor of `name` in the directory that is held; with `make`, create it if it is missing."""
        try:
            return os.open(name, HOLD, dir_fd=self.held)
        except FileNotFoundError:
            if not self._make:
                raise
        self._refuse_to_be_led(os.fstat(self.held))  # what is made there would be the maker's own
        _make_directory(self.held, name, self._owner)
        return os.open(name, HOLD, dir_fd=self.held)

    def _follow(self, link: int, maker: int) -> list[str]:
        """Return the steps of an open link, and close it. Source: readlinkat(2): an empty name means the link itself."""
        try:
            target = os.readlink("", dir_fd=link)
        finally:
            os.close(link)
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._makers.add(maker)
        if target.startswith("/"):
            self._hold(os.open("/", HOLD | os.O_DIRECTORY))
        return _names(target)

    def _hold(self, fd: int) -> None:
        os.close(self.held)
        self.held = fd


def _names(path: str) -> list[str]:
    """Return the steps of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _make_directory(held: int, name: str, owner: tuple[int, int] | None) -> None:
    """Create a directory in the one that is held, unless the name is taken by now. Raises OSError."""
    try:
        if owner and os.geteuid() == 0 and owner != (0, 0):
            _make_for(held, name, owner)
        else:
            os.mkdir(name, DIRECTORY_MODE, dir_fd=held)
    except FileExistsError:
        return


def _make_for(held: int, name: str, owner: tuple[int, int]) -> None:
    """Create a directory that belongs to `owner` from the first moment it has its name.

    Users who may write to the parent could exchange a directory of root's before root gives it away. So root creates it and
    gives it away inside a directory that only root may enter, and then moves it to its name.
    """
    nest = f".taskmaster-{os.urandom(8).hex()}"
    os.mkdir(nest, 0o700, dir_fd=held)
    try:
        inside = os.open(nest, LIST, dir_fd=held)
        try:
            found = os.fstat(inside)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise PlantedError("its new directory was exchanged while it was created")
            _make_and_move(inside, held, name, owner)
        finally:
            os.close(inside)
    finally:
        _remove_directory(nest, held)


def _make_and_move(inside: int, held: int, name: str, owner: tuple[int, int]) -> None:
    os.mkdir("new", DIRECTORY_MODE, dir_fd=inside)
    try:
        made = os.open("new", LIST, dir_fd=inside)
        try:
            os.fchown(made, *owner)
        finally:
            os.close(made)
        try:
            os.rename("new", name, src_dir_fd=inside, dst_dir_fd=held)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR):  # the name is taken by now
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            raise
    except BaseException:
        _remove_directory("new", inside)
        raise


def _remove_directory(name: str, held: int) -> None:
    """Remove an empty directory; leave anything else that has its name now."""
    try:
        os.rmdir(name, dir_fd=held)
    except OSError:
        return

"""The way into the directory of a log: no link of another user leads us anywhere but to that user's own directories.

Otherwise a program could have root create, rename or delete files wherever it likes: it replaces the directory of its log
by a link. A link is followed if root or the daemon's user made it, or if it leads to a directory of its maker. What comes
out is a descriptor: whoever works in the directory names files relative to it, so nothing can be exchanged afterwards.
"""

from __future__ import annotations

import errno
import os
import stat

DIRECTORY_MODE = 0o750
MOST_LINKS = 40
"""The kernel's own limit. Source: path_resolution(7)."""
MOST_STEPS = 1024
"""Names on the way, those in links included: whoever may make links decides how many there are."""
CAN_WALK = hasattr(os, "O_PATH")
HOLD = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC
"""A link is held itself, not followed. Source: open(2). Linux and FreeBSD have it."""
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PlantedError(Exception):
    """A link on the way was made by somebody who may not lead us there; the text is the reason."""


def enter_directory(path: str, *, make: bool = False, owner: tuple[int, int] | None = None) -> int:
    """Return a descriptor of the directory at `path`; with `make` what is missing is created, for `owner` if we are root.

    Raises PlantedError, or OSError as open(2) would. Where there is no O_PATH the kernel follows all links.
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
    """Step by step from the directory that is `held`, so that nothing can be exchanged behind us."""

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
            try:  # mostly it is a directory, and there is nothing to look at
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
        """Raise where the way does not end at a directory, or where somebody who made a link does not own its end."""
        end = os.fstat(self.held)
        if not stat.S_ISDIR(end.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        planters = self._makers - {0, os.geteuid(), end.st_uid}
        if planters:
            raise PlantedError(f"a link on its way was made by uid {min(planters)}, who does not own where it leads")

    def _step(self, name: str) -> int:
        """Return a descriptor of what is called `name` in the directory that is held; a missing directory is created."""
        try:
            return os.open(name, HOLD, dir_fd=self.held)
        except FileNotFoundError:
            if not self._make:
                raise
        _make_directory(self.held, name, self._owner)
        return os.open(name, HOLD, dir_fd=self.held)

    def _follow(self, link: int, maker: int) -> list[str]:
        """Return the steps of a link that is held; closes it. Source: readlinkat(2), an empty name means the link itself."""
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
    """Create a directory in the one that is held, unless something has that name by now. Raises OSError."""
    try:
        if owner and os.geteuid() == 0 and owner != (0, 0):
            _make_for(held, name, owner)
        else:
            os.mkdir(name, DIRECTORY_MODE, dir_fd=held)
    except FileExistsError:
        return


def _make_for(held: int, name: str, owner: tuple[int, int]) -> None:
    """Create a directory that belongs to `owner` from the first moment that it has its name.

    Where others may write to the parent they could put something else in the place of a directory of ours before it is given
    away. So it is created and given away inside a directory that only root may enter, and then moved to its name.
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
            if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR):  # something has that name by now
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            raise
    except BaseException:
        _remove_directory("new", inside)
        raise


def _remove_directory(name: str, held: int) -> None:
    """Remove an empty directory; one that has been exchanged for something else stays."""
    try:
        os.rmdir(name, dir_fd=held)
    except OSError:
        return

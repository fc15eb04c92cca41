"""Root's way into a directory that a program's user may write to: no link of that user leads root anywhere else.

Otherwise a program could have root create a file with contents of its choice wherever it likes: it replaces the directory
of its log by a link. A link is followed if root made it, or if it leads to a directory of whoever made it.
"""

from __future__ import annotations

import errno
import os
import stat

DIRECTORY_MODE = 0o750
MOST_LINKS = 40
"""As many as the kernel follows. Source: path_resolution(7)."""
CAN_WALK = hasattr(os, "O_PATH")
HOLD = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC
"""A link is held itself, not followed. Source: open(2). Linux and FreeBSD have it."""


class PlantedError(Exception):
    """A link on the way was made by somebody who may not lead us there; the text is the reason."""


def enter_directory(path: str, owner: tuple[int, int] | None) -> int:
    """Return a descriptor of the directory at the absolute `path`; missing ones are made for `owner`, if that is given.

    Only where `CAN_WALK`. Raises PlantedError, or OSError as open(2) would.
    """
    way = _Way(owner)
    try:
        way.go(path)
        way.judge()
    except BaseException:
        os.close(way.held)
        raise
    return way.held


class _Way:
    """Step by step from the directory that is `held`, so that nothing can be exchanged behind us."""

    def __init__(self, owner: tuple[int, int] | None) -> None:
        self.held = os.open("/", HOLD | os.O_DIRECTORY)
        self._owner = owner
        self._links = 0
        self._makers: set[int] = set()

    def go(self, path: str) -> None:
        """Take all steps of a path, and of the links in it."""
        names = _names(path)
        while names:
            name = names.pop()
            below = _step(self.held, name, self._owner)
            found = os.fstat(below)
            if stat.S_ISLNK(found.st_mode):
                os.close(below)
                names += self._follow(name, found.st_uid)
            else:
                self._hold(below)

    def judge(self) -> None:
        """Raise PlantedError where somebody who made a link does not own the end of the way."""
        end = os.fstat(self.held).st_uid
        planters = self._makers - {0, end}
        if planters:
            raise PlantedError(f"a link on its way was made by uid {min(planters)}, who does not own where it leads")

    def _follow(self, name: str, maker: int) -> list[str]:
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._makers.add(maker)
        target = os.readlink(name, dir_fd=self.held)
        if target.startswith("/"):
            self._hold(os.open("/", HOLD | os.O_DIRECTORY))
        return _names(target)

    def _hold(self, fd: int) -> None:
        os.close(self.held)
        self.held = fd


def _names(path: str) -> list[str]:
    """Return the steps of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _step(held: int, name: str, owner: tuple[int, int] | None) -> int:
    """Return a descriptor of what is called `name` in the directory that is held; a missing directory is made."""
    try:
        return os.open(name, HOLD, dir_fd=held)
    except FileNotFoundError:
        if owner is None:
            raise
    try:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=held)
        os.chown(name, *owner, dir_fd=held, follow_symlinks=False)
    except FileExistsError:
        pass
    return os.open(name, HOLD, dir_fd=held)

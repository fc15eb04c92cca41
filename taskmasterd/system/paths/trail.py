"""Opens a path step by step and records everything it passes, so that the caller can judge who could have changed the way.

It holds each directory by a descriptor while it looks up the next name, so it records exactly what it has used. It judges
nothing, but opens no device: with some of them that is an effect (a watchdog begins to count, a tape is rewound), and a link
may lead here that the caller will not accept.
"""

from __future__ import annotations

import errno
import os
import stat

MOST_LINKS = 40
"""Most links to follow, the kernel's own limit. Source: path_resolution(7)."""
DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)

Passed = tuple[str, os.stat_result]
"""A directory or symbolic link on the way: its path and its stat(2)."""


def open_recording(path: str, flags: int) -> tuple[int, list[Passed]]:
    """Return a descriptor of the target of the absolute `path`, and all directories and links on the way.

    A target that is a directory is the last one recorded, and its descriptor serves only fstat; so does that of a device other
    than the null device. Any other target is opened with `flags`. Raises OSError as open(2) would.
    """
    trail = _Trail(flags)
    try:
        return trail.go(path), trail.passed
    finally:
        trail.close()


class _Trail:
    def __init__(self, flags: int) -> None:
        self.passed: list[Passed] = []
        self._flags = flags
        self._links = 0
        self._shown = "/"
        self._held = -1
        self._enter(os.open("/", DIRECTORY), "/")

    def close(self) -> None:
        if self._held >= 0:
            os.close(self._held)

    def go(self, path: str) -> int:
        names = _names(path)
        while names:
            name = names.pop()
            kind = os.stat(name, dir_fd=self._held, follow_symlinks=False)
            if stat.S_ISLNK(kind.st_mode) and not self._is_descriptor():
                names += self._follow(name, kind)
            elif stat.S_ISDIR(kind.st_mode) or names:
                self._enter(os.open(name, DIRECTORY, dir_fd=self._held), self._below(name))
            else:
                return self._open(name, kind)
        held, self._held = self._held, -1
        return held

    def _open(self, name: str, kind: os.stat_result) -> int:
        """Open the target, which is no directory; of a device, return a descriptor that has not opened it."""
        follow = os.O_NOFOLLOW
        if self._is_descriptor():
            kind, follow = os.stat(name, dir_fd=self._held), 0
        flags = os.O_PATH | os.O_CLOEXEC if _acts_when_opened(kind) and hasattr(os, "O_PATH") else self._flags
        return os.open(name, flags | follow, dir_fd=self._held)

    def _enter(self, fd: int, shown: str) -> None:
        self.close()
        self._held, self._shown = fd, shown
        self.passed.append((shown, os.fstat(fd)))

    def _follow(self, name: str, link: os.stat_result) -> list[str]:
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self.passed.append((self._below(name), link))
        target = os.readlink(name, dir_fd=self._held)
        if target.startswith("/"):
            self._enter(os.open("/", DIRECTORY), "/")
        return _names(target)

    def _below(self, name: str) -> str:
        return os.path.dirname(self._shown) if name == ".." else os.path.join(self._shown, name)

    def _is_descriptor(self) -> bool:
        """Return whether the names here are open descriptors, whose links are not paths. Source: proc_pid_fd(5)."""
        return self._shown.startswith("/proc/") and self._shown.endswith("/fd")


def _acts_when_opened(found: os.stat_result) -> bool:
    """Return whether this is a device whose driver hears of an open(2). Only root can put one where another file was."""
    if stat.S_ISCHR(found.st_mode):
        return found.st_rdev != os.stat(os.devnull).st_rdev
    return stat.S_ISBLK(found.st_mode)


def _names(path: str) -> list[str]:
    """Return the steps of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]

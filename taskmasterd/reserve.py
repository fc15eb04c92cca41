"""Descriptors that are kept for a time when no others are left."""

from __future__ import annotations

import os


class Reserve:
    """At most `count` descriptors; `fill` takes them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._fds: list[int] = []

    def fill(self) -> None:
        """Take descriptors until there are enough, or no more can be had."""
        try:
            while len(self._fds) < self._count:
                self._fds.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:  # later, when others have been closed
            return

    def __len__(self) -> int:
        return len(self._fds)

    def release(self, count: int) -> None:
        """Close so many of them, or all."""
        for fd in self._fds[:count]:
            os.close(fd)
        del self._fds[:count]

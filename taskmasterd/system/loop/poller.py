"""Waits for descriptors: with epoll if the system has it, otherwise with `selectors`.

On Linux, `selectors` would cost 0.6 MB (measured as in `cmodules`) and a key object for each descriptor, for no gain.
"""

from __future__ import annotations

import os
import select

from taskmasterd.fallbacks import SHORTAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Poller(Protocol):
        """The place where the loop sleeps. It adds a descriptor, changes it any number of times, and removes it."""

        def add(self, fd: int, events: int, /) -> None:
            """Start waiting for `events` of `fd`. Raises OSError."""

        def change(self, fd: int, events: int, /) -> None:
            """Wait for other events of `fd`."""

        def remove(self, fd: int, /) -> None:
            """Stop waiting for `fd`, which may have been closed already."""

        def wait(self, timeout_s: float | None, most: int, /) -> list[tuple[int, int]]:
            """Return (fd, events) of at most `most` ready descriptors; an error or a hang-up counts as every event."""

        def close(self) -> None:
            """Close the poller's own descriptor."""


READ, WRITE = 1, 2


class Epoll:
    """The `Poller` of Linux. Source: epoll(7)."""

    def __init__(self) -> None:
        """Try each call once. Raises OSError if the system refuses one."""
        self._epoll = select.epoll()
        read, write = os.pipe()
        try:
            self._epoll.register(read, select.EPOLLIN)
            self._epoll.modify(read, 0)
            self._epoll.poll(0, 1)
            self._epoll.unregister(read)
        except OSError:
            self._epoll.close()
            raise
        finally:
            os.close(read)
            os.close(write)

    def add(self, fd: int, events: int) -> None:
        """See `Poller`."""
        self._epoll.register(fd, _mask(events))

    def change(self, fd: int, events: int) -> None:
        """See `Poller`."""
        self._epoll.modify(fd, _mask(events))

    def remove(self, fd: int) -> None:
        """See `Poller`."""
        try:
            self._epoll.unregister(fd)
        except OSError:
            return

    def wait(self, timeout_s: float | None, most: int) -> list[tuple[int, int]]:
        """See `Poller`."""
        return [
            (fd, (READ if mask & ~select.EPOLLOUT else 0) | (WRITE if mask & ~select.EPOLLIN else 0))
            for fd, mask in self._epoll.poll(timeout_s, max(1, most))
        ]

    def close(self) -> None:
        """See `Poller`."""
        self._epoll.close()


def _mask(events: int) -> int:
    return (select.EPOLLIN if events & READ else 0) | (select.EPOLLOUT if events & WRITE else 0)


class Portable:
    """A `Poller` for any system."""

    def __init__(self) -> None:
        import selectors  # noqa: PLC0415 - see above

        # on a system with epoll, DefaultSelector would be epoll again, which a sandbox has just refused
        self._selector = selectors.PollSelector() if hasattr(select, "epoll") else selectors.DefaultSelector()

    def add(self, fd: int, events: int) -> None:
        """See `Poller`."""
        self._selector.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """See `Poller`."""
        self._selector.modify(fd, events)

    def remove(self, fd: int) -> None:
        """See `Poller`."""
        self._selector.unregister(fd)

    def wait(self, timeout_s: float | None, most: int) -> list[tuple[int, int]]:
        """See `Poller`."""
        return [(key.fd, events) for key, events in self._selector.select(timeout_s)[:most]]

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


def new_poller() -> Poller:
    """Return the best poller that the system allows. Raises OSError for a shortage."""
    try:
        return Epoll() if hasattr(select, "epoll") else Portable()
    except OSError as error:
        if error.errno in SHORTAGES:
            raise
        return Portable()

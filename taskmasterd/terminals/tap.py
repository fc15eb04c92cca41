"""The output of a terminal without a log, as long as somebody looks: a pipe that the keeper copies into. What does not fit is lost."""

from __future__ import annotations

import os

from taskmasterd.system.loop.reactor import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.system.loop.reactor import Reactor


class Tap:
    """A reader as `output.read.Follower` is one. `changed` is called when there is something new after `read` has found nothing."""

    place = ""

    def __init__(self, reactor: Reactor, keeping: Keeping, key: str, changed: Callable[[], None]) -> None:
        self._reactor = reactor
        self._changed = changed
        self._fd, write = os.pipe()
        os.set_blocking(self._fd, False)
        keeping.tap(key, write)

    def behind(self) -> int:
        """Return how many bytes are not read yet: no more than a pipe holds."""
        return 0

    def read(self, most: int) -> tuple[bytes, int]:
        """Return (at most `most` bytes, 0); (b"", 0) without news."""
        if self._fd < 0:
            return b"", 0
        try:
            block = os.read(self._fd, most)
        except BlockingIOError:
            self._reactor.watch(self._fd, READ, self._ready)
            return b"", 0
        return block, 0

    def _ready(self, _events: int) -> None:
        self._reactor.remove(self._fd)
        self._changed()

    def close(self) -> None:
        """Close it. A second call does nothing."""
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            os.close(self._fd)
            self._fd = -1

"""Watches files for the daemon: a process of its own, because a walk through a tree, or a network mount that hangs, takes its time.

THE CHANNEL is a socket with a line of JSON for each message. From the daemon, whenever something has changed:
    {"watch": {NAME: ORDER}, "never": {"files": [PATH], "below": [DIRECTORY]}, "since": {NAME: SECONDS}}
ORDER has `paths`, pairs of an absolute path or pattern and its text, `include`, `ignore`, `default_ignores`, `debounce` and `poll`
(0: as the kernel tells); a NAME that is missing is watched no more. `never` are the daemon's own files, with what is called the same and a dot
and more, and its directories, with a slash at the end. What was modified after `since`, seconds of the wall clock, has changed. To the daemon:
    {"name": NAME, "on": DIRECTORIES, "poll": SECONDS}    it is watched
    {"name": NAME, "off": TEXT}                           it is not
    {"name": NAME, "changed": PATH, "more": N, "ago": SECONDS}    these files have changed; the first change was so long ago
The end of the channel ends this process.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from taskmasterd.renewal.watcher.watches import Kernel, ProgramWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

PIECE = 65_536


class FileWatcher:
    """All watches, and the channel."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._rest = b""
        self._own: frozenset[str] = frozenset()
        self._beginnings: tuple[str, ...] = ()
        self._watches: dict[str, ProgramWatch] = {}
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        try:
            self._kernel: Kernel | None = Kernel()
            self._poll.register(self._kernel.fd, select.POLLIN)
        except OSError:  # not Linux, or too many instances: then it looks again and again
            self._kernel = None

    def run(self) -> int:
        """Work until the daemon closes the channel."""
        while True:
            ready = {fd for fd, _events in self._poll.poll(self._sleep_ms())}
            if self._channel in ready and not self._hear():
                return 0
            if self._kernel and self._kernel.fd in ready:
                self._kernel.read()
            now = time.monotonic()
            for watch in tuple(self._watches.values()):
                if watch.poll_at is not None and watch.poll_at <= now:
                    watch.poll()
                if watch.burst.open and watch.burst.due <= now:
                    watch.conclude()

    def _sleep_ms(self) -> int | None:
        moments = [watch.burst.due for watch in self._watches.values() if watch.burst.open]
        moments += [watch.poll_at for watch in self._watches.values() if watch.poll_at is not None]
        return max(0, int((min(moments) - time.monotonic()) * 1000) + 1) if moments else None

    # -- the channel

    def _hear(self) -> bool:
        """Take what the daemon says; return False at the end of the channel."""
        try:
            piece = os.read(self._channel, PIECE)
        except ConnectionResetError:
            return False
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(piece)

    def _obey(self, order: Mapping[str, Any]) -> None:
        files, below = order["never"]["files"], order["never"]["below"]
        self._own = frozenset(files)
        self._beginnings = (*(f"{path}." for path in files), *below)
        for name in tuple(self._watches):
            if order["watch"].get(name) != self._watches[name].order:
                self._watches.pop(name).end()
        for name, wanted in order["watch"].items():
            if name not in self._watches:
                watch = self._watches[name] = ProgramWatch(wanted, self._kernel, self._is_ours, self._teller(name))
                watch.begin(order["since"].get(name))

    def _is_ours(self, path: str) -> bool:
        return path in self._own or path.startswith(self._beginnings)

    def _teller(self, name: str) -> Callable[[Mapping[str, Any]], None]:
        def tell(fields: Mapping[str, Any]) -> None:
            self._say({"name": name, **fields})

        return tell

    def _say(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            try:
                data = data[os.write(self._channel, data) :]
            except (BrokenPipeError, ConnectionResetError):
                sys.exit(0)


def main(words: Sequence[str]) -> int:
    """Watch for the daemon at the other end of the descriptor in `words`; returns the exit code."""
    os.setsid()
    os.chdir("/")
    return FileWatcher(int(words[0])).run()

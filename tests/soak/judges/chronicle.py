"""Whether the event log tells possible lives: each `started (pid N)` is matched by exactly one end, in a possible order.

    started (pid N) … running (pid N) … exited | ended | failed to start … what followed

Pure: lines go in, findings come out. A name is a slot (`web` is `web:0`: only the shown name changes with numprocs).
"""

from __future__ import annotations

import re
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE = re.compile(r"(\S+) (?:debug|info|warning|error) (.*)")
NAMED = re.compile(r"([\w.@+-]+)(:\d+)? (.*)")
STARTED = re.compile(r"started \(pid (\d+)(?:, try \d+ of \d+)?\)")
RUNNING = re.compile(r"running \(pid (\d+)\)")
ENDED = re.compile(r"(exited|ended|failed to start): ")
NOTHING_ALIVE = re.compile(
    r"(restarting(?!: unhealthy|.*; ending it)|gave up|stopped by|not started|ending what it left behind)\b"
)
STOPPING = re.compile(r"stopping: ")


class Chronicle:
    """What has been read so far. `open`: slot to the pid that has been started and has not ended."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.started: Counter[tuple[str, int]] = Counter()
        self.ended = 0
        self.lines = 0
        self._last = ""
        self._running: set[str] = set()

    def read(self, lines: Iterable[str]) -> Iterator[str]:
        """Take in more lines; yields what is wrong with them."""
        for line in lines:
            self.lines += 1
            if "internal error" in line:
                yield f"internal error: {line}"
            found = LINE.fullmatch(line)
            if not found:
                yield f"no line of the event log: {line!r}"
                continue
            if found[1] < self._last:
                yield f"the clock goes back from {self._last}: {line}"
            self._last = found[1]
            named = NAMED.fullmatch(found[2])
            problem = self._event(named[1] + (named[2] or ":0"), named[3]) if named else ""
            if problem:
                yield f"{problem}: {line}"

    def _event(self, slot: str, text: str) -> str:
        """Return what is impossible about an event, "" where it is possible."""
        pid = self.open.get(slot)
        if started := STARTED.fullmatch(text):
            return self._start(slot, int(started[1]))
        if running := RUNNING.fullmatch(text):
            again = slot in self._running
            self._running.add(slot)
            return "" if pid == int(running[1]) and not again else f"running, but {pid} was started"
        if ENDED.match(text):
            return self._end(slot, text)
        if STOPPING.match(text) and pid is None:
            return "told to stop, but nothing runs"
        if NOTHING_ALIVE.match(text) and pid is not None:
            return f"nothing is alive, but {pid} has not ended"
        return ""

    def _start(self, slot: str, pid: int) -> str:
        before = self.open.get(slot)
        others = [name for name, theirs in self.open.items() if theirs == pid]
        self.open[slot] = pid
        self.started[slot, pid] += 1
        if before is not None:
            return f"a second instance beside {before}"
        return f"{pid} is that of {others[0]} too" if others else ""

    def _end(self, slot: str, text: str) -> str:
        pid = self.open.pop(slot, None)
        ran = slot in self._running
        self._running.discard(slot)
        if pid is None:
            # where a step in the daemon itself fails there was no process
            return (
                ""
                if text.startswith(("failed to start: cannot ", "failed to start: pre_start: "))
                else "an end without a start"
            )
        self.ended += 1
        if text.startswith("exited") and not ran:
            return "it exited, but was not running"
        return "it failed to start, but was running" if text.startswith("failed") and ran else ""

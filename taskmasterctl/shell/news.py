"""Which changes the shell prints: a few lines a second for unexpected ones, a count for the others.

It reads the feed and returns text; it prints nothing itself.
"""

from __future__ import annotations

import select
import time

from taskmaster_common.text.patterns import Targets, ungrouped
from taskmasterctl.reply.mirror import unexpected
from taskmasterctl.reply.render import change_text
from taskmasterctl.reply.results import upgraded_text
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.shell.feed import Feed
    from taskmasterctl.usernames import UserName

MOST_A_SECOND = 5
"""Most lines that are printed in a window."""
WINDOW_S = 1.0
MOST_PROGRAMS = 100
"""Most programs whose changes are counted one by one."""
MOST_NAMED = 4
"""Most programs that the line of a count names."""
MOST_STEPS = 200
"""Most chunks that are read before the next prompt, should changes never end."""


class Notices:
    """Lets MOST_A_SECOND lines through in each window of a second, then one line with the number of the others, and the last.

    All times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0
        self._programs: dict[str, int] = {}
        self._last = self._last_program = ""
        self._opened_at = float("-inf")
        self._spent = 0

    def add(self, line: str, now: float, program: str = "") -> None:
        """Add a line; if the window is full, it is only counted."""
        if now - self._opened_at >= WINDOW_S and not self._more:
            self._opened_at, self._spent = now, 0
        if self._spent < MOST_A_SECOND and not self._more:
            self._spent += 1
            self._lines.append(line)
        else:
            self._more += 1
            if program in self._programs or (program and len(self._programs) < MOST_PROGRAMS):
                self._programs[program] = self._programs.get(program, 0) + 1
            self._last, self._last_program = line, program

    def skip(self, count: int) -> None:
        """Count changes that the daemon did not send."""
        self._more += count

    def take(self, now: float) -> list[str]:
        """Return the lines to print now, each once and with its line end."""
        lines, self._lines = self._lines, []
        if self._more and now - self._opened_at >= WINDOW_S:
            last = [self._last] if self._last else []
            more = self._more - len(last)
            if more:
                programs = self._named(self._last_program if last else "", more)
                lines.append(
                    f"... {more} more change{'s' if more != 1 else ''}{programs}; `status` shows how it stands\n"
                )
            lines += last
            self._programs = {}
            self._more, self._last, self._opened_at, self._spent = 0, "", now, len(last) + bool(more)
        return lines

    def _named(self, last: str, more: int) -> str:
        """Return the programs of the counted changes, without the last change, which has a line of its own."""
        counts = {name: count - (name == last) for name, count in self._programs.items() if count > (name == last)}
        first = sorted(counts, key=lambda name: -counts[name])[:MOST_NAMED]
        others = more - sum(counts[name] for name in first)
        parts = [f"{name} {counts[name]}" for name in first] + ([f"others {others}"] if others > 0 and first else [])
        return f" ({', '.join(parts)})" if parts else ""

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until `take` has something to return, None for never."""
        if self._lines:
            return 0.0
        return max(0.0, self._opened_at + WINDOW_S - now) if self._more else None


class News:
    """The lines that the shell prints beside its commands. `notify`: print unexpected changes."""

    def __init__(self, feed: Feed, user_name: UserName | None = None) -> None:
        self.feed = feed
        self._user_name = user_name
        self.notify = True
        self._notices = Notices()
        self._lines: list[str] = []
        self._version = ""

    def step(self) -> list[str]:
        """Read the feed once, without waiting; return the lines to print now."""
        self._hear(self.feed.step(time.monotonic()))
        return self.take()

    def take(self) -> list[str]:
        """Return the lines to print now."""
        lines, self._lines = self._lines, []
        return lines + self._notices.take(time.monotonic())

    def wait_s(self) -> float | None:
        """Return the seconds until `step` must be called, None: not before something is received."""
        now = time.monotonic()
        waits = [each for each in (self.feed.wait_s(now), self._notices.wait_s(now)) if each is not None]
        return min(waits) if waits else None

    def catch_up(self, own: Sequence[str] = (), within_s: float = 0.0) -> None:
        """Read everything that has arrived; before the first snapshot, wait at most `within_s` for it.

        `own` are the targets of the command that has just printed its results: their changes are not printed again.
        """
        limit = time.monotonic() + within_s
        own = ungrouped(own, self.feed.mirror.daemon.get("groups") or {})
        for _ in range(MOST_STEPS):
            self._hear(self.feed.step(time.monotonic()), own)
            left_s = 0.0 if self.feed.connected else max(0.0, limit - time.monotonic())
            if self.feed.fd < 0 or not _readable(self.feed.fd, left_s):
                return

    def _hear(self, happened: Sequence[dict[str, Any]], own: Sequence[str] = ()) -> None:
        now = time.monotonic()
        wall = time.strftime("%H:%M:%S")
        for message in happened:
            kind = message["type"]
            if kind == "lost":
                reason = clean(message.get("reason") or "the connection to taskmasterd is lost; trying again")
                self._lines.append(f"{wall} {with_names(reason, self._user_name)}\n")
            elif kind == "upgraded":
                self._version = clean(message["version"])
                self._lines.append(f"{wall} {upgraded_text(message)}")
            elif kind == "connected":
                self._greet(wall)
            elif not self.notify:
                continue
            elif kind == "missed":
                self._notices.skip(message.get("changes", 0))
            elif unexpected(message) and not _among(message["process"], own):
                self._notices.add(change_text(message, wall, self._user_name), now, message["process"]["program"])

    def _greet(self, wall: str) -> None:
        """Print that the connection is back, and whether the version is another one."""
        daemon = self.feed.mirror.daemon
        before, self._version = self._version, clean(daemon.get("version"))
        if before:
            changed = f", before {before}" if before != self._version else ""
            pid = daemon.get("pid")
            self._lines.append(f"{wall} connected to taskmasterd again ({self._version}{changed}, pid {pid})\n")


def _among(process: dict[str, Any], targets: Sequence[str]) -> bool:
    return Targets(targets).select(process["program"], process["instance"])


def _readable(fd: int, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(1000 * wait_s))

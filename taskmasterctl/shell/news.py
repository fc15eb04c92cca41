"""What the shell tells of what happens: which changes are worth a line, a few lines a second, the others are counted.

It reads the feed and returns text; it shows nothing itself.
"""

from __future__ import annotations

import select
import time

from taskmaster_common.text.names import Targets
from taskmasterctl.people import with_names
from taskmasterctl.reply.mirror import unexpected
from taskmasterctl.reply.render import change_text, upgraded_text
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.people import UserName
    from taskmasterctl.shell.feed import Feed

MOST_A_SECOND = 5
WINDOW_S = 1.0
MOST_PROGRAMS = 100
"""Programs of which is counted how often they changed in one storm."""
MOST_NAMED = 4
"""Programs that the line of a storm names."""
MOST_STEPS = 200
"""So many chunks are read before a prompt is shown, in a storm that never ends."""


class Notices:
    """A window of a second lets MOST_A_SECOND lines through; when it is over, the others are counted, and the last of them is told.

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
        """Put in a line, which may end up being counted only."""
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
        """Count changes of which nothing is known."""
        self._more += count

    def take(self, now: float) -> list[str]:
        """Return what is to be shown now, each line with its end; it is not returned again."""
        lines, self._lines = self._lines, []
        if self._more and now - self._opened_at >= WINDOW_S:
            last = [self._last] if self._last else []
            more = self._more - len(last)
            if more:
                who = self._named(self._last_program if last else "", more)
                lines.append(f"... {more} more change{'s' if more != 1 else ''}{who}; `status` shows how it stands\n")
            lines += last
            self._programs = {}
            self._more, self._last, self._opened_at, self._spent = 0, "", now, len(last) + bool(more)
        return lines

    def _named(self, last: str, more: int) -> str:
        """Return the programs of the changes that are counted, without the last one, which has a line of its own."""
        counts = {name: count - (name == last) for name, count in self._programs.items() if count > (name == last)}
        first = sorted(counts, key=lambda name: -counts[name])[:MOST_NAMED]
        others = more - sum(counts[name] for name in first)
        told = [f"{name} {counts[name]}" for name in first] + ([f"others {others}"] if others > 0 and first else [])
        return f" ({', '.join(told)})" if told else ""

    def wait_s(self, now: float) -> float | None:
        """Return after how many seconds `take` has something to return, None for never."""
        if self._lines:
            return 0.0
        return max(0.0, self._opened_at + WINDOW_S - now) if self._more else None


class News:
    """From what the feed brings to lines for whoever sits there. `notify`: changes that nobody asked for are told."""

    def __init__(self, feed: Feed, user_name: UserName | None = None) -> None:
        self.feed = feed
        self._user_name = user_name
        self.notify = True
        self._notices = Notices()
        self._lines: list[str] = []
        self._version = ""

    def step(self) -> list[str]:
        """Read once, without waiting; return the lines that are to be shown now."""
        self._hear(self.feed.step(time.monotonic()))
        return self.take()

    def take(self) -> list[str]:
        """Return the lines that are to be shown now."""
        lines, self._lines = self._lines, []
        return lines + self._notices.take(time.monotonic())

    def wait_s(self) -> float | None:
        """Return after how many seconds `step` has something to do, None: not before something is received."""
        now = time.monotonic()
        waits = [each for each in (self.feed.wait_s(now), self._notices.wait_s(now)) if each is not None]
        return min(waits) if waits else None

    def catch_up(self, own: Sequence[str] = (), within_s: float = 0.0) -> None:
        """Read all that is there; where nothing ever was, wait for the first snapshot, for at most `within_s`.

        `own` are targets of a command that has just told how it went: what happened to them needs no telling again.
        """
        limit = time.monotonic() + within_s
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
        """Say that there is a connection again, and whether another version answers."""
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

"""The answers of `status --watch` and `subscribe`: a table that is redrawn on a terminal, lines elsewhere. No I/O.

The clocks and the size of the terminal are callables, because both change meanwhile.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.asjson import JsonLines
from taskmasterctl.reply.astext import TextReply
from taskmasterctl.reply.mirror import Mirror, key_of, notable
from taskmasterctl.reply.render import Look, change_text, counts_text, refusal_text, status_table, warning_text
from taskmasterctl.reply.results import upgraded_text
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Chunks, Reply
    from taskmasterctl.reply.mirror import Key

    Message = dict[str, Any]

FRAME_EVERY_S = 1.0
"""Longest pause between two drawings of the table, seconds: uptimes grow."""
LEAST_PAUSE_S = 0.1
"""Shortest pause between two drawings of the table, seconds: nobody reads faster."""

HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
"""Source: ECMA-48: CUP, EL, ED."""
WRAP, NO_WRAP = "\x1b[?7h", "\x1b[?7l"
"""The terminal cuts long lines while NO_WRAP holds. Source: DECAWM of the VT100 manual; each frame sets and resets it."""


class Screen(Record):
    """The screen and the clocks beside it.

    `now()` returns monotonic seconds, `wall()` the time of day, `stamp()` date and time with zone, `size()` the columns and
    lines of the terminal.
    """

    now: Callable[[], float]
    wall: Callable[[], str]
    stamp: Callable[[], str]
    size: Callable[[], tuple[int, int]]


def watch_reply(request: Request, look: Look, screen: Screen, *, in_place: bool, as_json: bool) -> Reply:
    """Return the reply that shows a subscription; `in_place`: on a terminal that can move its cursor."""
    if as_json:
        return Selected(JsonLines(TextReply(request, look)), request, screen)
    return Frames(request, look, screen) if in_place else Lines(request, look, screen)


class Selected:
    """Adds the time to each message, and leaves out ticks, what --failed excludes, and what `subscribe` counts as no change."""

    def __init__(self, reply: Reply, request: Request, screen: Screen) -> None:
        self._reply = reply
        self._screen = screen
        self._failed_only = request.has("failed")
        self._states_only = request.verb == "subscribe"

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        kind = message["type"]
        if kind == "tick" or (self._failed_only and kind == "change" and message["process"].get("wanted", True)):
            return []
        if kind == "change" and self._states_only and not notable(message):
            return []
        return self._reply.take({**message, "time": self._screen.stamp()})


class Lines:
    """The table once, then a line for each change of state or phase."""

    def __init__(self, request: Request, look: Look, screen: Screen) -> None:
        self._failed_only = request.has("failed")
        self._look = look
        self._screen = screen
        self._mirror = Mirror()
        self._shown: Mapping[Key, str] | None = None

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        kind = message["type"]
        if kind == "end":
            return ending(message, self._look)
        if kind == "warning":
            return [(ERR, warning_text(message["text"]))]
        if kind == "upgraded":
            return [(ERR, f"{self._screen.wall()} {upgraded_text(message)}")]
        if kind == "missed":
            self._shown = None
            count = message.get("changes", 0)
            return [
                (ERR, f"taskmasterctl: {clean(count)} changes were not shown: they came faster than they were read\n")
            ]
        changed = self._mirror.take(message, self._screen.now())
        if kind == "change":
            return self._change(message)
        return self._snapshot() if changed else []

    def _change(self, message: Message) -> Chunks:
        self._remember()
        if not notable(message) or (self._failed_only and message["process"].get("wanted", True)):
            return []
        return [(OUT, change_text(message, self._screen.wall(), self._look.user_name))]

    def _snapshot(self) -> Chunks:
        """Return the table; after a reload only the processes that were added and removed."""
        before = self._shown
        self._remember()
        now = self._shown or {}
        if before is None:
            return [(OUT, status_table(shown(self._mirror, self._screen.now(), self._failed_only), self._look))]
        wall = self._screen.wall()
        lines = [f"{wall} {clean(name)} removed\n" for key, name in before.items() if key not in now]
        lines += [f"{wall} {clean(name)} added\n" for key, name in now.items() if key not in before]
        return [(OUT, "".join(lines))] if lines and not self._failed_only else []

    def _remember(self) -> None:
        self._shown = {key_of(process): process["name"] for process in self._mirror}


class Frames:
    """The table, drawn again and again from the top left corner, cut to the terminal."""

    def __init__(self, request: Request, look: Look, screen: Screen) -> None:
        self._failed_only = request.has("failed")
        self._wide = request.has("wide")
        self._named = bool(request.targets)
        self._look = look
        self._screen = screen
        self._mirror = Mirror()
        self._drawn_at = float("-inf")
        self._dirty = False

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "end":
            return ending(message, self._look)
        if message["type"] == "warning":
            return [(ERR, warning_text(message["text"]))]
        now = self._screen.now()
        self._dirty = self._mirror.take(message, now) or self._dirty
        if not self._mirror.known:
            return []
        pause_s = LEAST_PAUSE_S if self._dirty else FRAME_EVERY_S
        return [(OUT, self._frame(now))] if now - self._drawn_at >= pause_s else []

    def _frame(self, now: float) -> str:
        self._drawn_at, self._dirty = now, False
        width, height = self._screen.size()
        running, others = self._mirror.counts()
        head = f"{self._screen.wall()}  {counts_text(running, len(self._mirror), others)}  (q leaves)"
        fits = 0 if self._wide or self._named else max(2, height - 2)
        look = self._look.replace(width=0 if self._wide else width, height=fits)
        rows = status_table(shown(self._mirror, now, self._failed_only), look).splitlines()
        room = max(2, height - 2)
        if len(rows) > room:
            rows[room - 1 :] = [f"... and {len(rows) - room + 1} more"]
        table = "".join(f"{row}{CLEAR_LINE}\n" for row in (head, *rows))
        return f"{HOME}{NO_WRAP}{table}{WRAP}{CLEAR_BELOW}"


def shown(mirror: Mirror, now: float, failed_only: bool) -> list[Message]:
    """Return the processes to show."""
    return [row for row in mirror.table(now) if not failed_only or not row.get("wanted", True)]


def ending(message: Message, look: Look) -> Chunks:
    """Return the error of the last message, nothing if it holds none."""
    error = message.get("error")
    return [(ERR, refusal_text(error, look))] if error else []

"""What is on its way beside the table: an action with its progress, and the output of a process in the lower pane. Pure."""

from __future__ import annotations

from collections import deque

from taskmasterctl.reply.render import Look, short_seconds
from taskmasterctl.reply.results import failed_text, success_text
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import Visible, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Message = Mapping[str, Any]

KEPT_LINES = 500
"""Most lines of output that the pane keeps."""
SEQUENCE = "\x1b["


class Action:
    """One action of the daemon: what it has come to so far. `over` after its end."""

    def __init__(self, verb: str, targets: Sequence[str], look: Look, began: float) -> None:
        self._verb = verb
        self._look = look
        self._began = began
        self.over = False
        self.failed = False
        self.text = f"{verb} {' '.join(map(clean, targets))} ..."
        self._done = 0
        self._last = ""
        self._errors: list[str] = []

    def take(self, message: Message, now: float) -> None:
        """Take one message of the reply."""
        kind = message["type"]
        if kind == "progress" and message.get("text"):
            self._last = with_names(clean(message["text"]), self._look.user_name)
            name = clean(message.get("name") or "")
            self._last = f"{name}: {self._last}" if name else self._last
        elif kind == "result" and message.get("ok"):
            self._done += 1
            self._last = success_text(message, self._verb).rstrip()
        elif kind == "result":
            text = failed_text(message, self._verb, self._look).splitlines()[0]
            self._errors.append(text.removeprefix("taskmasterctl: "))
        elif kind == "warning":
            self._errors.append(clean(message["text"]))
        elif kind == "end":
            self._end(message, now)
            return
        else:
            return
        self.text = (
            f"{self._verb}: {self._done} done; {self._last}" if self._done > 1 else f"{self._verb}: {self._last}"
        )

    def _end(self, message: Message, now: float) -> None:
        self.over = True
        error = message.get("error")
        if error:
            self._errors.append(with_names(clean(error.get("message", "")), self._look.user_name))
        self.failed = bool(self._errors)
        if self.failed:
            more = f" (and {len(self._errors) - 1} more)" if len(self._errors) > 1 else ""
            self.text = f"{self._errors[0]}{more}"
        elif self._done == 1:
            self.text = self._last
        else:
            self.text = f"{self._verb}: {self._done} done in {short_seconds(now - self._began)}"


class Pane:
    """The newest lines that a process has written, without colours and harmless for a terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._visible = Visible()
        self._rest = ""
        self.note = ""

    def take(self, message: Message) -> None:
        """Take one message of the reply."""
        kind = message["type"]
        if kind == "output":
            *lines, self._rest = (self._rest + self._visible.take(message["text"])).split("\n")
            self.lines.extend(map(_colourless, lines))
        elif kind == "missed":
            self.lines.append(f"-- {clean(message.get('bytes', 0))} bytes were not shown --")
        elif kind == "warning":
            self.lines.append(f"-- {clean(message['text'])} --")
        elif kind == "end" and message.get("error"):
            self.note = clean(message["error"].get("message", ""))

    def newest(self, count: int) -> list[str]:
        """Return the newest lines, one that has no end yet among them."""
        lines = [
            *self.lines,
            *((_colourless(self._rest),) if self._rest else ()),
            *((f"-- {self.note} --",) if self.note else ()),
        ]
        return lines[-count:] if count > 0 else []


def _colourless(line: str) -> str:
    """Return a line without colour sequences; tabs become blanks."""
    first, *parts = line.split(SEQUENCE)
    return (first + "".join(part.partition("m")[2] for part in parts)).replace("\t", "    ")

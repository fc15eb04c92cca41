"""What an attached client shows of what the daemon says: output, and lines of ours about it."""

from __future__ import annotations

import os
import time

from taskmasterctl.attach.screen import OwnTerminal, terminal_rows_columns
from taskmasterctl.output import OUT
from taskmasterctl.reply.logtext import LogText
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Message = Mapping[str, Any]


class View:
    """The terminal and what is known of the program's. `send(message)` answers the daemon, `send_size()` with the size of ours.

    `screen` is None until something is attached, `typing` says whether we type, `place` is the place in the log behind what was
    shown, `over` the `end` of the answer, None until it comes. `leaving` says which keys detach from a terminal, `taking` what
    takes the typing, "" where nothing does.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], None], send_size: Callable[[], None], leaving: str, taking: str
    ) -> None:
        self.screen: OwnTerminal | None = None
        self.typing = False
        self.place = ""
        self.over: dict[str, Any] | None = None
        self._send = send
        self._send_size = send_size
        self._leaving = leaving
        self._taking = taking
        self._log = LogText(lambda _name: False, harmless=True)

    def take(self, message: Message) -> None:
        """Show a message of the daemon; one of an unknown type shows nothing."""
        take = self._takes.get(message["type"])
        if take and self.over is None:
            take(self, message)

    def _take_attached(self, message: Message) -> None:
        name, pid = clean(message["name"]), clean(message["pid"])
        self.typing = bool(message.get("typing"))
        if self.screen is None or not self.screen.ours:
            banner = ""
            if self.screen is None:
                banner = self._banner(message)
                self.screen = OwnTerminal(keeps=not message.get("tty"))
            self.screen.enter(map(str, message.get("modes") or ()), banner)
        else:
            self.screen.apply(())
            self.screen.notice(f"{name} restarted: {clean(message.get('why') or 'ended')}; pid {pid}")
        self._send_size()
        if self.screen.alternate:
            self._send({"type": "redraw"})

    def _banner(self, message: Message) -> str:
        others = max(0, int(message.get("viewers") or 1) - 1)
        facts = [f"pid {clean(message['pid'])}"]
        if message.get("tty"):
            facts.append(f"{clean(message['cols'])}x{clean(message['rows'])}")
            if not self.typing and (message["rows"], message["cols"]) != (size := terminal_rows_columns()):
                facts.append(f"this terminal {size[1]}x{size[0]}")
        facts.append("you type" if self.typing else "you look")
        if others:
            facts.append(f"{others} other{'s look' if others > 1 else ' looks'}")
        how = self._leaving if message.get("tty") else "Ctrl-C or Ctrl-D leaves"
        who = "" if self.typing or not message.get("who") else f"\n{self._types(message)}"
        return f"attached to {clean(message['name'])} ({', '.join(facts)}). {how}{who}"

    def _types(self, message: Message) -> str:
        since = time.strftime("%H:%M", time.localtime(time.time() - float(message.get("since_s") or 0)))
        take = f"; {self._taking} takes it" if self._taking else ""
        return f"{clean(message['who'])} types since {since}{take}"

    def _take_output(self, message: Message) -> None:
        self.place = str(message.get("at") or self.place)
        text = str(message["text"])
        if self.screen and message.get("stream") == "terminal":
            self.screen.show(text.encode("utf-8", "surrogateescape"))
        elif self.screen:
            self.screen.show(self._log.take(message["name"], text).encode("utf-8", "surrogateescape"))
        else:
            os.write(OUT, self._log.take(message["name"], text).encode("utf-8", "surrogateescape"))

    def _take_typing(self, message: Message) -> None:
        was, self.typing = self.typing, bool(message.get("typing"))
        if not self.screen:
            return
        if self.typing and not was:
            self.screen.notice("you type now")
        elif not self.typing and message.get("who"):
            self.screen.notice(self._types(message))
        elif not self.typing:
            self.screen.notice("nobody types now")

    def _take_size(self, message: Message) -> None:
        rows, columns = terminal_rows_columns()
        if self.screen and not self.typing and (message["rows"], message["cols"]) != (rows, columns):
            self.screen.notice(
                f"the terminal is {clean(message['cols'])}x{clean(message['rows'])} now, this one {columns}x{rows}"
            )

    def _take_missed(self, message: Message) -> None:
        if self.screen:
            self.screen.notice(f"{clean(message.get('bytes', 0))} bytes were left out")

    def _take_modes(self, message: Message) -> None:
        if self.screen:
            self.screen.apply(map(str, message.get("modes") or ()))
            if self.screen.alternate:
                self._send({"type": "redraw"})

    def _take_ended(self, message: Message) -> None:
        if self.screen:
            self.screen.notice(f"{clean(message['name'])} exited: {clean(message.get('text', ''))}")

    def _take_end(self, message: Message) -> None:
        self.over = dict(message)

    _takes: Mapping[str, Callable[[Any, Message], None]] = {
        "attached": _take_attached,
        "output": _take_output,
        "typing": _take_typing,
        "size": _take_size,
        "missed": _take_missed,
        "modes": _take_modes,
        "ended": _take_ended,
        "end": _take_end,
    }

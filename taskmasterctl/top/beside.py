"""What goes on beside the table on connections of its own: one action, and the output of one process.

It belongs to the event loop that runs while the screen lives.
"""

from __future__ import annotations

import asyncio
import time

from taskmaster_common.commands.table import parse
from taskmaster_common.errors import RequestError
from taskmasterctl.top.exchange import Exchange
from taskmasterctl.top.work import Action, Pane

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmasterctl.reply.render import Look
    from taskmasterctl.shell.feed import Feed

PAST_LINES = 100
"""Lines of the past that the pane begins with."""


class Beside:
    """`changed()` is called when there is something new to show. `feed` knows where the daemon is."""

    def __init__(self, feed: Feed, look: Look, changed: Callable[[], None]) -> None:
        self._feed = feed
        self._look = look
        self._changed = changed
        self._action: tuple[Action, Exchange] | None = None
        self._shown: tuple[Pane, Exchange] | None = None
        self._message = ""
        self._watched: dict[str, int] = {}

    @property
    def text(self) -> str:
        """What the bottom line says of an action, "" if there is none to speak of."""
        return self._message or (self._action[0].text if self._action else "")

    @property
    def pane(self) -> Pane | None:
        """The lower pane, None if it is closed."""
        return self._shown[0] if self._shown else None

    def read(self) -> None:
        """Note that somebody has pressed a key, and so has read what an action came to."""
        self._message = ""
        if self._action and self._action[0].over:
            self._action = None

    def say(self, text: str) -> None:
        """Show a text in the bottom line until a key."""
        self._message = text

    def close(self) -> None:
        """Close the connections; an action goes on in the daemon."""
        for work in (self._action, self._shown):
            if work:
                work[1].close()

    def watch(self, name: str, fd: int, turn: Callable[[], None]) -> None:
        """Call `turn` when something can be read from a descriptor; -1 for none."""
        loop, before = asyncio.get_running_loop(), self._watched.get(name, -1)
        if fd == before:
            return
        if before >= 0:
            loop.remove_reader(before)
        if fd >= 0:
            loop.add_reader(fd, turn)
        self._watched[name] = fd

    def _exchange(self, words: Sequence[str]) -> Exchange:
        """Raises RequestError."""
        return Exchange(self._feed.path, parse(words), anybody=self._feed.anybody)

    def act(self, words: Sequence[str]) -> None:
        """Begin an action: a verb and its targets. What goes wrong stays in the bottom line until a key."""
        if self._action and not self._action[0].over:
            self._message = "the last action is not over yet"
            return
        try:
            exchange = self._exchange([words[0], "--", *words[1:]])
        except RequestError as error:
            self._message = error.message
            return
        self._action = Action(words[0], words[1:], self._look, time.monotonic()), exchange
        self._acting()

    def _acting(self) -> None:
        if not self._action:
            return
        action, exchange = self._action
        self.watch("action", -1 if exchange.over else exchange.fd, self._acting)
        for message in exchange.step():
            action.take(message, time.monotonic())
        if exchange.over:
            self._forget("action")
        self._changed()

    def logs(self, name: str) -> None:
        """Show the output of a process below, or close the pane if it is there already; "" closes it."""
        shown, self._shown = self._shown, None
        if shown:
            self.watch("pane", -1, self._reading)
            shown[1].close()
        if name and not (shown and shown[0].name == name):
            try:
                self._shown = Pane(name), self._exchange(["logs", "-f", "-n", str(PAST_LINES), "--", name])
            except RequestError as error:
                self._message = error.message
            self._reading()

    def _reading(self) -> None:
        if not self._shown:
            return
        pane, exchange = self._shown
        self.watch("pane", -1 if exchange.over else exchange.fd, self._reading)
        for message in exchange.step():
            pane.take(message)
        if exchange.over:
            self._forget("pane")
        self._changed()

    def _forget(self, name: str) -> None:
        """Stop watching a descriptor that was closed in the midst of its turn."""
        fd = self._watched.pop(name, -1)
        if fd >= 0:
            asyncio.get_running_loop().remove_reader(fd)

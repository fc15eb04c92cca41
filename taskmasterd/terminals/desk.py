"""Who is attached to a slot: one types, the others look. It outlives the instances, so that who is attached stays over a restart."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.states import EXITED, FATAL, STOPPED
from taskmasterd.core.process.events import Executed, Exited
from taskmasterd.core.words.describe import status_text
from taskmasterd.system.loop.signals import signal_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.system.loop.reactor import Reactor, Timer
    from taskmasterd.terminals.stdin import InputPipe
    from taskmasterd.terminals.terminal import Size, Terminal

    class Viewer(Protocol):
        """A client that is attached. `size` is that of its own terminal, `who` says who it is."""

        size: Size | None
        who: str
        since: float

        def say(self, message: dict[str, Any], /) -> None:
            """Send it an object at once."""

        def restarted(self, why: str, /) -> None:
            """Show, once it has shown all that was written before, that another instance runs."""

        def over(self, why: str, /) -> None:
            """Show, once it has shown all, that nothing follows, and end."""


MOST_VIEWERS = 32
REPAINT_S = 1.0
"""Longest time for which `repaint` gives a program another size, seconds.

A program that is busy for longer sees one signal and the size that it knows, and paints nothing.
"""
DOWN = (EXITED, FATAL, STOPPED)


class Desk:
    """The clients at one slot. `reads()` returns what its instance reads, None where there is none."""

    def __init__(self, reactor: Reactor, reads: Callable[[], Terminal | InputPipe | None]) -> None:
        self.viewers: list[Viewer] = []
        self.typist: Viewer | None = None
        self._reactor = reactor
        self._reads = reads
        self._why = ""
        self._repainting: Timer | None = None
        self._true = (0, 0)

    @property
    def terminal(self) -> Terminal | None:
        """The terminal of the instance, None where it has none."""
        reads: Any = self._reads()
        return reads if reads is not None and reads.kind == "tty" and reads.open else None

    @property
    def size(self) -> Size | None:
        """Return the size of the terminal of the client that types, None while nobody types."""
        return self.typist.size if self.typist else None

    # -- coming and going

    def join(self, viewer: Viewer, *, types: bool) -> None:
        """Take in a client; with `types` it gets the typing, if nobody has it. Raises RequestError where there is no room."""
        if len(self.viewers) >= MOST_VIEWERS:
            raise RequestError("busy", f"{MOST_VIEWERS} are attached already, and no more can be", 1)
        self.viewers.append(viewer)
        if types and self.typist is None:
            self._give(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Forget a client; its typing is free then."""
        if viewer in self.viewers:
            self.viewers.remove(viewer)
        if self.typist is viewer:
            self._give(None)
            self._tell()

    def take(self, viewer: Viewer) -> None:
        """Give the typing to who asks for it, or back if he has it."""
        self._give(None if self.typist is viewer else viewer)
        self._tell()

    def _give(self, viewer: Viewer | None) -> None:
        self.typist = viewer
        if viewer:
            viewer.since = self._reactor.now()
            self._apply(viewer)

    def typing(self, viewer: Viewer) -> dict[str, Any]:
        """Return who types, as a part of messages to a client."""
        typist = self.typist
        since_s = round(self._reactor.now() - typist.since, 3) if typist else None
        return {"typing": typist is viewer, "who": typist.who if typist else "", "since_s": since_s}

    def _tell(self) -> None:
        for viewer in tuple(self.viewers):
            viewer.say({"type": "typing", **self.typing(viewer)})

    # -- the size

    def resize(self, viewer: Viewer) -> None:
        """Note the new size of a client's terminal; only that of the client that types counts."""
        if viewer is self.typist:
            self._apply(viewer)

    def _apply(self, typist: Viewer) -> None:
        terminal = self.terminal
        if terminal is None or not typist.size or terminal.size == typist.size:
            return
        self._stop_repainting()
        terminal.resize(typist.size)
        rows, columns = typist.size
        for viewer in tuple(self.viewers):
            viewer.say({"type": "size", "rows": rows, "cols": columns})

    def repaint(self) -> None:
        """Make a full-screen program paint everything: it has one row less, until it has written something.

        Two sizes at once would be one signal to it, with nothing to do.
        """
        terminal = self.terminal
        if terminal is None or self._repainting:
            return
        rows, columns = terminal.size
        self._repainting = self._reactor.call_later(REPAINT_S, self.written)
        terminal.resize((rows - 1 if rows > 1 else rows + 1, columns))
        self._true = (rows, columns)

    def written(self) -> None:
        """Give the program its own size again: it has written something since `repaint`, or its time is up."""
        if self._stop_repainting() and self.terminal:
            self.terminal.resize(self._true)

    def _stop_repainting(self) -> bool:
        timer, self._repainting = self._repainting, None
        self._reactor.cancel(timer)
        return timer is not None

    # -- the instance

    def changed(self, event: Event, before: Process, after: Process) -> None:
        """Tell clients what becomes of the instance."""
        if isinstance(event, Exited):
            names = {number: name for name, number in signal_numbers().items()}
            self._why = event.failure.text if event.failure else status_text(event.status, names)
        if after.state in DOWN and before.state not in DOWN:
            for viewer in tuple(self.viewers):
                viewer.over(self._why or "stopped")
        elif isinstance(event, Executed):
            for viewer in tuple(self.viewers):
                viewer.restarted(self._why)

    def removed(self) -> None:
        """Tell clients that the slot exists no more."""
        for viewer in tuple(self.viewers):
            viewer.over(self._why or "removed")

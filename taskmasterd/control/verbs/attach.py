"""`attach`: a client sees what a process writes, as it writes it, and one of them types."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmasterd.control.verbs.viewing import Viewing
from taskmasterd.core.words.describe import names_text
from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.peers import terminal_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.terminals.desk import Desk
    from taskmasterd.terminals.terminal import Size

USAGE, NOTHING_RUNS, NOTHING_FOLLOWS = 2, 1, 3
MOST_PENDING = 64 * 1024
"""Bytes of input that wait here before no more is read from the client."""
MOST_MARKERS = 32
"""Restarts that a client may be behind."""
MOST_CELLS = 1000
"""Most rows and columns that a client may name."""


def attach(call: Call) -> Steps[None]:
    """Attach to one process. Raises RequestError."""
    table = call.context.supervisor.table
    entries = yield from call.looked_at()
    if len(entries) != 1:
        text = f"attach needs one process, and {' '.join(call.request.targets)} means {names_text([table.name(entry) for entry in entries])}"
        raise RequestError("usage", text, USAGE)
    Attachment(call, entries[0]).begin()


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on after an upgrade."""
    entry = call.context.supervisor.table.slot(data["program"], data["index"])
    if entry is None:
        call.connection.end(end(NOTHING_FOLLOWS))
    else:
        Attachment(call, entry).resume(data)


class Attachment:
    """One client at one slot. `pending` is what it has typed and the program has yet to read; `typed` counts what it has read."""

    more = False

    def __init__(self, call: Call, entry: Entry) -> None:
        self.size: Size | None = None
        peer = call.connection.peer
        on = terminal_of(peer.pid)
        self.who = f"uid {peer.uid}{f' on {on}' if on else ''}"
        self.since = call.context.reactor.now()
        self.pending = bytearray()
        self.typed = 0
        self._call = call
        self._entry = entry
        self._name = call.context.supervisor.table.name(entry)
        self._desk: Desk = call.context.inputs().desk(entry)
        self._began = self.since
        self._types = not call.request.has("read_only")
        self._markers: deque[dict[str, Any]] = deque()
        self._over = False
        self._viewing = Viewing(call.context, entry, call.connection.poke)

    # -- begin and end

    def begin(self) -> None:
        """Show what was written last, and what comes. Raises RequestError."""
        connection, request = self._call.connection, self._call.request
        instance = self._call.context.performer.instances.of(self._entry)
        if instance is None or not instance.group.leader_alive:
            self._show_past()
            return
        self._types = self._types and self._reads() is not None
        self._desk.join(self, types=self._types)
        if self._types and request.has("take") and self._desk.typist is not self:
            self._desk.take(self)
        connection.operation, connection.intake = self, self
        connection.when_gone(self._gone)
        if not self._over:
            self._note("attach")
            self._viewing.open(int(request.text("lines", "100")), request.text("from"), self._opened)
            connection.poke()

    def _show_past(self) -> None:
        """Show what the last instance has written, and say that nothing runs."""
        hint = f"to start it: start {self._name}"
        error = RequestError("failed", f"{self._name} does not run", NOTHING_RUNS, (hint,))

        def messages() -> Iterator[dict[str, Any]]:
            yield from self._viewing.past(self._name, int(self._call.request.text("lines", "100")))
            self._call.connection.end(end(NOTHING_RUNS, error))

        self._call.connection.pull(messages())

    def _opened(self, modes: tuple[str, ...], *, again: bool = False) -> None:
        """Say what the terminal is like, now that this is known, and show what it writes."""
        if self._over:
            return
        if again:
            self.say({"type": "modes", "modes": modes})
        else:
            self.say(self._attached(modes))
            self._call.connection.pull(self._messages(), endless=True)
        self._call.connection.poke()

    def _attached(self, modes: tuple[str, ...], why: str = "") -> dict[str, Any]:
        terminal = self._desk.terminal
        rows, columns = terminal.size if terminal else (0, 0)
        reads: Any = self._call.context.performer.instances.of(self._entry)
        return {
            "type": "attached",
            "name": self._name,
            "pid": self._entry.process.pid,
            "tty": terminal is not None,
            "stdin": reads is not None and reads.input is not None,
            "rows": rows,
            "cols": columns,
            "modes": modes,
            "viewers": len(self._desk.viewers),
            "why": why,
            **self._desk.typing(self),
        }

    def _gone(self) -> None:
        self._over = True
        self._desk.leave(self)
        reads = self._reads()
        if reads:
            reads.writing.leave(self)
        self._viewing.close()
        self._note("detach")

    def _note(self, what: str) -> None:
        """Note in the history who looks, and how much he has typed: never what."""
        log, peer = self._call.context.log, self._call.connection.peer
        lasted = round(self._call.context.reactor.now() - self._began, 3) if what == "detach" else None
        by = {"uid": peer.uid, "pid": peer.pid}
        typed = self.typed if what == "detach" else None
        log.note(self._name, "attach", by=by, read_only=not self._types, after=lasted, typed=typed)
        verb = "attached" if what == "attach" else f"detached after {lasted}s, {typed} bytes typed"
        log.write("info", f"{self._name}: {self.who} {verb}{' (read-only)' if not self._types else ''}")

    # -- an upgrade

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade."""
        return {
            "kind": "attach",
            "words": self._call.request.words(),
            "program": self._entry.program,
            "index": self._entry.index,
            "size": self.size,
            "types": self._desk.typist is self,
            "since": self.since,
            "began": self._began,
            "pending": self.pending.decode("latin-1"),
            "typed": self.typed,
            "markers": list(self._markers),
            **self._viewing.to_data(),
        }

    def resume(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self.size = data["size"] and (data["size"][0], data["size"][1])
        self.pending += data["pending"].encode("latin-1")
        self.typed, self._began = data["typed"], data["began"]
        self._markers.extend(data["markers"])
        connection = self._call.connection
        self._desk.join(self, types=data["types"])
        self.since = data["since"]
        connection.operation, connection.intake = self, self
        connection.when_gone(self._gone)
        if self._over:
            return
        if self._viewing.resume(data):
            connection.pull(self._messages(), endless=True)
        else:
            self._viewing.open(int(self._call.request.text("lines", "100")), "", self._opened)
        self._type("")

    # -- in

    @property
    def hungry(self) -> bool:
        """Whether it takes more input now."""
        return len(self.pending) < MOST_PENDING

    def take(self, message: Mapping[str, Any]) -> None:
        """Take an object of input. Raises RequestError."""
        kind = message["type"]
        if kind == "input":
            self._type(message.get("text"))
        elif kind == "size":
            self.size = _size(message)
            self._desk.resize(self)
        elif kind == "take" and self._types:
            self._desk.take(self)
        elif kind == "redraw" and self._types:  # to the program it is another size, twice
            self._desk.repaint()
        elif kind == "eof" and self._desk.typist is self:
            reads = self._reads()
            if reads:
                reads.end()

    def _type(self, text: object) -> None:
        if not isinstance(text, str):
            raise RequestError("usage", "input has a text", USAGE)
        if self._desk.typist is self and self._reads():
            self.pending += text.encode("utf-8", "surrogateescape")
            if self.pending:
                self._reads().writing.push(self)

    def _reads(self) -> Any:
        instance = self._call.context.performer.instances.of(self._entry)
        reads: Any = instance.input if instance else None
        return reads if reads is not None and reads.open else None

    def no_more(self) -> None:
        """End: the client has left."""
        self._call.connection.close()

    def wrote(self, count: int) -> None:
        """Count what the program has read; there is room for more then."""
        self.typed += count
        self._call.context.reactor.call_soon(self._call.connection.poke)

    def refused(self, _reason: str) -> None:
        """Forget what was typed: it was meant for an instance that has gone."""
        self.pending.clear()

    # -- out

    def say(self, message: dict[str, Any]) -> None:
        """Send an object at once."""
        self._call.connection.send(message)

    def restarted(self, why: str) -> None:
        """Say that another instance runs, behind all that the one before has written."""
        if len(self._markers) >= MOST_MARKERS:  # it is that far behind: of these restarts it learns of the last one
            self._markers.pop()
        self._markers.append(self._attached((), why))
        self._call.connection.poke()

    def over(self, why: str) -> None:
        """Say that nothing follows, behind all that was written, and end."""
        self._markers.append({"type": "ended", "name": self._name, "text": why})
        self._call.connection.poke()

    def _messages(self) -> Iterator[dict[str, Any] | None]:
        while True:
            for message in self._viewing.news(self._name, self._opened):
                yield message
                if message:
                    self._desk.written()
            if self._markers:
                marker = self._markers.popleft()
                if marker["type"] == "ended":
                    yield marker
                    self._gone()
                    self._call.connection.end(end(NOTHING_FOLLOWS))
                    return
                self._viewing.follow_instance()
                yield {**marker, **self._desk.typing(self)}
            yield None


def _size(message: Mapping[str, Any]) -> Size:
    """Return rows and columns. Raises RequestError."""
    rows, columns = message.get("rows"), message.get("cols")
    if not all(isinstance(each, int) and 1 <= each <= MOST_CELLS for each in (rows, columns)):
        raise RequestError("usage", f"a size has rows and cols, each 1 to {MOST_CELLS}", USAGE)
    return int(rows), int(columns)  # type: ignore[arg-type]


VERBS = {"attach": attach}

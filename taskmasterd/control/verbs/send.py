"""`send`: what a client sends becomes what programs read, and each process answers when the kernel has taken all of it."""

from __future__ import annotations

from taskmaster_common.config import PIPE
from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmaster_common.states import STOPPING
from taskmaster_common.text.formats import format_size
from taskmasterd.control.call import UNKNOWN_WHEN_ACTING
from taskmasterd.control.waits import Heartbeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.terminals.stdin import InputPipe

MOST_PENDING = 16 * 1024
"""Bytes that wait here for one process before no more is read from the client; the kernel has room for its own."""
USAGE = 2


def send(call: Call) -> Steps[None]:
    """Send input to programs. Raises RequestError."""
    targets = call.request.targets
    if len(targets) != 1:
        raise RequestError("usage", "the text of send is no part of its request: it comes as input", USAGE)
    entries = yield from call.chosen(targets, UNKNOWN_WHEN_ACTING)
    sending = Sending(call)
    sending.begin([Receiver(sending, entry, _input_of(call, entry)) for entry in entries])


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on after an upgrade."""
    sending = Sending(call)
    receivers: list[Receiver] = []
    for program, index, row in data["receivers"]:
        entry = call.context.supervisor.table.slot(program, index)
        if entry is not None:
            reads = _input_of(call, entry)
            receivers.append(Receiver(sending, entry, reads if reads and reads.key == row["key"] else None, row))
    sending.begin(receivers, complete=data["complete"])


def _input_of(call: Call, entry: Entry) -> InputPipe | None:
    """Return what the slot's instance reads, None where that cannot be written."""
    instance = call.context.performer.instances.of(entry)
    reads: Any = instance.input if instance and instance.group.leader_alive else None
    return reads if reads is not None and reads.open else None


class Receiver:
    """One process that gets the input: `pending` is what it has yet to get, `got` how many bytes it has got."""

    def __init__(
        self, sending: Sending, entry: Entry, reads: InputPipe | None, row: Mapping[str, Any] | None = None
    ) -> None:
        self.entry = entry
        self.reads = reads
        self.pending = bytearray(row["pending"].encode("latin-1") if row else b"")
        self.got: int = row["got"] if row else 0
        self.answered: bool = row["answered"] if row else False
        self.key: str = reads.key if reads else ""
        self._sending = sending

    @property
    def more(self) -> bool:
        """Whether more of the same follows."""
        return not self._sending.complete

    def add(self, data: bytes) -> None:
        """Send some more."""
        if self.reads and not self.answered:
            self.pending += self.reads.typed(data)
            self.reads.writing.push(self)

    def wrote(self, count: int) -> None:
        """Note that the kernel has taken so many bytes."""
        self.got += count
        self._sending.moved(self)

    def refused(self, reason: str) -> None:
        """Note that the process cannot be reached any more."""
        self.pending.clear()
        self.reads = None
        self._sending.failed(self, "stopped" if self.entry.process.state == STOPPING else reason)

    def leave(self) -> None:
        """Send nothing that is still pending."""
        if self.reads:
            self.reads.writing.leave(self)
        self.pending.clear()

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade."""
        return {
            "key": self.key,
            "pending": self.pending.decode("latin-1"),
            "got": self.got,
            "answered": self.answered,
        }


class Sending:
    """One request. `complete`: the client has sent all."""

    def __init__(self, call: Call) -> None:
        self.complete = False
        self._call = call
        self._connection = call.connection
        self._receivers: Sequence[Receiver] = ()
        self._moved: dict[Receiver, None] = {}
        self._failed = self._over = self._due = False
        self._heartbeat: Heartbeat | None = None

    def begin(self, receivers: Sequence[Receiver], *, complete: bool = False) -> None:
        """Take the input of the client from now on."""
        self._receivers = receivers
        connection = self._connection
        connection.operation, connection.intake = self, self
        connection.when_gone(self._gone)
        if self._over:
            return
        self._heartbeat = Heartbeat(self._call.context, connection, self._waiting_text)
        for receiver in receivers:
            if receiver.reads is None and not receiver.answered:
                self.failed(receiver, self._why_not(receiver.entry))
        self.complete = complete
        for receiver in receivers:
            receiver.add(b"")
        self._look()
        connection.poke()

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade."""
        return {
            "kind": "send",
            "words": self._call.request.words(),
            "complete": self.complete,
            "receivers": [(each.entry.program, each.entry.index, each.to_data()) for each in self._receivers],
        }

    # -- in

    @property
    def hungry(self) -> bool:
        """Whether it takes more input now."""
        return not self._over and all(len(each.pending) < MOST_PENDING for each in self._receivers)

    def take(self, message: Mapping[str, Any]) -> None:
        """Take an object of input. Raises RequestError."""
        kind = message["type"]
        if kind == "input":
            text = message.get("text")
            if not isinstance(text, str):
                raise RequestError("usage", "input has a text", USAGE)
            data = text.encode("utf-8", "surrogateescape")
        elif kind == "eof":
            data = b"" if self._call.request.has("no_newline") else b"\n"
            self.complete = True
        else:
            return
        for receiver in self._receivers:
            receiver.add(data)
        self._look()

    def no_more(self) -> None:
        """End: the client has left before it was told that all has arrived."""
        self._gone()
        self._connection.close()

    # -- out

    def moved(self, receiver: Receiver) -> None:
        """Say at the end of this turn how much processes have got, and answer where that is all."""
        self._moved[receiver] = None
        if not self._due:
            self._due = True
            self._call.context.reactor.call_soon(self._look_later)

    def failed(self, receiver: Receiver, reason: str) -> None:
        """Answer that a process does not get all."""
        self._failed = True
        self._answer(receiver, reason)
        self._look()

    def _look_later(self) -> None:
        self._due = False
        moved, self._moved = self._moved, {}
        for receiver in moved:
            if not (self._over or receiver.answered):
                self._connection.send({"type": "taken", "name": self._name(receiver), "bytes": receiver.got})
        self._look()
        if not self._over:
            self._connection.poke()

    def _look(self) -> None:
        """Answer for who has got everything, and end once that are all."""
        if self._over:
            return
        for receiver in self._receivers if self.complete else ():
            if not receiver.pending and not receiver.answered:
                if self._call.request.has("eof") and receiver.reads:
                    receiver.reads.end()
                self._answer(receiver)
        if all(receiver.answered for receiver in self._receivers):
            self._stop()
            self._connection.end(end(1 if self._failed else 0))

    def _answer(self, receiver: Receiver, reason: str = "") -> None:
        if receiver.answered or self._over:
            return
        receiver.answered = True
        process = receiver.entry.process
        self._connection.send(
            {
                "type": "result",
                "name": self._name(receiver),
                "ok": not reason,
                "outcome": "failed" if reason else "sent",
                "state": process.state,
                "pid": process.pid,
                "reason": reason,
                "bytes": receiver.got,
            }
        )

    def _why_not(self, entry: Entry) -> str:
        """Return why nothing can be sent to a process."""
        instance = self._call.context.performer.instances.of(entry)
        if instance is None:
            return "nothing runs there"
        if instance.input is None and entry.present.stdin == PIPE:
            return f"{entry.program} has no stdin any more; restart it"
        if instance.input is None:
            return f"{entry.program} has no stdin; set tty: true or stdin: pipe"
        return "its standard input is closed" if instance.group.leader_alive else "stopped"

    def _name(self, receiver: Receiver) -> str:
        return self._call.context.supervisor.table.name(receiver.entry)

    def _waiting_text(self) -> tuple[str, str]:
        waiting = next((each for each in self._receivers if each.pending), None)
        if waiting is None:
            return "", "waiting for more to send"
        return self._name(waiting), f"does not read; it has got {format_size(waiting.got)}"

    def _gone(self) -> None:
        for receiver in self._receivers:
            receiver.leave()
        self._stop()

    def _stop(self) -> None:
        self._over = True
        if self._heartbeat:
            self._heartbeat.stop()


VERBS = {"send": send}

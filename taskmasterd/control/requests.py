"""What one client sends: bytes become lines, and lines wait for their turn. It knows no verb."""

from __future__ import annotations

from taskmaster_common.errors import ProtocolError, RequestError
from taskmaster_common.protocol import HALF_LINE_TIMEOUT_S, MAX_REQUEST, LineDecoder, decode_input, is_input
from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmasterd.system.loop.reactor import Reactor, Timer

    class Intake(Protocol):
        """What takes the input of a client."""

        @property
        def hungry(self) -> bool:
            """Whether it takes more now; it pokes the connection when it does again."""

        def take(self, message: dict[str, Any], /) -> None:
            """Take one object. Raises RequestError for one that makes no sense."""

        def no_more(self) -> None:
            """Note that the client sends no more."""


READ_AT_ONCE = 4096
"""Bytes taken from one client in one turn: thousands of short requests of each of hundreds must not delay an answer."""
MAX_WAITING_REQUESTS = 64
MAX_WAITING_BYTES = MAX_REQUEST
USAGE = 2
"""Exit code of input that is none."""


class RequestLines:
    """The complete requests that wait, in order, and the beginning of the next one.

    `refuse(text)` is called when a line is too long, or is not complete HALF_LINE_TIMEOUT_S after its first byte.
    """

    def __init__(self, reactor: Reactor, refuse: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._refuse = refuse
        self._decoder = LineDecoder(MAX_REQUEST)
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._half_line: Timer | None = None

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def crowded(self) -> bool:
        """Whether so much waits that no more should be read from the client."""
        return len(self._lines) >= MAX_WAITING_REQUESTS or self._bytes >= MAX_WAITING_BYTES

    def feed(self, received: bytes) -> bool:
        """Take bytes from the client; return False after `refuse` was called."""
        try:
            self._add([line for line in self._decoder.feed(received) if line.strip()])
        except ProtocolError as error:
            self._refuse(str(error))
            return False
        self._watch_half_line()
        return True

    @property
    def is_input(self) -> bool:
        """Whether the oldest line is input and no request."""
        return bool(self._lines) and is_input(self._lines[0])

    def pop(self) -> bytes:
        """Return the oldest request. Raises IndexError where none waits."""
        line = self._lines.popleft()
        self._bytes -= len(line)
        return line

    def give(self, intake: Intake) -> None:
        """Give input to an operation, as much as it takes. Raises RequestError for what is none."""
        while intake.hungry and self.is_input:
            try:
                message = decode_input(self.pop())
            except ProtocolError as error:
                raise RequestError("usage", str(error), USAGE) from None
            intake.take(message)

    def take_rest(self, channel: socket.socket, intake: Intake) -> None:
        """Give an operation what the client has sent before it left, as far as it takes that now."""
        try:
            while not self.crowded and (received := channel.recv(READ_AT_ONCE)) and self.feed(received):
                self.give(intake)
        except (OSError, RequestError):  # nobody would hear of it
            return

    def close(self) -> None:
        """Stop the clock of an incomplete line."""
        self._reactor.cancel(self._half_line)

    def to_data(self) -> dict[str, Any]:
        """Return what a daemon after an upgrade needs to go on."""
        return {
            "requests": [line.decode("latin-1") for line in self._lines],
            "pending": self._decoder.rest.decode("latin-1"),
        }

    def resume(self, row: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self._add([line.encode("latin-1") for line in row["requests"]])
        self._decoder.feed(row["pending"].encode("latin-1"))
        self._watch_half_line()

    def _add(self, lines: list[bytes]) -> None:
        self._lines += lines
        self._bytes += sum(map(len, lines))

    def _watch_half_line(self) -> None:
        if not self._decoder.pending:
            self._reactor.cancel(self._half_line)
            self._half_line = None
        elif self._half_line is None:
            text = f"no complete line within {HALF_LINE_TIMEOUT_S:.0f} seconds"
            self._half_line = self._reactor.call_later(HALF_LINE_TIMEOUT_S, lambda: self._refuse(text))

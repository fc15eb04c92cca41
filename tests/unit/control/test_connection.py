"""What a client has sent is taken, also where it leaves before it has read what is sent to it."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

from taskmasterd.control.connection import Connection
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.peers import Peer


class Typed:
    """An operation that takes input; `heard` has what came, and that the client has gone."""

    def __init__(self, room: int) -> None:
        self.heard: list[str] = []
        self._room = room

    @property
    def hungry(self) -> bool:
        return len(self.heard) < self._room

    def take(self, message: dict[str, Any]) -> None:
        self.heard.append(message["text"])

    def no_more(self) -> None:
        self.heard.append("no more")

    def gone(self) -> None:
        self.heard.append("gone")


def heard_of_one_who_leaves(sent: bytes, room: int = 1000) -> list[str]:
    """Return what an operation hears of a client who sends this and closes, when it is written to before it is read."""
    errors: list[BaseException] = []
    reactor = Reactor(errors.append)
    server: Any = SimpleNamespace(reactor=reactor, before_answer=lambda: None, forget=lambda _connection: None)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = Connection(server, ours, Peer(0, 0, 1), "admin")
    operation: Any = Typed(room)
    connection.busy, connection.operation, connection.intake = True, operation, operation
    connection.when_gone(operation.gone)
    theirs.sendall(sent)
    theirs.close()
    connection.send({"type": "output"})
    connection.close()
    reactor.close()
    assert not errors
    heard: list[str] = operation.heard
    return heard


def test_what_is_typed_before_the_client_leaves_is_taken_although_it_reads_no_more() -> None:
    line = b'{"type":"input","text":"%d"}\n'
    many = b"".join(line % number for number in range(500))
    assert heard_of_one_who_leaves(many) == [*map(str, range(500)), "gone"]
    assert heard_of_one_who_leaves(line % 1 + b'{"type":"inp') == ["1", "gone"]
    assert heard_of_one_who_leaves(line % 1 + b"{no input}\n" + line % 2) == ["1", "gone"]
    assert heard_of_one_who_leaves(many, room=3) == ["0", "1", "2", "gone"]

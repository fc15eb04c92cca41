"""The listener and its connections below the verbs: errors of ours, credentials, half lines."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmaster_common.commands.table import ADMIN
from taskmaster_common.errors import BugError, RequestError
from taskmasterd.control.connection import Connection
from taskmasterd.control.listener import ControlServer, Doorkeeper
from taskmasterd.control.socket_file import listen_on
from taskmasterd.reserve import Reserve
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.peers import Peer, groups_are_told


class Door:
    """A control server whose decisions are the test's."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.errors: list[BaseException] = []
        self.peers: list[Peer] = []
        self.admits: Callable[[Peer], str] = lambda _peer: ADMIN
        self.asked: Callable[[Connection, bytes], None] = lambda connection, _line: connection.end({"type": "end"})
        self.reactor = Reactor(self.errors.append)
        listener = listen_on(path, 0o600, None, None)
        doorkeeper = Doorkeeper(self._admit, lambda _connection: None, self._turned_away, lambda: None, Reserve(8))
        self.server = ControlServer(self.reactor, listener, lambda: {"type": "hello"}, doorkeeper, self._asked)

    def _admit(self, peer: Peer) -> str:
        self.peers.append(peer)
        return self.admits(peer)

    def _turned_away(self, peer: Peer, *, too_many: bool) -> RequestError:
        return RequestError("permission", f"uid {peer.uid}: {too_many}", 4)

    def _asked(self, connection: Connection, line: bytes) -> None:
        self.asked(connection, line)

    def turn_until(self, condition: Callable[[], object]) -> None:
        """Turn the loop until it is so; the test's time-out ends it otherwise."""
        while not condition():
            self.reactor.turn(0.05)

    def client(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX)
        channel.connect(self.path)
        channel.setblocking(False)
        return channel

    def close(self) -> None:
        self.server.close_listener()
        self.server.close()
        self.reactor.close()


@pytest.fixture
def door(short_dir: Path) -> Iterator[Door]:
    made = Door(str(short_dir / "s"))
    yield made
    made.close()


def _said(channel: socket.socket) -> bytes:
    try:
        return channel.recv(1000)
    except BlockingIOError:
        return b""


def test_an_error_while_a_client_is_accepted_costs_that_client_and_not_the_door(door: Door) -> None:
    def broken(_peer: Peer) -> str:
        raise BugError("a bug of ours")

    door.admits = broken
    with door.client() as first:
        door.turn_until(lambda: door.errors)
        assert _said(first) == b""
    door.admits = lambda _peer: ADMIN
    with door.client() as second:
        door.turn_until(lambda: _said(second).startswith(b'{"type":"hello"'))
    assert len(door.errors) == 1


def test_a_peer_is_who_the_kernel_says(door: Door) -> None:
    with door.client():
        door.turn_until(lambda: door.peers)
    assert (door.peers[0].uid, door.peers[0].gid, door.peers[0].pid) == (os.geteuid(), os.getegid(), os.getpid())


def test_a_peer_who_is_not_permitted_is_told_so_and_let_go(door: Door) -> None:
    door.admits = lambda _peer: ""
    heard = bytearray()
    with door.client() as channel:

        def let_go() -> bool:
            try:
                heard.extend(channel.recv(1000))
                return not channel.recv(1000)
            except BlockingIOError:
                return False

        door.turn_until(let_go)
    assert b'"code":"permission"' in heard
    assert b"hello" not in heard


# -- a client that goes away


def test_a_client_that_goes_away_while_it_waits_is_noticed_at_once_and_what_it_has_asked_for_is_done(
    door: Door,
) -> None:
    asked: list[bytes] = []
    gone: list[bytes] = []

    def wait(connection: Connection, line: bytes) -> None:
        asked.append(line)
        connection.when_gone(lambda: gone.append(line))

    door.asked = wait
    client = door.client()
    client.send(b"check web\nstop web\n")
    door.turn_until(lambda: asked)
    assert not gone
    client.close()
    door.turn_until(lambda: gone == [b"check web", b"stop web"])
    door.turn_until(lambda: not door.server._connections)
    assert not door.errors


def test_a_client_that_only_sends_no_more_still_gets_its_answer(door: Door) -> None:
    waiting: list[Connection] = []
    gone: list[bool] = []

    def wait(connection: Connection, _line: bytes) -> None:
        connection.when_gone(lambda: gone.append(True))
        waiting.append(connection)

    door.asked = wait
    with door.client() as client:
        client.send(b"check web\n")
        client.shutdown(socket.SHUT_WR)
        door.turn_until(lambda: waiting)
        door.turn_until(lambda: waiting[0]._peer_done)
        assert not gone
        waiting[0].end({"type": "end", "said": "well"})
        door.turn_until(lambda: b'"said":"well"' in heard(client))
    assert not gone


# -- another life


def handed_over(door: Door) -> list[dict[str, object]]:
    """Return the connections as data, with descriptors of their own, and close them: an exec would leave nothing else."""
    rows = [{**row, "fd": os.dup(row["fd"])} for row in door.server.connections_to_data()]
    door.server.close()
    return rows


def heard(client: socket.socket) -> bytes:
    """Return what has come so far, b"" for the end or nothing."""
    try:
        return client.recv(65_536)
    except BlockingIOError:
        return b""


def test_what_was_queued_asked_and_half_said_goes_on_in_another_life(door: Door) -> None:
    asked: list[bytes] = []

    def answer(connection: Connection, line: bytes) -> None:
        asked.append(line)
        connection.end({"type": "end", "said": line.decode()})

    door.asked = answer
    with door.client() as client, door.client() as quitter:
        door.turn_until(lambda: heard(client))
        client.send(b"one\ntwo\nthr")
        quitter.send(b"last\n")
        quitter.shutdown(socket.SHUT_WR)
        door.turn_until(lambda: b"one" in asked and b"last" in asked)
        door.server.resume(handed_over(door), lambda _connection, _row: None)
        client.send(b"ee\n")
        text = b""
        while b"three" not in text:
            door.reactor.turn(0.05)
            text += heard(client)
        assert text.count(b'"said":"two"') == text.count(b'"said":"one"') == text.count(b'"said":"three"') == 1
        assert b"hello" not in text
        door.turn_until(lambda: b"last" in heard(quitter))
    assert not door.errors


def test_a_request_that_other_code_cannot_go_on_with_costs_its_client_an_answer_and_nobody_else(door: Door) -> None:
    class Waiting:
        def __init__(self, name: str) -> None:
            self.name = name

        def to_data(self) -> dict[str, str]:
            return {"name": self.name}

    def begin(connection: Connection, line: bytes) -> None:
        connection.operation = Waiting(line.decode())

    def resume(connection: Connection, row: dict[str, str]) -> None:
        if row["name"] == "foreign":
            raise BugError("nobody knows that verb any more")
        connection.end({"type": "end", "said": row["name"]})

    door.asked = begin
    with door.client() as ours, door.client() as foreign:
        ours.send(b"ours\n")
        foreign.send(b"foreign\n")
        door.turn_until(lambda: sum(bool(row["operation"]) for row in door.server.connections_to_data()) == 2)
        door.server.resume(handed_over(door), resume)
        door.turn_until(lambda: b'"said":"ours"' in heard(ours))
        door.turn_until(lambda: b'"code":"internal"' in heard(foreign))
    assert [str(error) for error in door.errors] == ["nobody knows that verb any more"]


def test_one_turn_takes_a_small_part_of_what_a_client_sends_ahead(door: Door) -> None:
    client = door.client()
    door.asked = lambda _connection, _line: None
    client.send(b"status\n" * 4000)
    door.reactor.turn(0)  # it is let in
    (connection,) = door.server._connections
    while not connection._requests:
        door.reactor.turn(0)
    assert len(connection._requests.to_data()["requests"]) < 1000
    client.close()


def test_what_a_client_sends_ahead_is_bounded_by_its_bytes(door: Door) -> None:
    taken: list[int] = []
    door.asked = lambda _connection, line: taken.append(len(line))
    client = door.client()
    sent = 0
    line = b"x" * 60_000 + b"\n"
    idle = 0
    while idle < 20:
        try:
            sent += client.send(line)
            idle = 0
        except BlockingIOError:
            idle += 1
        door.reactor.turn(0)
    (connection,) = door.server._connections
    assert taken == [60_000], "the first one is under way for ever"
    assert sum(map(len, connection._requests.to_data()["requests"])) < 4 * 65_536
    assert sent < 2_000_000, "the rest waits in the socket, as long as the kernel lets it"
    client.close()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="changes its groups")
@pytest.mark.parametrize(("count", "told"), [(200, True), (300, False)])
def test_of_a_peer_in_more_groups_than_one_can_ask_for_only_the_primary_one_counts(
    door: Door, count: int, told: bool
) -> None:
    groups, before = list(range(60_000, 60_000 + count)), os.getgroups()
    os.setgroups(groups)
    try:
        channel = door.client()
    finally:
        os.setgroups(before)
    with channel:
        door.turn_until(lambda: door.peers)
    assert door.peers[0].groups == (tuple(groups) if told else ())
    assert door.peers[0].gid == os.getegid()
    assert groups_are_told()

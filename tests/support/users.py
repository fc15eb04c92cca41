"""What other users of the system are answered by a daemon: a child of the test becomes such a user, and its connections are ours.

The kernel keeps who has connected, so the daemon judges them by that user.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tests.support.daemon import Daemon

    Answer = list[dict[str, Any]]

NO_GROUP = 60_000
MOST_AT_ONCE = 200
"""Descriptors in one message; the kernel takes 253 (unix(7))."""


def ask_as(daemon: Daemon, uid: int, *lines: str, groups: Sequence[int] = ()) -> list[Answer]:
    """Return what a user is answered: a list of objects for each request, before them the greeting or what comes instead."""
    with connected_as(daemon, uid, groups=groups) as channel:
        with contextlib.suppress(OSError):  # who is not let in is not read
            channel.sendall("".join(f"{line}\n" for line in lines).encode())
            channel.shutdown(socket.SHUT_WR)
        return answers_on(channel)


def answers_on(channel: socket.socket) -> list[Answer]:
    """Return all that comes on a connection until the daemon closes it, in the form of `ask_as`."""
    answers: list[Answer] = []
    with channel.makefile("rb") as replies:
        for message in map(json.loads, replies):
            if len(answers) < 2 or answers[-1][-1]["type"] == "end":
                answers.append([])
            answers[-1].append(message)
    return answers


def errors_of(answers: Sequence[Answer]) -> list[str]:
    """Return the code of each answer's error, "" without one."""
    return [answer[-1].get("error", {}).get("code", "") for answer in answers]


@contextmanager
def connected_as(daemon: Daemon, uid: int, *, groups: Sequence[int] = ()) -> Iterator[socket.socket]:
    """Yield a connection of a process of this user that has ended meanwhile."""
    with connections_as(daemon, uid, 1, groups=groups) as (channel,):
        yield channel


@contextmanager
def connections_as(
    daemon: Daemon, uid: int, count: int, *, groups: Sequence[int] = ()
) -> Iterator[list[socket.socket]]:
    """Yield so many connections of this user."""
    here, there = socket.socketpair()
    with here, contextlib.ExitStack() as stack:
        pid = os.fork()
        if pid == 0:
            _connect_as(str(daemon.socket), uid, count, groups, there)
        there.close()
        found: list[socket.socket] = []
        while descriptors := socket.recv_fds(here, 1, MOST_AT_ONCE)[1]:
            found += [stack.enter_context(socket.socket(fileno=each)) for each in descriptors]
        os.waitpid(pid, 0)
        assert len(found) == count, f"uid {uid} could not connect"
        for channel in found:
            channel.settimeout(20)
        yield found


def _connect_as(path: str, uid: int, count: int, groups: Sequence[int], to: socket.socket) -> None:
    """Be that user, connect, hand the connections over, and end."""
    try:
        os.setgroups(groups)
        os.setgid(NO_GROUP)
        os.setuid(uid)
        while count > 0:
            some = [socket.socket(socket.AF_UNIX) for _ in range(min(count, MOST_AT_ONCE))]
            for channel in some:
                channel.connect(path)
            socket.send_fds(to, [b"!"], [channel.fileno() for channel in some])
            count -= len(some)
    finally:
        os._exit(0)

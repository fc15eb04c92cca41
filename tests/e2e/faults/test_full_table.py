"""A daemon whose table of descriptors is full before anybody has asked it for anything: what comes on demand comes all the same."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.daemon import Daemon, process_exists
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import connect, descriptors

pytestmark = pytest.mark.slow
CLIENTS = 30


@pytest.fixture
def full(daemon: Daemon) -> Iterator[tuple[Daemon, list[socket.socket]]]:
    """A daemon without a free descriptor, and its clients, who have not said anything yet."""
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0}}")
    daemon.start()
    wait_until(lambda: "p running" in daemon.events())  # its start takes descriptors
    most = max(int(fd) for fd in os.listdir(f"/proc/{daemon.pid}/fd")) + 1
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(daemon)) for _ in range(1)]
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        clients += [stack.enter_context(connect(daemon)) for _ in range(CLIENTS)]
        wait_until(lambda: descriptors(daemon) >= most)
        yield daemon, clients


@pytest.mark.parametrize(
    ("line", "exit_code"),
    [("stop p", 0), *in_the_sweep(("status", 0), ("upgrade", 1), ("show p", 0), ("reload", 1), ("shutdown", 0))],
)
def test_the_first_request_is_answered_and_says_what_is_missing(
    full: tuple[Daemon, list[socket.socket]], line: str, exit_code: int
) -> None:
    daemon, clients = full
    with clients[0].makefile("rwb") as client:
        client.write(f"{line}\n".encode())
        client.flush()
        end = json.loads(next(reply for reply in client if b'"type":"end"' in reply))
    assert end["exit"] == exit_code
    assert exit_code == 0 or "too many open files" in end["error"]["message"]
    assert "internal error" not in daemon.events()


def test_a_signal_stops_it_in_order(full: tuple[Daemon, list[socket.socket]]) -> None:
    daemon, _clients = full
    pid = daemon.pid
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: not process_exists(pid))
    assert "taskmasterd stopped (exit 0)" in daemon.events()

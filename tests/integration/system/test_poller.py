"""Both ways to learn which descriptors are ready say the same."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator

import pytest

from taskmasterd.system.loop.poller import READ, WRITE, Epoll, Portable, new_poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.loop.poller import Poller

KINDS = [Portable, *([Epoll] if hasattr(select, "epoll") else [])]


@pytest.fixture(params=KINDS)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    found: Poller = request.param()
    yield found
    found.close()


def test_what_is_ready_is_told_as_it_was_asked_for(poller: Poller) -> None:
    one, other = socket.socketpair()
    with one, other:
        poller.add(one.fileno(), READ)
        assert poller.wait(0, 1) == []
        poller.change(one.fileno(), READ | WRITE)
        assert poller.wait(0, 1) == [(one.fileno(), WRITE)]
        other.send(b"x")
        assert poller.wait(None, 1) == [(one.fileno(), READ | WRITE)]
        poller.change(one.fileno(), READ)
        assert poller.wait(0, 1) == [(one.fileno(), READ)]
        poller.remove(one.fileno())
        assert poller.wait(0, 1) == []


def test_the_end_of_a_pipe_wakes_its_reader(poller: Poller) -> None:
    read, write = os.pipe()
    poller.add(read, READ)
    os.close(write)
    [(fd, events)] = poller.wait(1, 5)
    assert fd == read
    assert events & READ
    poller.remove(read)
    os.close(read)


def test_no_more_are_told_than_asked_for_and_a_short_time_is_waited(poller: Poller) -> None:
    pipes = [os.pipe() for _ in range(3)]
    for _, write in pipes:
        poller.add(write, WRITE)
    assert len(poller.wait(0.001, 2)) == 2
    assert len(poller.wait(0.001, 9)) == 3
    for read, write in pipes:
        poller.remove(write)
        os.close(read)
        os.close(write)
    assert poller.wait(0.001, 0) == []


def test_a_descriptor_that_was_closed_first_can_still_be_removed(poller: Poller) -> None:
    read, write = os.pipe()
    poller.add(read, READ)
    os.close(read)
    os.close(write)
    poller.remove(read)
    one, other = os.pipe()
    poller.add(one, READ)  # most likely under the same number
    os.write(other, b"x")
    assert poller.wait(1, 5) == [(one, READ)], "nothing is left of the first"
    poller.remove(one)
    os.close(one)
    os.close(other)


def test_epoll_is_taken_where_there_is_one() -> None:
    poller = new_poller()
    assert type(poller) is KINDS[-1]
    poller.close()

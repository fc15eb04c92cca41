"""A keeper that is stopped, or does not read: nothing waits for it for ever, and nothing piles up for it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.keeping.keeping import Keeping
from taskmasterd.keeping.link import KeeperMeans, Link
from taskmasterd.system.loop.reactor import Reactor
from tests.support.wait import wait_until

KEEPER = """
import os, sys, time
channel, path = int(sys.argv[1]), sys.argv[2]
while os.path.exists(path):
    packet = os.read(channel, 100)
    with open(path, "ab") as file:
        file.write(packet)
time.sleep(300)
"""
"""Reads nothing, unless there is a file in which to note what it reads."""


class Children:
    """Notes which child was started."""

    def __init__(self) -> None:
        self.pid = 0

    def add(self, child: Link, /) -> None:
        self.pid = child.pid


@pytest.fixture
def children() -> Children:
    return Children()


@pytest.fixture
def silent(tmp_path: Path, children: Children) -> Iterator[tuple[Keeping, Reactor]]:
    """Yield what keeps, with a keeper that never reads, and the loop."""
    reactor = Reactor(lambda error: pytest.fail(repr(error)))
    means = KeeperMeans(
        reactor,
        lambda: children,
        lambda words: [sys.executable, "-I", "-S", "-c", KEEPER, words[0], str(tmp_path / "reads")],
        dict(os.environ),
        str(tmp_path / "keeper"),
        lambda _pid: None,
        lambda _level, _text: None,
    )
    made = Keeping(means)
    yield made, reactor
    made.bye()
    os.kill(children.pid, signal.SIGKILL)
    os.waitpid(children.pid, 0)
    reactor.close()


def test_a_question_is_answered_with_nothing_and_no_second_one_is_asked(silent: tuple[Keeping, Reactor]) -> None:
    kept, reactor = silent
    null = os.open(os.devnull, os.O_RDONLY)
    kept.keep("one", (null,))
    answers: list[tuple[str, ...]] = []
    kept.modes("one", answers.append)
    kept.modes("one", answers.append)
    while len(answers) < 2:
        reactor.turn(1)
    kept.modes("one", answers.append)
    reactor.turn(0)  # at once
    assert answers == [(), (), ()]
    read, write = os.pipe()
    kept.tap("one", write)
    assert os.read(read, 1) == b"", "a silent keeper gets no copies to write"
    os.close(read)
    os.close(null)


def test_what_it_has_not_got_yet_is_taken_back(silent: tuple[Keeping, Reactor]) -> None:
    kept, _reactor = silent
    null = os.open(os.devnull, os.O_RDONLY)
    number = 0
    while kept.at_rest() and number < 5000:  # until the channel is full
        kept.keep(f"first/{number}", (null,))
        number += 1
    assert not kept.at_rest()
    before = len(os.listdir("/proc/self/fd"))
    for again in range(100):
        kept.keep(f"again/{again}", (null,))
        kept.drop(f"again/{again}")
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(null)


def test_one_that_has_died_is_replaced_at_once_before_an_exec(
    silent: tuple[Keeping, Reactor], children: Children
) -> None:
    kept, reactor = silent
    assert kept.at_rest()
    assert not children.pid, "nothing is kept"
    null = os.open(os.devnull, os.O_RDONLY)
    kept.keep("one", (null,))
    assert kept.at_rest()
    for unnoticed in (False, True, True):
        pid = children.pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if not unnoticed:
            reactor.turn(0)
        assert kept.at_rest()
        assert kept.fd is not None
        assert children.pid != pid
    kept.drop("one")
    os.close(null)


def test_one_that_another_key_has_started_gets_all_that_is_kept(
    silent: tuple[Keeping, Reactor], children: Children, tmp_path: Path
) -> None:
    kept, reactor = silent
    null = os.open(os.devnull, os.O_RDONLY)
    kept.keep("one", (null,))
    os.kill(children.pid, signal.SIGKILL)
    os.waitpid(children.pid, 0)
    reactor.turn(0)  # another one is due after a pause
    (tmp_path / "reads").touch()
    kept.keep("two", (null,))
    wait_until(lambda: (tmp_path / "reads").read_text() == "keep onekeep two")
    kept.drop("one")
    kept.drop("two")
    os.close(null)

"""Performer: the marks of a life come in their order, whatever else ends meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from taskmaster_common.config import ProgramConfig
from taskmasterd.core.events import Action, Event, Executed, Exited, GroupEmpty, Spawned
from taskmasterd.core.process import Process
from taskmasterd.core.table import Entry
from taskmasterd.performer import Performer
from taskmasterd.preparation import Surroundings
from taskmasterd.system.groups import Groups
from taskmasterd.system.procfs import listing, pipe_among
from taskmasterd.system.reactor import Reactor
from taskmasterd.system.sinks import Sinks

# the first look at /proc opens the descriptor that is kept in reserve for all later ones
pytestmark = pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc")


def test_that_nothing_is_left_is_told_after_the_leaders_end_even_if_it_is_seen_before(tmp_path: Path) -> None:
    reactor = Reactor(lambda error: pytest.fail(repr(error)))
    sinks = Sinks(pytest.fail)
    events: list[Event] = []
    around = Surroundings(dict(os.environ), "/tmp/none.sock", 0o022, str(tmp_path), None)
    groups = Groups("/tmp/none.sock")
    performer = Performer(reactor, groups, sinks, around, lambda _entry, event: events.append(event), pytest.fail)
    entry = Entry(ProgramConfig("p", ("sleep", "300")), 0, Process(since=0.0))
    performer.perform(entry, Action.SPAWN)
    while len(events) < 2:
        reactor.turn(1)
    assert isinstance(events[0], Spawned)
    leader = events[0].pid
    with open(f"/proc/{leader}/fd/1", "wb") as pipe, subprocess.Popen(["sleep", "300"], stdout=pipe) as survivor:
        for pid in (leader, survivor.pid):  # both have ended before anything is delivered
            os.kill(pid, signal.SIGKILL)
            if pid == leader:
                performer.children_ended([os.waitpid(pid, 0)])
        survivor.wait()
        performer.children_ended([(survivor.pid, 9)])
    while len(events) < 4:
        reactor.turn(1)
    assert [type(event) for event in events] == [Spawned, Executed, Exited, GroupEmpty]
    assert performer.copy_of(entry) is None
    performer.outputs.drain()
    os.close(performer._spawner.null)
    sinks.close()
    reactor.close()


def test_who_can_only_read_a_pipe_does_not_belong_to_those_who_write_into_it() -> None:
    read, write = os.pipe()
    inodes = {os.fstat(read).st_ino}
    with (
        subprocess.Popen(["sleep", "300"], stdin=read) as reader,
        subprocess.Popen(["sleep", "300"], stdout=write) as one,
    ):
        os.close(read)
        os.close(write)
        try:
            assert pipe_among(reader.pid, inodes) is None
            assert pipe_among(one.pid, inodes) in inodes
        finally:
            reader.kill()
            one.kill()

"""The daemon's side of the channel to its guardian: nothing is lost, nobody waits, and who is at the other end is certain."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from taskmasterd.survival.guardian_channel import Acknowledgement, Guard, read_kept
from taskmasterd.system.loop.reactor import Reactor
from tests.support.wait import wait_until


class Channel:
    """A guard, and the guardian's end of its channel."""

    def __init__(self, *handed: int) -> None:
        self.errors: list[BaseException] = []
        self.reactor = Reactor(self.errors.append)
        self.ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(5)
        self.news: list[object] = []
        self.guard = Guard(
            self.reactor, other.detach(), handed, self.news.append, lambda: self.news.append(f"lost {self.guard.pid}")
        )

    def packets(self) -> list[bytes]:
        """Return what the guardian could read now; it closes what it is given."""
        found: list[bytes] = []
        self.ours.setblocking(False)
        while True:
            try:
                packet, fds, _flags, _address = socket.recv_fds(self.ours, 8192, 1)
            except BlockingIOError:
                return found
            for fd in fds:
                os.close(fd)
            found.append(packet)


@pytest.fixture
def channel() -> Iterator[Channel]:
    """A channel whose guardian has handed over the ends of two orphans."""
    channel = Channel(11, 12)
    yield channel
    channel.ours.close()
    channel.reactor.turn(0)
    channel.reactor.close()


def test_ends_are_noted_when_they_are_remembered_and_not_before(channel: Channel) -> None:
    assert not channel.guard.idle
    channel.guard.noted()
    assert channel.packets() == [b"noted 11", b"noted 12"]
    channel.ours.send(b"end 13 256 0")
    channel.ours.send(b"end 14 9 4711")
    channel.reactor.turn(1)
    assert channel.news == [[(13, 256), (14, 9)]]
    assert channel.packets() == []
    channel.guard.noted()
    assert channel.packets() == [b"noted 13", b"noted 14"]
    assert channel.packets() == []


def test_a_parent_that_did_not_make_the_channel_is_no_guardian(channel: Channel) -> None:
    # this process made it, and is not its own parent: as where the guardian has died and init is the parent
    assert channel.guard.pid == 0


def is_full(channel: Channel) -> bool:
    """Return whether something waits until the guardian reads."""
    return not channel.guard.idle


def test_what_a_guardian_does_not_take_is_sent_later_in_order_and_a_pipe_that_ended_meanwhile_never(
    channel: Channel,
) -> None:
    channel.guard.noted()
    sent = 0
    while not is_full(channel):
        channel.guard.drop(sent)
        sent += 1
    read, write = os.pipe()
    channel.guard.keep(4711, read, "/log")
    channel.guard.keep(4712, read, "/other log")
    channel.guard.drop(4711)
    os.close(write)
    got: list[bytes] = []
    while is_full(channel):
        got += channel.packets()
        channel.reactor.turn(1)
    got += channel.packets()
    assert got[2:] == [*(b"drop %d" % number for number in range(sent)), b"keep 4712 /other log"]
    os.close(read)


def test_what_it_is_asked_for_is_waited_for_and_told_as_any_other_end(channel: Channel) -> None:
    for packet in (b"end 13 256 77", b"end 14 9 0", b"told", b"end 15 0 0"):
        channel.ours.send(packet)
    assert channel.guard.tell() == [(13, 256, 77), (14, 9, 0)]
    assert channel.packets() == [b"tell"]
    assert channel.news == [[(13, 256), (14, 9)]]
    channel.reactor.turn(1)
    assert channel.news[1:] == [[(15, 0)]]


def test_who_does_not_answer_is_not_waited_for_for_ever_and_may_answer_later(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskmasterd.survival.guardian_channel.ANSWER_WITHIN_S", 0.01)
    channel.ours.send(b"end 13 256 0")
    assert channel.guard.tell() == [(13, 256, 0)]
    channel.ours.send(b"told")
    channel.ours.send(b"end 14 9 0")
    channel.reactor.turn(1)
    assert channel.news == [[(13, 256)], [(14, 9)]]
    channel.ours.close()
    assert channel.guard.tell() == []
    channel.reactor.turn(1)
    assert channel.news[2:] == ["lost 0"]
    assert not channel.errors


def test_its_death_is_told_after_what_it_has_said(channel: Channel) -> None:
    channel.ours.send(b"end 13 256 0")
    channel.ours.close()
    channel.reactor.turn(1)
    assert channel.news == [[(13, 256)], "lost 0"]
    channel.guard.drop(7)
    channel.guard.bye(0)  # to nobody: no error
    assert not channel.errors


def test_what_was_kept_is_read_and_belongs_to_no_child() -> None:
    kept = os.memfd_create("kept")
    pipe, write = os.pipe()
    os.set_inheritable(pipe, True)
    os.write(kept, b"\0".join([b"%d 1" % write, b"pipe 77 %d /a path \xff" % pipe, b"end 5 256 88"]))
    os.lseek(kept, 0, os.SEEK_SET)
    found = read_kept(kept)
    assert (found.channel, found.again, found.ends) == (write, True, {5: (256, 88)})
    assert found.pipes == {77: (pipe, "/a path \udcff")}
    assert not os.get_inheritable(pipe)
    os.close(pipe)
    os.close(write)


def test_a_guardian_that_has_died_is_asked_for_nothing_any_more(channel: Channel) -> None:
    channel.ours.close()
    channel.reactor.turn(1)
    assert channel.news == ["lost 0"]
    guard = channel.guard
    guard.keep(7, 0, "/log")
    guard.drop(7)
    guard.listener(0)
    guard.noted()
    guard.bye(3)
    assert (guard.fd, guard.pid, guard.idle) == (-1, 0, True)
    assert channel.errors == []


def test_ends_are_acknowledged_in_the_next_turn_once_the_state_is_written_and_all_is_settled(channel: Channel) -> None:
    happened: list[str] = []
    settled = [False, True]

    def is_settled() -> bool:
        happened.append(f"written and looked at, {channel.packets()} sent")
        return settled.pop(0)

    guard = channel.guard
    Acknowledgement(channel.reactor, guard, lambda: happened.append("flush"), is_settled).send_later()
    channel.reactor.turn(0)
    assert happened == []

    def is_idle() -> bool:
        channel.reactor.turn(0.02)
        return guard.idle

    wait_until(is_idle)
    assert happened == ["flush", "written and looked at, [] sent"] * 2
    assert channel.packets() == [b"noted 11", b"noted 12"]

"""Who reads to the end before it gets the stop signal."""

from __future__ import annotations

from taskmasterd.core.process.readers import GRACE_S, Member, waiting

NOW = 100.0
PROG = Member(1, (), ("a",))
SED = Member(2, ("a",), ("b",))
TEE = Member(3, ("b",), ("log",))


def test_who_reads_no_pipe_waits_for_nothing() -> None:
    assert waiting([PROG, Member(2, (), ("log",))], {}, NOW) == (frozenset(), {})


def test_a_reader_waits_for_as_long_as_somebody_feeds_it_be_it_by_way_of_other_readers() -> None:
    assert waiting([TEE, SED, PROG], {}, NOW) == (frozenset({2, 3}), {})
    assert waiting([TEE, SED, PROG], {}, NOW + 1000) == (frozenset({2, 3}), {})


def test_a_reader_that_nobody_feeds_has_its_grace_and_no_more() -> None:
    still, due = waiting([SED, TEE], {}, NOW)
    assert (still, due) == (frozenset({2, 3}), {2: NOW + GRACE_S, 3: NOW + GRACE_S})
    assert waiting([SED, TEE], due, NOW + GRACE_S / 2) == (frozenset({2, 3}), due)
    assert waiting([SED, TEE], due, NOW + GRACE_S) == (frozenset(), due)


def test_a_grace_begins_when_the_last_feeder_has_ended() -> None:
    _, due = waiting([PROG, SED], {}, NOW)
    assert waiting([SED], due, NOW + 5) == (frozenset({2}), {2: NOW + 5 + GRACE_S})


def test_readers_that_feed_each_other_wait_for_nobody() -> None:
    ring = [Member(1, ("a",), ("b",)), Member(2, ("b",), ("a",)), Member(3, ("c",), ("c",))]
    _, due = waiting(ring, {}, NOW)
    assert waiting(ring, due, NOW + GRACE_S)[0] == frozenset()


def test_a_leader_is_never_a_reader_and_feeds_whom_it_writes_to() -> None:
    there = [Member(1, ("b",), ("a",)), SED]
    assert waiting(there, {}, NOW, leader=1) == (frozenset({2}), {})


def test_what_a_reader_has_started_is_part_of_its_work_and_waits_with_it() -> None:
    loop, logger, timer = Member(2, ("a",), ("log",)), Member(3, (), ("log",), parent=2), Member(4, (), (), parent=3)
    assert waiting([timer, logger, loop, PROG], {}, NOW) == (frozenset({2, 3, 4}), {})
    still, due = waiting([timer, logger, loop], {}, NOW)
    assert (still, set(due.values())) == (frozenset({2, 3, 4}), {NOW + GRACE_S})
    assert waiting([timer, logger, loop], due, NOW + GRACE_S)[0] == frozenset()


def test_a_child_of_the_leader_is_no_helper_whatever_the_leader_reads() -> None:
    there = [Member(1, ("b",), ("a",)), Member(5, (), (), parent=1), SED]
    assert waiting(there, {}, NOW, leader=1) == (frozenset({2}), {})

"""The long run's own judges: each finds what it is there to find, and lets pass what may be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.outlive.cohort import ALONE, KINDS, STEADY, Cohort
from tests.outlive.numbers import CHUNK, JSON, PREFIX, TERMINAL, Numbers, line, plain, read
from tests.outlive.rows import Ends, Life, lives, told
from tests.soak.population import KINDS as POPULATION
from tests.support.host import load


def _lines(copy: str, *numbers: int) -> bytes:
    return b"".join(line(copy.encode(), number) for number in numbers)


def _judged(*pieces: bytes) -> Numbers:
    numbers = Numbers()
    for piece in pieces:
        numbers.take(piece)
    numbers.end()
    return numbers


def test_whole_counts_of_instances_that_follow_each_other_are_right_however_they_are_cut() -> None:
    text = _lines("1.1", *range(1, 3000)) + _lines("2.2", *range(1, 5))
    for size in (1, 7, 4096, len(text)):
        found = _judged(*(text[at : at + size] for at in range(0, len(text), size)))
        assert (found.problems, found.counts, found.bytes) == ([], {b"1.1": 2999, b"2.2": 4}, len(text))


@pytest.mark.parametrize(
    ("text", "lost", "doubled", "problem"),
    [
        (_lines("1.1", 1, 2, 4), len(_lines("1.1", 3)), 0, "1.1: 4 where 3 was due"),
        (_lines("1.1", *range(1, 2001), *range(2003, 4000)), len(_lines("1.1", 2001, 2002)), 0, "2003 where 2001"),
        (_lines("1.1", 1, 2, 2, 3), 0, len(_lines("1.1", 2)), "1.1: 2 again, where 3 was due"),
        (_lines("1.1", 1, 2)[:-4], 0, 0, "in the middle of a line"),
        (_lines("1.1", 1) + _lines("2.2", 1) + _lines("1.1", 2), 0, 0, "1.1 goes on with 2 after 2.2"),
        (_lines("1.1", 1) + b"1.1 2 xxx\n", 0, 0, "no line that was written"),
    ],
)
def test_lost_doubled_and_mixed_lines_are_found(text: bytes, lost: int, doubled: int, problem: str) -> None:
    found = _judged(text)
    assert (found.lost, found.doubled, len(found.problems)) == (lost, doubled, 1)
    assert problem in found.problems[0]


def test_a_line_that_is_cut_where_another_instance_begins_is_told() -> None:
    found = _judged(_lines("1.1", 1, 2)[:-3], _lines("2.2", 1, 2))
    assert (found.problems, found.cut, found.counts) == ([], [b"1.1"], {b"1.1": 1, b"2.2": 2})
    assert _judged(_lines("1.1", 1, 2)[:-3], _lines("2.2", 2)).problems
    near = _judged(_lines("17.1", 1, 2), _lines("176.1", 1))
    assert (near.problems, near.cut, near.counts) == ([], [], {b"17.1": 2, b"176.1": 1})


def _terminal(text: bytes, chunks: int) -> Numbers:
    numbers = Numbers(chunks)
    numbers.take(text)
    numbers.end()
    return numbers


@pytest.mark.parametrize("at", [0, 3, 40, 59, 60])
@pytest.mark.parametrize("length", [1, 500, CHUNK - 5])
def test_a_chunk_that_died_with_a_keeper_is_allowed_once_for_each_keeper(at: int, length: int) -> None:
    text = _lines("1.1", *range(1, 3000))
    begin = text.index(b"\n1.1 1500 ") + 1 + at
    torn = text[:begin] + text[begin + length :]
    found = _terminal(torn, 1)
    assert (found.problems, found.lost, found.chunked, found.counts) == ([], 0, length, {b"1.1": 2999})
    assert _terminal(torn, 0).problems or _terminal(torn, 0).lost
    assert _terminal(torn + torn.replace(b"1.1 ", b"2.2 "), 1).problems


def test_more_than_a_chunk_is_found_and_so_is_a_line_that_was_never_written() -> None:
    text = _lines("1.1", *range(1, 3000))
    begin = text.index(b"\n1.1 1500 ") + 5
    assert _terminal(text[:begin] + text[begin + CHUNK + 100 :], 1).problems
    assert _terminal(text.replace(b"1.1 1500 ", b"1.1 15x0 "), 1).problems
    assert _terminal(text + b"1.1 xx\n", 1).problems


def test_every_form_of_a_log_is_what_was_written() -> None:
    stamped = b"2026-11-28T10:02:31.402+01:00 1.1 1 x\n2026-11-28T10:02:31.402+01:00 1.1 2 xx\n"
    objects = b'{"stream":"stdout","message":"1.1 1 x"}\n{"stream":"event","message":"y"}\n'
    assert b"".join(plain([stamped[:50], stamped[50:]], PREFIX)) == _lines("1.1", 1, 2)
    assert b"".join(plain([objects[:50], objects[50:]], JSON)) == _lines("1.1", 1)
    assert b"".join(plain([b"1.1 1 x\r", b"\n"], TERMINAL)) == _lines("1.1", 1)
    for form, text in (
        (PREFIX, b"1.1 1 x\n"),
        (JSON, b"1.1 1 x\n"),
        (JSON, b'{"message":"1.1 1 x"}\n'),
        (TERMINAL, b"1.1 1 x\r\r\n"),
    ):
        assert _judged(*plain([text], form)).problems


def test_rotated_files_are_read_oldest_first(tmp_path: Path) -> None:
    for name, number in (("p.log.10", 1), ("p.log.9", 2), ("p.log.1", 3), ("p.log", 4)):
        (tmp_path / name).write_bytes(_lines("1.1", number))
    assert read(tmp_path / "p.log").problems == []
    (tmp_path / "p.log.9").unlink()
    assert read(tmp_path / "p.log").lost == len(_lines("1.1", 2))


SLOT = ("p", 0)
LIFE = Life(SLOT, 7, b"7.1", 3, "exit 3", 10.0)


def _events(*texts: str) -> list[str]:
    return [f"2026-01-01T00:00:00.000+00:00 info {text}" for text in texts]


@pytest.mark.parametrize(
    ("texts", "gap", "wrong"),
    [
        (("p started (pid 7)", "p exited: exit 3 after 1.0s (unexpected)"), (), 0),
        (("p:0 started (pid 7, try 2 of 4)", "p failed to start: exit 3 after 0.0s"), (), 0),
        (("p started (pid 7)", "p exited: exit 4 after 1.0s (unexpected)"), (), 1),
        (("p started (pid 7)",), (), 1),
        (("p started (pid 7)", "p started (pid 8)", "p exited: exit 3 after 1.0s (unexpected)"), (), 1),
        (("p started (pid 7)", "p exited: ended while no daemon was there, nobody knows how, after 1s"), (), 1),
        (
            ("p started (pid 7)", "p exited: ended while no daemon was there, nobody knows how, after 1s"),
            (9.0, 11.0),
            0,
        ),
        (("p started (pid 7)", "p exited: exit 4 after 1.0s (unexpected)"), (9.0, 11.0), 1),
    ],
)
def test_ends_that_are_told_otherwise_or_not_at_all_are_found(
    texts: tuple[str, ...], gap: tuple[float, float] | tuple[()], wrong: int
) -> None:
    ends = Ends([gap] if gap else [], [], 0.0, excused=True)
    assert len(list(ends.look([LIFE], told(_events(*texts))))) == wrong


def test_with_a_guardian_no_status_may_be_unknown() -> None:
    text = "p exited: ended while no daemon was there, nobody knows how, after 1s"
    ends = Ends([(9.0, 11.0)], [9.0], 0.0, excused=False)
    assert len(list(ends.look([LIFE], told(_events("p started (pid 7)", text))))) == 1
    young = LIFE._replace(copy=b"7.8990000000")
    for texts in ((), ("p started (pid 7)",)):
        assert len(list(ends.look([young], told(_events(*texts))))) == 1
        without = Ends([(9.0, 11.0)], [1.0, 9.0, 20.0], 0.0, excused=True)
        assert list(without.look([young], told(_events(*texts)))) == []
        assert without.young == 1
    assert len(list(without.look([LIFE], told(_events("p started (pid 7)"))))) == 1, "it was old enough to be known"


def test_rows_tell_who_began_and_how_they_ended(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.write_text("start p 0 7 7.1\nstart q 1 8 8.1\nend p 0 7 7.1 3 3 0 10000000000\nend q 1 8 8.1 5 9 9 1\n")
    assert lives(rows) == {b"7.1": LIFE, b"8.1": Life(("q", 1), 8, b"8.1", 5, "killed by SIGKILL", 1e-9)}


def test_each_kind_is_in_a_configuration_that_can_be_loaded() -> None:
    cohort = Cohort(200, ["/bin/writer"], "/tmp/rows", random.Random(1))
    before = load(cohort.text()).config
    assert len(before.programs) >= 195
    assert {name.rstrip("0123456789") for name in cohort.programs} == set(KINDS)
    assert cohort.edit()
    assert load(cohort.text()).config != before


def test_no_operator_of_the_soak_knows_a_kind_that_nobody_touches() -> None:
    assert not {*STEADY, *ALONE}.intersection(POPULATION)

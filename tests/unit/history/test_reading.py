"""Reading the history back: forwards and backwards over its files, while it grows and is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.telling.history import History
from taskmasterd.telling.reading import Forwards, backwards, seq_of, time_of
from taskmasterd.telling.segments import PIECE

LIMITS = {"size": 400_000, "age": 0.0}


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(str(tmp_path / "history" / "s"), LIMITS, "boot")
    yield made
    made.close()


def noted(history: History, count: int) -> None:
    for _ in range(count):
        history.note(f"web:{history.seq}", "started", pid=history.seq, reason="x" * 100)
        if history.seq % 50 == 0:
            history.flush()
    history.flush()


def test_backwards_yields_every_line_whole_the_newest_piece_first(history: History) -> None:
    noted(history, 1200)
    pieces = list(backwards(history.place or ""))
    assert len(pieces) > 5
    assert all(len(b"\n".join(lines)) <= 2 * PIECE for lines in pieces)
    numbers = [[seq_of(line) for line in lines] for lines in pieces]
    assert [number for lines in reversed(numbers) for number in lines] == list(range(1, 1201))
    assert time_of(pieces[0][-1]) == json.loads(pieces[0][-1])["time"]


def test_a_history_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(backwards(str(tmp_path / "history" / "s"))) == []
    assert Forwards(str(tmp_path / "history" / "s"), 1).read() == []


def read(reader: Forwards) -> list[int]:
    found: list[int] = []
    while lines := reader.read():
        found += map(seq_of, lines)
    return found


@pytest.mark.parametrize("first", [1, 2, 700, 1200, 1201])
def test_forwards_begins_at_any_record_and_goes_on_as_the_history_grows(history: History, first: int) -> None:
    noted(history, 1200)
    reader = Forwards(history.place or "", first)
    assert read(reader) == list(range(first, 1201))
    noted(history, 3)
    assert read(reader) == [1201, 1202, 1203]
    noted(history, 900)
    assert read(reader) == list(range(1204, 2104))
    reader.close()


def test_what_was_removed_meanwhile_is_skipped_and_the_next_number_says_so(history: History) -> None:
    noted(history, 1000)
    reader = Forwards(history.place or "", 1)
    reader.read()
    began = reader.seq
    noted(history, 5000)
    numbers = read(reader)
    assert numbers == sorted(numbers)
    assert numbers[-1] == 6000
    assert began not in numbers or numbers != list(range(began, 6001))
    late = Forwards(history.place or "", 1)
    first = seq_of(late.read()[0])
    assert first > 1
    late.close()
    reader.close()


def test_lines_that_are_no_records_are_no_obstacle(history: History, tmp_path: Path) -> None:
    noted(history, 3)
    (file,) = (tmp_path / "history").iterdir()
    history.close()
    with file.open("ab") as end:
        end.write(b"garbage\n" + b"y" * (2 * PIECE) + b"\n")
    again = History(history.place, LIMITS, "boot")
    noted(again, 2)
    reader = Forwards(history.place or "", 1)
    numbers = read(reader)
    assert numbers[:3] == [1, 2, 3]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 5
    reader.close()
    again.close()

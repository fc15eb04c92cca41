"""What the long runs say of a history that is not whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.history import history_problem


def lines(*numbers: int) -> str:
    return "".join(f"{json.dumps({'seq': number})}\n" for number in numbers)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"s.9-2.jsonl": lines(9, 10), "s.11-3.jsonl": lines(11)}, ""),
        ({"s.1-1.jsonl": lines(1, 2, 4)}, "after 2 comes 4, and 0 more places are wrong"),
        ({"s.1-1.jsonl": lines(1, 2), "s.3-1.jsonl": lines(2, 3)}, "after 2 comes 2, and 0 more places are wrong"),
        ({"s.1-1.jsonl": lines(1) + '{"seq": 2'}, "cannot be read: "),
        ({}, "it is empty"),
        ({"s.1-1.jsonl": lines(*range(1, 3)) + '{"seq": 3, "x": "' + "x" * 20_000_000 + '"}\n'}, "it has 2000"),
    ],
)
def test_each_kind_of_damage_is_found(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    (tmp_path / "history").mkdir()
    for name, text in files.items():
        (tmp_path / "history" / name).write_text(text)
    found = history_problem(tmp_path)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)

"""Times in formatted logs: where they begin, over rotated files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.formatted.search import search_times, stretch
from taskmasterd.output.read import Follower

NOON = 1_795_867_200.0


def line(second: float, text: str) -> bytes:
    moment = dt.datetime.fromtimestamp(second, dt.timezone.utc)
    return f"{moment.isoformat(timespec='milliseconds')} {text}\n".encode()


def between(path: Path, since: float, until: float) -> bytes:
    """Return what is found of a log, as `logs` shows it."""
    search = search_times(str(path), (since, until))
    try:
        while True:
            next(search)
    except StopIteration as done:
        found: Sequence[int] = done.value
    past = stretch(str(path), *found)
    reader, text = Follower(str(path), past), b""
    try:
        while len(text) < past.length:
            text += reader.read(past.length - len(text))[0]
    finally:
        reader.close()
    return text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90)), max_size=12), min_size=1, max_size=3),
    st.integers(-2, 40),
    st.integers(0, 40),
)
def test_exactly_the_lines_of_a_period_are_found(
    tmp_path: Path, files: list[list[tuple[int, int]]], begin: int, length: int
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    at, written = 0, []
    for number, rows in zip(range(len(files) - 1, -1, -1), files):
        text = b""
        for pause, size in rows:
            at += pause
            written.append((at, line(NOON + at, "x" * size)))
            text += written[-1][1]
        (tmp_path / ("log" + (f".{number}" if number else ""))).write_bytes(text)
    expected = b"".join(text for second, text in written if begin <= second < begin + length)
    assert between(tmp_path / "log", NOON + begin, NOON + begin + length) == expected


def test_lines_without_a_time_belong_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"torn\n" + line(NOON, "a") + b"of a\n" + line(NOON + 9, "b") + b"of b")
    assert between(path, NOON - 1, NOON + 5) == b"torn\n" + line(NOON, "a") + b"of a\n"
    assert between(path, NOON + 5, NOON + 99) == line(NOON + 9, "b") + b"of b"
    assert between(path, NOON + 10, NOON + 99) == b""


def test_a_log_without_times_is_before_every_moment_or_after_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"raw\n" * 50_000)
    assert between(path, NOON, NOON + 1) == b""
    path.write_bytes(b"")
    assert between(path, NOON, NOON + 1) == b""


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(SystemFailure):
        list(search_times(str(tmp_path / "log"), (NOON,)))
    assert list(search_times(str(tmp_path / "none"), (NOON,)))

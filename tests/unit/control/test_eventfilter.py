"""Which lines of the event log are about a program, however the log is cut into blocks."""

from __future__ import annotations

import pytest

from taskmasterd.control.verbs.eventfilter import EventFilter

LINES = [
    b"2026-11-23T21:44:12.114+00:00 info web started (pid 1)",
    b"2026-11-23T21:44:12.114+00:00 info web:0 started (pid 1)",
    b"2026-11-23T21:44:12.115+00:00 info web:1 running (pid 2)",
    b"2026-11-23T21:44:12.116+00:00 info web-admin started (pid 3)",
    b"2026-11-23T21:44:12.117+00:00 info request from uid 0, pid 9: stop web",
    b"2026-11-23T21:44:12.118+00:00 warning db exited: web",
    b"no time",
    b"",
    b"2026-11-23T21:44:12.119+00:00 error web:x no such instance",
    b"\xff\xfe \xff web \xff",
]
LOG = b"".join(line + b"\n" for line in LINES)


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize(
    ("targets", "kept"),
    [(["web"], (0, 1, 2, 9)), (["web:1"], (2,)), (["web:0"], (0, 1, 9)), (["web-*"], (3,)), (["db"], (5,)), (["db", "web:1"], (2, 5)),
     (["nosuch"], ())],
)  # fmt: skip
def test_only_lines_that_begin_with_the_name_are_kept(targets: list[str], kept: tuple[int, ...], size: int) -> None:
    only = EventFilter(targets)
    found = [line for at in range(0, len(LOG), size) for line in only.take(LOG[at : at + size])]
    assert found == [LINES[number] + b"\n" for number in kept]
    assert only.rest == b""


def test_half_a_line_waits_for_its_end_in_another_filter_too() -> None:
    first = EventFilter(["web"])
    assert first.take(LOG[:20]) == []
    other = EventFilter(["web"])
    other.resume(first.rest)
    assert other.take(LOG[20:]) == EventFilter(["web"]).take(LOG)

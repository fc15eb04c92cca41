"""Several logs in one order."""

from __future__ import annotations

from taskmasterctl.reply.logtext import Merged


def stamp(second: int, zone: str = "+00:00", hour: int = 10) -> str:
    return f"2026-11-28T{hour:02d}:00:{second:02d}.000{zone}"


def test_lines_come_by_time_whatever_the_zone_and_the_pieces() -> None:
    merged = Merged()
    merged.take("a", f"{stamp(1)} one\n{stamp(4)} fo")
    merged.take("b", f'{{"time":"{stamp(2, "+01:00", 11)}"}}\n')
    merged.take("a", "ur\n")
    merged.take("b", f"{stamp(3)} three\n")
    assert [(name, line.strip().split()[-1]) for name, line in merged.lines()] == [
        ("a", "one"), ("b", f'{{"time":"{stamp(2, "+01:00", 11)}"}}'), ("b", "three"), ("a", "four"),
    ]  # fmt: skip


def test_a_line_without_a_time_follows_the_one_before_it() -> None:
    merged = Merged()
    merged.take("a", f"{stamp(2)} error\n  at here\n  and there")
    merged.take("b", f"first of all\n{stamp(1)} one\n{stamp(2)} two\n")
    assert [line.strip().split()[-1] for _, line in merged.lines()] == ["all", "one", "error", "here", "there", "two"]

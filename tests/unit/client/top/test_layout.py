"""Listing as lines: never wider than the screen, on any screen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmasterctl.reply.render import cells_of, size_text
from taskmasterctl.top import layout
from taskmasterctl.top.layout import HELP, Drawing, help_line
from taskmasterctl.top.rows import Listing
from taskmasterctl.top.samples import Samples, sparkline
from taskmasterctl.usage.sampler import Figures
from tests.unit.client.top.test_rows import process, rows_of, web

ALL = ["NAME", "STATE", "PID", "UPTIME", "RST", "%CPU", "cpu", "MEM", "mem", "DETAIL"]


def sample() -> Listing:
    detail = "exit 1 after 0.2s (try 4 of 4)"
    rows = rows_of(
        *web(0, 1), process("db", uptime_s=3_600.0, restarts=2), process("mailer", state="FATAL", pid=None, wanted=False, detail=detail)
    )  # fmt: skip
    rows.open.add(("web",))
    for percent in (5.0, 50.0, 120.0):
        figures = {
            key: Figures(percent, 1.0, 98 << 20, 1, 3, 12, 2048.0) for key in rows.processes if key[0] != "mailer"
        }
        rows.samples.add(figures, rows.processes)
    rows.arrange()
    return rows


def titles(width: int, *, more: bool = False) -> list[str]:
    return [column.title for column in layout.columns(sample(), Drawing(width, more=more))]


def text(rows: Listing, name: Any, screen: Drawing) -> str:
    return "".join(part for _, part in layout.row_line(rows, name, layout.columns(rows, screen), screen))


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (200, []),
        (100, []),
        (99, ["cpu", "mem"]),
        (80, ["cpu", "mem"]),
        (79, ["cpu", "mem", "UPTIME", "RST"]),
        (60, ["cpu", "mem", "UPTIME", "RST"]),
        (59, ["cpu", "mem", "UPTIME", "RST", "PID", "MEM"]),
        (40, ["cpu", "mem", "UPTIME", "RST", "PID", "MEM", "DETAIL"]),
    ],
)
def test_narrower_screens_have_fewer_columns(width: int, gone: list[str]) -> None:
    assert titles(width) == [title for title in ALL if title not in gone]


def test_more_columns_come_on_request_and_the_text_without_a_screen_has_all_but_sparklines() -> None:
    assert {"FDS", "THR", "IO/s"} <= set(titles(200, more=True))
    assert titles(0) == [title for title in ALL if title not in ("cpu", "mem")]


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("width", [40, 41, 59, 60, 79, 80, 99, 100, 120, 200, 400])
def test_every_line_is_exactly_as_wide_as_the_columns_or_narrower(width: int, more: bool) -> None:
    rows, screen = sample(), Drawing(width, utf8=True, more=more)
    shown = layout.columns(rows, screen)
    for name in rows.names:
        assert cells_of("".join(part for _, part in layout.row_line(rows, name, shown, screen))) <= width
    assert cells_of(layout.head_line(rows, shown, screen)[0][1]) <= width
    assert cells_of(layout.summary(layout.facts_of(rows, 9e9, "x" * 300), "host", screen)) <= width


@given(st.integers(40, 250), st.text(max_size=60), st.text(max_size=200), st.booleans())
def test_no_name_and_no_detail_makes_a_line_wider_or_moves_the_cursor(
    width: int, name: str, detail: str, more: bool
) -> None:
    rows = rows_of(process(name or "x", name=name or "x", detail=detail), process("b"))
    screen = Drawing(width, utf8=True, more=more)
    for each in rows.names:
        line = text(rows, each, screen)
        assert cells_of(line) <= width
        assert line.isprintable()


def test_a_program_shows_the_worst_state_and_the_sum() -> None:
    rows = rows_of(*web(0, 1), process("web", 2, "FATAL", name="web:2", wanted=False))
    rows.samples.add(
        {("web", 0): Figures(20.0, 1.0, 10 << 20), ("web", 1): Figures(30.0, 1.0, 1 << 20)}, rows.processes
    )
    line = text(rows, ("web",), Drawing(120))
    assert line.split()[:8] == [">", "web", "(3)", "FATAL", "-", "-", "0", "50.0"]
    assert "11M" in line
    assert "1 fatal, 2 running" in line


def test_the_selection_shows_without_colours_and_a_mark_beside_it() -> None:
    rows = sample()
    rows.selected, rows.marked = ("db", 0), {("db", 0)}
    assert text(rows, ("db", 0), Drawing(100)).startswith(">*db")
    assert text(rows, ("web",), Drawing(100)).startswith("  web")


def test_colour_is_on_the_state_only_and_nowhere_when_the_figures_are_old() -> None:
    rows, screen = sample(), Drawing(100)
    rows.selected = ()
    line = layout.row_line(rows, ("mailer", 0), layout.columns(rows, screen), screen)
    assert [part.strip() for style, part in line if style] == ["FATAL"]
    old = Drawing(100, dim=True)
    styles = {style for style, _ in layout.row_line(rows, ("mailer", 0), layout.columns(rows, old), old)}
    assert styles == {layout.DIMMED}


def test_what_belongs_to_a_process_shows_its_pid_and_its_command() -> None:
    rows = rows_of(process("db"))
    rows.trees, rows.open = {("db", 0): [{"pid": 88, "ppid": 7, "command": "sleep\n5"}]}, {("db", 0)}
    rows.arrange()
    assert text(rows, ("db", 0, 88), Drawing(100)).split() == ["88", "sleep\\n5"]
    assert "88 sleep" in text(rows, ("db", 0, 88), Drawing(40))


# -- sparklines


def test_a_sparkline_goes_from_nothing_to_its_own_maximum_with_the_newest_at_the_right() -> None:
    assert sparkline([0.0, 50.0, 100.0], 5, 100.0, blocks=True) == "  ▁▅█"
    assert sparkline([0.0, 100.0, 200.0], 3, 100.0, blocks=True) == "▁▅█"
    assert sparkline([None, 1.0, None, 2.0], 8, 0.0, blocks=False) == "     = #"
    assert sparkline([0.0, 0.0], 2, 0.0, blocks=True) == "▁▁"
    assert sparkline([], 3, 100.0, blocks=True) == "   "
    assert len(sparkline([float(n) for n in range(100)], 8, 0.0, blocks=True)) == 8


def test_points_of_a_program_are_sums_from_the_newest_backwards_and_short_histories_count_where_they_are() -> None:
    samples = Samples()
    a, b = ("web", 0), ("web", 1)
    samples.add({a: Figures(1.0, 1.0, 10)}, [a])
    samples.add({a: Figures(2.0, 1.0, 10), b: Figures(5.0, 1.0, 1)}, [a, b])
    samples.add({b: Figures(6.0, 1.0, 1)}, [a, b])
    assert samples.points([a, b]) == [(1.0, 10), (7.0, 11), (6.0, 1)]
    assert samples.points([a]) == [(1.0, 10), (2.0, 10), (None, None)]
    samples.add({}, [b])
    assert samples.points([a]) == []


def test_only_the_newest_samples_are_kept() -> None:
    samples = Samples()
    for n in range(100):
        samples.add({("a", 0): Figures(float(n), 1.0, 1)}, [("a", 0)])
    assert len(samples.points([("a", 0)])) == 30


@pytest.mark.parametrize(
    ("size", "shown"),
    [(None, "-"), (0, "0"), (999, "999"), (1000, "1.0K"), (9.9 * 1024, "9.9K"), (98 << 20, "98M"), (1.4 * (1 << 30), "1.4G"), (999 << 20, "999M"), (1023 << 20, "1.0G"), (1 << 60, "1.0E")],
)  # fmt: skip
def test_sizes_have_at_most_four_characters(size: float | None, shown: str) -> None:
    assert size_text(size) == shown


def test_keys_that_one_may_not_use_are_dimmed_in_the_list_and_say_why() -> None:
    def listed(rows: Listing) -> list[tuple[str, str]]:
        lines = [help_line(line, rows, 80) for line in HELP]
        assert all(len(line) == 1 for line in lines)
        return [(style, text.rstrip()) for ((style, text),) in lines if style]

    assert listed(rows_of(process("a", may="look"))) == [
        ("class:off", "s x r g    start, stop, restart, send a signal (needs operate)"),
        ("class:off", "l L        its output: below, or on the whole screen (needs read)"),
        ("class:off", "w e a      why it is in its state, what happens to it, its terminal (needs type)"),
    ]
    assert [text.split()[0] for _, text in listed(rows_of(process("a", may="operate")))] == ["w"]
    assert listed(rows_of(process("a"))) == listed(rows_of(process("a", may="admin"))) == listed(rows_of()) == []

"""Listing: their order, and a selection that is a name."""

from __future__ import annotations

from typing import Any

import pytest

from taskmasterctl.top.rows import Listing
from taskmasterctl.usage.sampler import Figures

Message = dict[str, Any]


def process(program: str, instance: int = 0, state: str = "RUNNING", **more: object) -> Message:
    name = more.pop("name", program)
    return {"name": name, "program": program, "instance": instance, "state": state, "pid": 7, "wanted": True, **more}


def web(*instances: int) -> list[Message]:
    return [process("web", each, name=f"web:{each}") for each in instances]


def rows_of(*processes: Message, **options: Any) -> Listing:
    rows = Listing(**options)
    rows.update(processes, {})
    rows.chosen = True
    return rows


def use(rows: Listing, **percents: float) -> None:
    """Take a sample: shares of a core, by program and instance as web_1."""
    figures = {}
    for name, percent in percents.items():
        program, _, instance = name.partition("_")
        figures[program, int(instance or 0)] = Figures(percent, percent, int(percent * 10))
    rows.samples.add(figures, rows.processes)
    rows.arrange()


def test_a_program_with_several_processes_is_one_row_until_it_is_opened() -> None:
    rows = rows_of(*web(0, 1), process("db"))
    assert rows.names == [("db", 0), ("web",)]
    rows.open.add(("web",))
    rows.arrange()
    assert rows.names == [("db", 0), ("web",), ("web", 0), ("web", 1)]


def test_a_process_opens_to_what_belongs_to_it() -> None:
    rows = rows_of(process("db"))
    rows.trees = {("db", 0): [{"pid": 8}, {"pid": 9}]}
    rows.open.add(("db", 0))
    rows.arrange()
    assert rows.names == [("db", 0), ("db", 0, 8), ("db", 0, 9)]


def test_others_overtake_the_selected_one_and_it_stays_selected() -> None:
    rows = rows_of(*web(0, 1, 2, 3), sort="cpu")
    rows.open.add(("web",))
    use(rows, web_0=1, web_1=2, web_2=3, web_3=9)
    rows.selected = ("web", 3)
    rows.arrange()
    assert rows.names[1] == ("web", 3)
    use(rows, web_0=99, web_1=50, web_2=30, web_3=1)
    assert rows.names[-1] == rows.selected == ("web", 3)
    rows.move(-1)
    assert rows.selected == ("web", 2)


def test_a_removed_one_stays_selected_by_name_and_the_next_move_goes_on_where_it_was() -> None:
    rows = rows_of(process("a"), process("b"), process("c"))
    rows.select(1)
    rows.update([process("a"), process("c"), process("d")], {})
    assert rows.selected == ("b", 0)
    assert not rows.exists(rows.selected)
    assert rows.text_of(rows.selected) == "b:0"
    assert rows.targets() == [("b", 0)]
    rows.move(1)
    assert rows.selected == ("c", 0)


def test_what_is_folded_away_hands_the_selection_to_its_program() -> None:
    rows = rows_of(*web(0, 1))
    rows.open.add(("web",))
    rows.arrange()
    rows.selected = ("web", 1)
    rows.open.clear()
    rows.arrange()
    assert rows.selected == rows.names[0]


def test_until_a_key_is_pressed_the_first_row_is_selected() -> None:
    rows = Listing(sort="cpu")
    rows.update([process("a"), process("b")], {})
    assert rows.selected == ("a", 0)
    use(rows, a=1, b=2)
    assert rows.selected == ("b", 0)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["a", "b", "c"]),
        ("state", ["c", "a", "b"]),
        ("cpu", ["b", "a", "c"]),
        ("mem", ["b", "a", "c"]),
        ("uptime", ["a", "b", "c"]),
        ("restarts", ["c", "a", "b"]),
    ],
)
def test_each_column_sorts(sort: str, order: list[str]) -> None:
    rows = rows_of(
        process("c", state="FATAL", wanted=False, restarts=3), process("a", uptime_s=9.0), process("b", uptime_s=1.0), sort=sort
    )  # fmt: skip
    use(rows, a=1, b=2)
    assert [name[0] for name in rows.names] == order


def test_the_next_sort_comes_round() -> None:
    rows = rows_of(process("a"))
    seen = []
    for _ in range(6):
        rows.next_sort()
        seen.append(rows.sort)
    assert seen == ["state", "cpu", "mem", "uptime", "restarts", "name"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", [("web",)]),
        ("we", [("web",)]),
        ("web:1", [("web",)]),
        ("w*", [("web",)]),
        ("state:fat", [("db", 0)]),
        ("state:running db", []),
        ("d w", [("db", 0), ("web",)]),
        ("nothing", []),
        ("", [("db", 0), ("web",)]),
    ],
)
def test_a_filter_is_names_patterns_or_a_state(text: str, found: list[Any]) -> None:
    rows = rows_of(*web(0, 1), process("db", state="FATAL"))
    rows.use_filter(text)
    assert rows.names == found


def test_nothing_that_a_filter_hides_is_acted_on() -> None:
    rows = rows_of(*web(0, 1), process("db"))
    rows.chosen = True
    rows.select(0)
    assert rows.targets() == [("db", 0)]
    rows.use_filter("web")
    assert rows.targets() == [("web",)]
    rows.use_filter("nothing")
    assert rows.targets() == []
    rows.use_filter("")
    assert rows.targets() == [("db", 0)]


def test_only_targets_are_there_and_groups_stand_for_their_programs() -> None:
    rows = Listing(("back", "web:1"))
    rows.update([*web(0, 1), process("db"), process("x")], {"back": ["db"]})
    assert list(rows.processes) == [("web", 1), ("db", 0)]


def test_actions_are_for_marked_rows_or_else_for_the_selected_one() -> None:
    rows = rows_of(process("a"), process("b"), process("c"))
    assert rows.targets() == [("a", 0)]
    rows.mark()
    rows.mark()
    assert (rows.targets(), rows.selected) == ([("a", 0), ("b", 0)], ("c", 0))
    rows.update([process("b"), process("c")], {})
    assert rows.targets() == [("b", 0)]


def test_what_belongs_to_a_process_stands_for_it() -> None:
    rows = rows_of(process("db"))
    rows.trees, rows.open = {("db", 0): [{"pid": 8}]}, {("db", 0)}
    rows.arrange()
    rows.select(1)
    assert rows.targets() == [("db", 0)]
    rows.fold()
    assert rows.names == [("db", 0)]
    assert rows.selected == ("db", 0)


def test_the_selected_row_is_always_visible() -> None:
    rows = rows_of(*[process(f"p{n:02}") for n in range(50)])
    for at in (0, 49, 10, 30, 29, 5):
        rows.select(at)
        shown = rows.visible(7)
        assert len(shown) == 7
        assert rows.selected in shown
    rows.update([process("p05")], {})
    assert rows.visible(7) == [("p05", 0)]


def test_nothing_at_all_can_be_moved_marked_and_folded() -> None:
    rows = rows_of()
    rows.move(1)
    rows.mark()
    rows.fold()
    assert (rows.names, rows.targets(), rows.visible(5)) == ([], [], [])

"""What keys mean: orders, and the questions before them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskmasterctl.top.keys import Keys
from taskmasterctl.top.rows import Listing
from tests.unit.client.top.test_rows import process, rows_of, web

WORDS = ["up", "down", "pageup", "pagedown", "home", "end", "enter", "backspace", "escape", "space", "ctrl-l", "ctrl-z"]


def keys_over(*names: str) -> Keys:
    return Keys(rows_of(*[process(name) for name in names]))


def press(keys: Keys, *pressed: str) -> list[tuple[str, ...]]:
    """Press keys; return the orders that do something."""
    return [order for key in pressed for order in keys.press(key) if order[0] != "quiet"]


def test_start_acts_at_once_and_stop_and_restart_ask() -> None:
    keys = keys_over("a", "b")
    assert press(keys, "s") == [("act", "start", "a")]
    assert press(keys, "x") == []
    assert keys.line == "stop a? y/n "
    assert press(keys, "y") == [("act", "stop", "a")]
    assert press(keys, "down", "r", "y") == [("act", "restart", "b")]


def test_what_one_may_not_do_is_said_at_once_and_not_asked() -> None:
    keys = Keys(rows_of(process("a", may="look"), process("b", may="operate"), process("c")))
    for key in "sxrg":
        assert press(keys, key) == [("say", "a: needs operate; you have look")]
    assert press(keys, "l") == press(keys, "L") == [("say", "a: needs read; you have look")]
    assert press(keys, "w") == [("outside", "why", "--", "a")]
    assert keys.line == ""
    press(keys, "down", "x")
    assert keys.line == "stop b? y/n "
    assert press(keys, "n", "a") == [("say", "b: needs type; you have operate")]
    assert press(keys, "down", "s") == [("act", "start", "c")]
    press(keys, "space", "up", "up", "space")
    assert press(keys, "s") == [("say", "a: needs operate; you have look")]


def test_any_key_but_y_is_no() -> None:
    for key in ("n", "escape", "enter", "x", "down"):
        keys = keys_over("a")
        assert press(keys, "x", key) == []
        assert keys.line == ""


def test_the_names_of_a_question_are_those_of_the_action_whatever_happens_in_between() -> None:
    keys = Keys(rows_of(*web(0, 1, 2, 3)))
    rows = keys._rows
    rows.open.add(("web",))
    rows.arrange()
    rows.selected = ("web", 3)
    press(keys, "x")
    assert keys.line == "stop web:3? y/n "
    rows.update(web(0, 1), {})
    rows.selected = ("web", 0)
    assert press(keys, "y") == [("act", "stop", "web:3")]


def test_several_names_are_listed_and_more_than_five_need_their_number() -> None:
    keys = keys_over("a", "b", "c")
    press(keys, "space", "space", "x")
    assert keys.line == "stop a and b? y/n "
    press(keys, "n", "space", "x")
    assert keys.line == "stop a, b and c? y/n "
    many = keys_over(*"abcdef")
    press(many, *["space"] * 6, "r")
    assert many.line == "restart 6 rows (a, b and 4 more)? type 6, Enter: "
    assert press(many, "y", "enter") == []
    assert many.line == ""
    assert press(many, "r", "5", "backspace", "6", "enter") == [("act", "restart", *"abcdef")]


def test_a_signal_is_named_and_then_asked_for() -> None:
    keys = keys_over("a")
    press(keys, "g")
    assert keys.line == "signal for a: "
    press(keys, *"hup", "enter")
    assert keys.line == "send HUP to a? y/n "
    assert press(keys, "y") == [("act", "signal", "HUP", "a")]
    assert press(keys, "g", "enter", "y") == []


def test_a_filter_holds_while_it_is_typed_and_escape_clears_it() -> None:
    keys = keys_over("web", "db")
    press(keys, "/", "d", "q")
    assert keys._rows.names == []
    press(keys, "backspace", "enter")
    assert keys._rows.names == [("db", 0)]
    assert keys.line == ""
    press(keys, "/")
    assert keys.line == "filter: d"
    press(keys, "escape")
    assert len(keys._rows.names) == 2


def test_escape_clears_filter_marks_and_the_pane() -> None:
    keys = keys_over("web", "db")
    press(keys, "space", "/", "w", "enter")
    assert press(keys, "escape") == [("logs", "")]
    assert (keys._rows.filter, keys._rows.marked) == ("", set())


def test_leaving_pausing_and_the_rest_are_orders() -> None:
    keys = keys_over("web")
    assert press(keys, "q") == [("leave", "q")]
    assert press(keys, "ctrl-c") == [("leave", "ctrl-c")]
    assert press(keys, "p", "c", "ctrl-l", "ctrl-z") == [
        ("pause", "p"), ("columns", "c"), ("redraw", "ctrl-l"), ("suspend", "ctrl-z")
    ]  # fmt: skip
    assert press(keys, "l", "L") == [("logs", "web"), ("outside", "logs", "-f", "--", "web")]
    outside = [
        ("outside", "why", "--", "web"),
        ("outside", "events", "-f", "--", "web"),
        ("outside", "attach", "--", "web"),
    ]
    assert press(keys, "w", "e", "a") == outside


def test_the_list_of_keys_goes_with_the_next_key_which_does_nothing_else() -> None:
    keys = keys_over("web")
    press(keys, "h")
    assert keys.help
    assert press(keys, "s") == []
    assert [keys.help] == [False]
    press(keys, "?")
    assert press(keys, "ctrl-c") == [("leave", "ctrl-c")]


def test_ctrl_c_leaves_in_the_midst_of_a_question() -> None:
    assert press(keys_over("web"), "x", "ctrl-c") == [("leave", "ctrl-c")]


def test_without_rows_no_key_acts() -> None:
    keys = Keys(Listing())
    assert press(keys, "s", "x", "r", "g", "l", "L", "enter", "space", "y") == []


@given(st.lists(st.sampled_from([*WORDS, *"sxrgloLcph?/yn1567 ab*[", "\u00e9"]), max_size=40))
def test_whatever_is_typed_every_act_but_start_was_asked_for_by_name(pressed: list[str]) -> None:
    keys = keys_over(*"abcdefg")
    asked = ""
    for key in pressed:
        before = keys.line
        for order in keys.press(key):
            if order[0] == "act" and order[1] != "start":
                asked = before
                assert order[1] in asked or "send" in asked
                assert order[-1] in asked or "more" in asked

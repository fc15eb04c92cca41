"""Output of programs on a terminal: colours and lines, and nothing else that a terminal would obey."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.commands.table import parse
from taskmasterctl.output import OUT
from taskmasterctl.reply.logtext import LogText
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.replies import reply_for
from taskmasterctl.visible import Visible
from tests.support.fakedaemon import end

TERMINAL = Look(terminal=True)
SGR = re.compile("\x1b\\[[0-9;:]*m")
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
PIECES = ("a", "\n", "\t", "\r", "\x1b", "[", "]", "0;", "31", "m", "H", "2J", "\x07", "\x9b", "\udc9b", "\udcc3", "\udca9", "\x1b[1m",
          "\x1b[0m", "\x1bP", "\x1b\\", "\x7f", "\u202e", "?", ">", " ")  # fmt: skip


def visible(*pieces: str) -> str:
    made = Visible()
    return "".join(map(made.take, pieces)) + made.flush()


def shown(line: str, *outputs: tuple[str, str], look: Look = TERMINAL) -> str:
    reply = reply_for(parse(line.split()), look, as_json=False)
    messages = [{"type": "output", "name": name, "stream": "stdout", "text": text} for name, text in outputs]
    chunks = [chunk for message in (*messages, end()) for chunk in reply.take(message)]
    return "".join(text for stream, text in chunks if stream == OUT)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("caf\u00e9 \u4e16 \U0001f600\n", "caf\u00e9 \u4e16 \U0001f600\n"),
        ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
        ("\x1b[38;2;1;2;3mx\x1b[m\n", "\x1b[38;2;1;2;3mx\x1b[m\n"),
        ("dos\r\n", "dos\n"),
        ("50%\r100%\n", "50%\\r100%\n"),
        ("\x1b]0;title\x07\n", "\\x1b]0;title\\x07\n"),
        ("\x1b]52;c;aWQ=\x1b\\\n", "\\x1b]52;c;aWQ=\\x1b\\\n"),
        ("\x1bP$q\x1b\\\n", "\\x1bP$q\\x1b\\\n"),
        ("\x1b[2J\x1b[H\n", "\\x1b[2J\\x1b[H\n"),
        ("\x1b[>4;1m\x1b[?25m\x1b[1 m\n", "\\x1b[>4;1m\\x1b[?25m\\x1b[1 m\n"),
        ("\x1bc\x1b\n", "\\x1bc\\x1b\n"),
        ("\x9b31mx\x9d\n", "\\x9b31mx\\x9d\n"),
        ("\udc9b31m\udcff\n", "\\x9b31m\\xff\n"),
        ("\x7f\x00\x08\x0b\x0c\x0e\n", "\\x7f\\x00\\x08\\x0b\\x0c\\x0e\n"),
        ("a\u202eb\n", "a\\u202eb\n"),
        ("\ud800\n", "\\ud800\n"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(written: str, seen: str) -> None:
    assert visible(written) == seen
    assert visible(*written) == seen


def test_a_character_that_comes_in_two_pieces_is_one() -> None:
    assert visible("caf\udcc3", "\udca9\n") == "caf\u00e9\n"
    assert visible("caf\udcc3") == "caf\\xc3"


def test_a_sequence_that_never_ends_is_written_out_when_the_log_ends() -> None:
    assert visible("x\x1b[3") == "x\\x1b[3"
    assert visible("x\x1b[" + "3" * 100 + "m") == "x\\x1b[" + "3" * 100 + "m"
    assert visible("x\r") == "x\\r"


def test_a_colour_ends_with_its_line_and_begins_again_on_the_next() -> None:
    assert visible("\x1b[31mred\nstill\x1b[0m\nplain\n") == "\x1b[31mred\x1b[0m\n\x1b[31mstill\x1b[0m\nplain\n"
    assert visible("\x1b[31mred") == "\x1b[31mred\x1b[0m"


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.lists(st.integers(0, 60), max_size=6))
def test_nothing_is_obeyed_however_the_output_is_cut(written: str, cuts: list[int]) -> None:
    places = sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})
    seen = visible(*(written[a:b] for a, b in itertools.pairwise(places)))
    assert not OBEYED.search(SGR.sub("", seen))
    assert seen == visible(written)
    assert seen.count("\n") == written.count("\n")


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from(PIECES), max_size=8).map("".join)), max_size=8)
)
def test_no_output_begins_a_line_or_colours_a_name(outputs: list[tuple[str, str]]) -> None:
    for line in SGR.sub("", shown("logs a b", *outputs)).splitlines():
        assert line[:4] in ("a | ", "b | ")
    for line in shown("logs a b", *outputs).split("\n")[:-1]:
        assert line[:4] in ("a | ", "b | ")
        colours = SGR.findall(line)
        assert not colours or colours[-1] in ("\x1b[0m", "\x1b[m")


def test_a_carriage_return_forges_no_name() -> None:
    assert shown("logs a b", ("a", "x\rb | forged\n")) == "a | x\\rb | forged\n"


def test_raw_and_pipes_get_every_byte() -> None:
    nasty = "\x1b]0;t\x07\r\udcff\x9b\n"
    assert shown("logs --raw a", ("a", nasty)) == nasty
    assert shown("logs a", ("a", nasty), look=Look()) == nasty


def test_an_endless_line_is_not_held_for_ever() -> None:
    text = LogText(lambda _name: True, harmless=True)
    assert text.take("a", "x" * 1_048_577) == f"a | {'x' * 1_048_577}\n"

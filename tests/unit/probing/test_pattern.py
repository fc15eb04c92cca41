"""The text that a line has to hold: lines from pieces, terminal codes, wildcards in linear time."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmasterd.probing.text.pattern import MOST_LINE, LineCutter, LinePattern, without_codes
from tests.support.work import here


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("ready", b"we are ready now", True),
        ("ready", b"Ready", False),
        ("", b"", True),
        ("*", b"", True),
        ("?", b"", False),
        ("a*b", b"xaxbx", True),
        ("a*b", b"ba", False),
        ("a?c", b"abc", True),
        ("a?c", b"ac", False),
        ("a??", b"xa1", False),
        ("a*b?d*e", b"a b1 bxd b2d e", True),
        ("a*a", b"a", False),
        ("port ?? open*", b"port 80 open", True),
        ("bär", "ein bär".encode(), True),
        ("\udcff", b"\xff", True),
    ],
)
def test_a_line_holds_a_text_with_wildcards(text: str, line: bytes, found: bool) -> None:
    assert LinePattern(text).matches(line) is found


@given(st.text("ab?*", max_size=8), st.text("abc", max_size=24))
def test_the_answer_is_that_of_fnmatch_in_the_midst_of_a_line(text: str, line: str) -> None:
    assert LinePattern(text).matches(line.encode()) == fnmatch.fnmatchcase(line, f"*{text}*")


@pytest.mark.parametrize(
    "text", ["a*b*c*d*e*", "a?a?a?a?a?a?a?a?a?b", "*a" * 200 + "b", "?" * 4000 + "ab", "aab" * 300]
)
def test_no_text_makes_a_line_of_4_kib_expensive(text: str) -> None:
    pattern, line = LinePattern(text), b"a" * MOST_LINE
    began = time.process_time()
    for _ in range(16):
        pattern.matches(line)
    assert (time.process_time() - began) / 16 < here(0.02)


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        (b"plain", b"plain"),
        (b"\x1b[1;31mred\x1b[0m text", b"red text"),
        (b"\x1b]0;title\x07after\x1b]8;;url\x1b\\link", b"afterlink"),
        (b"\x1b(Bascii\x1b=", b"ascii"),
        (b"unfinished\x1b[1;3", b"unfinished"),
        (b"unfinished\x1b]0;x", b"unfinished"),
        (b"\x1b", b""),
        (b"\x1b\x1b[mx", b"[mx"),
    ],
)
def test_terminal_codes_are_no_part_of_a_line(line: bytes, plain: bytes) -> None:
    assert without_codes(line) == plain


@given(st.binary(max_size=60))
def test_no_bytes_confuse_it(line: bytes) -> None:
    assert len(without_codes(b"\x1b" + line)) <= len(line)


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"x\ny", b"\n\n"]), max_size=12))
def test_lines_are_the_same_however_they_were_written(pieces: list[bytes]) -> None:
    cutter = LineCutter()
    lines = [line for piece in pieces for line in cutter.lines(piece)]
    assert lines == b"".join(pieces).split(b"\n")[:-1]


def test_of_a_long_line_the_first_4_kib_are_kept() -> None:
    cutter = LineCutter()
    assert list(cutter.lines(b"x" * 3000)) == []
    assert list(cutter.lines(b"y" * 3000 + b"\nnext\n")) == [b"x" * 3000 + b"y" * (MOST_LINE - 3000), b"next"]


def test_a_line_with_missing_bytes_is_none() -> None:
    cutter = LineCutter()
    assert list(cutter.lines(b"begun")) == []
    cutter.gap()
    assert list(cutter.lines(b"rest\nwhole\n")) == [b"whole"]

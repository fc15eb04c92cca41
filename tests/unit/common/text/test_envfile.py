"""Files of variables: every rule of their grammar, and what a mistake is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.text.envfile import MOST_BYTES, EnvFileError, parse_variables, value_of_file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"A=b", b"b"),
        (b"  \tA=b", b"b"),
        (b"export A=b", b"b"),
        (b"export\t A=b", b"b"),
        (b"A=", b""),
        (b"A=  b c \t", b"b c"),
        (b"A=b # c", b"b"),
        (b"A=b\t#c", b"b"),
        (b"A=b#c", b"b#c"),
        (b"A=#c", b"#c"),
        (b"A= #c", b""),
        (b"A=$HOME", b"$HOME"),
        (b"A=${HOME} `id` \\n", b"${HOME} `id` \\n"),
        (b"A=b=c", b"b=c"),
        (b'A=it\'s "so"', b'it\'s "so"'),
        (b"A='b # c'", b"b # c"),
        (b"A='a\\n$B\"' # c", b'a\\n$B"'),
        (b'A= "b # c" ', b"b # c"),
        (b'A="a\\n\\t\\\\\\"$B\\x\\$"', b'a\n\t\\"$B\\x\\$'),
        (b"A=''", b""),
        (b'A="one\ntwo"', b"one\ntwo"),
        (b'A="one\r\n\r\n two"\r', b"one\n\n two"),
        (b'A="# one\n# two" # three', b"# one\n# two"),
        (b"A=b\r", b"b"),
        (b"A=b\rc", b"b\rc"),
        (b"A=\xff\xe9\xc2\xa0", b"\xff\xe9\xc2\xa0"),
        (b"A=\x85", b"\x85"),
        (b"A=1\nA=2", b"2"),
    ],
)
def test_a_value_is_exactly_these_bytes(line: bytes, value: bytes) -> None:
    for text in (line, b"\xef\xbb\xbf" + line, b"# A=0\n\n  # x\n" + line + b"\n\nB=1\n"):
        assert parse_variables(text)[b"A"] == value


@pytest.mark.parametrize("text", [b"", b"\n\n", b"# A=b", b"\xef\xbb\xbf", b"  \t\r\n"])
def test_a_file_may_have_no_variable(text: bytes) -> None:
    assert parse_variables(text) == {}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"A=b\n\nno", 3, 'no "="'),
        (b"export A", 1, 'no "="'),
        (b"A: b", 1, 'no "="'),
        (b"=b", 1, "a name has letters"),
        (b"A =b", 1, "a name has letters"),
        (b"- A=b", 1, "a name has letters"),
        (b"1A=b", 1, "a name has letters"),
        (b"A$B=b", 1, "a name has letters"),
        (b"\xff=b", 1, "a name has letters"),
        (b"A='b\nB='c'", 1, "an open quote; only double quotes may span lines"),
        (b'B=1\nA="b\nc\nd\n', 2, "an open quote"),
        (b"A='b'c", 1, "text behind the closing quote"),
        (b"A='b'#c", 1, "text behind the closing quote"),
        (b'A="b\nc" d', 2, "text behind the closing quote"),
        (b"B=1\nA=b\0c", 2, "a NUL byte"),
        (b"A=" + b"x" * MOST_BYTES, 0, "has more than 64 KiB"),
    ],
)
def test_a_mistake_has_its_line_and_no_piece_of_the_file(text: bytes, line: int, reason: str) -> None:
    with pytest.raises(EnvFileError) as wrong:
        parse_variables(text)
    assert wrong.value.line == line
    assert wrong.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"x", b"x"),
        (b"x\n", b"x"),
        (b"x\n\n", b"x\n"),
        (b" x \r\n", b" x \r"),
        (b"", b""),
        (b"\n", b""),
        (b"\xff", b"\xff"),
    ],
)
def test_a_file_is_a_value_without_its_final_newline(content: bytes, value: bytes) -> None:
    assert value_of_file(content) == value


@pytest.mark.parametrize("content", [b"a\0b", b"x" * (MOST_BYTES + 1)])
def test_a_file_that_can_be_no_value_is_refused(content: bytes) -> None:
    with pytest.raises(EnvFileError):
        value_of_file(content)


@given(st.binary(max_size=200).filter(lambda text: b"\0" not in text))
def test_every_value_can_be_written_in_double_quotes(value: bytes) -> None:
    value = value.replace(b"\r\n", b"\n")
    written = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    assert parse_variables(b'A="' + written + b'"\nB=1') == {b"A": value, b"B": b"1"}


@given(st.lists(st.sampled_from([b"A", b"=", b'"', b"'", b"\\", b"\n", b"#", b" ", b"\r", b"\xff", b"\0", b"export "])))
def test_whatever_the_file_holds_it_is_read_or_refused_with_a_line(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    try:
        line = 1 if all(b"\0" not in value for value in parse_variables(text).values()) else 0
    except EnvFileError as wrong:
        line = wrong.line
    assert 1 <= line <= text.count(b"\n") + 1

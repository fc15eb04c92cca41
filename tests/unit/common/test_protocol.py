"""The codecs of the wire: any cut of the bytes gives the same lines, any text survives, limits hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskmaster_common.errors import ProtocolError
from taskmaster_common.protocol import MAX_REQUEST, LineDecoder, decode_input, decode_reply, encode, request_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({place % (len(data) + 1) for place in places})
    return [data[start:stop] for start, stop in zip([0, *marks], [*marks, len(data)])]


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=20))
@example(b"status\r\n\r\nstop web\r", [7, 8])
def test_lines_are_the_same_however_the_bytes_arrive(data: bytes, places: list[int]) -> None:
    at_once = LineDecoder(1000)
    expected = at_once.feed(data)
    assert expected == [line.removesuffix(b"\r") for line in data.split(b"\n")[:-1]]
    for pieces in (cut(data, places), [data[at : at + 1] for at in range(len(data))]):
        decoder = LineDecoder(1000)
        assert [line for piece in pieces for line in decoder.feed(piece)] == expected
        assert decoder.pending == at_once.pending == len(data.rpartition(b"\n")[2])


def test_a_line_may_be_as_long_as_the_limit_with_its_end() -> None:
    assert LineDecoder(5).feed(b"1234\n") == [b"1234"]
    with pytest.raises(ProtocolError):
        LineDecoder(5).feed(b"12345\n")


def test_a_line_that_is_too_long_is_refused_before_its_end_comes() -> None:
    decoder = LineDecoder(MAX_REQUEST)
    decoder.feed(b"x" * MAX_REQUEST)
    with pytest.raises(ProtocolError, match="longer than 65536 bytes"):
        decoder.feed(b"x")


def test_many_lines_longer_together_than_the_limit_are_no_problem() -> None:
    assert len(LineDecoder(10).feed(b"12345678\n" * 100)) == 100


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_an_object_survives_the_wire_as_one_ascii_line(fields: dict[str, Any]) -> None:
    message = {**fields, "type": "result"}
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line.isascii()
    assert decode_reply(line[:-1]) == message


@given(st.binary())
def test_any_bytes_of_a_program_survive_as_text(output: bytes) -> None:
    text = output.decode("utf-8", "surrogateescape")
    back = decode_reply(encode({"type": "output", "text": text}).rstrip(b"\n"))
    assert back["text"].encode("utf-8", "surrogateescape") == output


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"[]",
        b'"x"',
        b"null",
        b"{}",
        b'{"type":3}',
        b"\xff\xfe",
        b"{" * 5,
        b"[" * 100_000,
        b'{"type":"x"} x',
    ],
)
def test_what_is_no_reply_is_a_protocol_error(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot read a reply"):
        decode_reply(line)


@given(st.binary(max_size=60))
def test_garbage_is_a_reply_or_a_protocol_error_and_nothing_else(line: bytes) -> None:
    try:
        message = decode_reply(line)
    except ProtocolError:
        return
    assert isinstance(message["type"], str)


def test_a_request_is_its_words_with_blanks() -> None:
    assert request_line(("restart", "web:1", "--no-wait")) == b"restart web:1 --no-wait\n"
    assert request_line(("stop", "\udcff")) == b"stop \xff\n"


@pytest.mark.parametrize("word", ["", "two words", "tab\t", "line\n", "\u2028", "x" * MAX_REQUEST])
def test_a_word_that_cannot_travel_is_refused(word: str) -> None:
    with pytest.raises(ProtocolError, match="cannot send a request"):
        request_line(("stop", word))


def test_input_with_half_a_surrogate_pair_is_no_input() -> None:
    with pytest.raises(ProtocolError, match="stands for no byte"):
        decode_input(rb'{"type":"input","text":"\ud800"}')
    assert decode_input(rb'{"type":"input","text":"\udcff"}')["text"] == "\udcff"

"""Lines of formatted logs: nothing is lost, a line is one line, and what was written can be read back."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskmaster_common.text.lineformat import (
    STAMP_LENGTH,
    LineOrigin,
    Objects,
    cut_at,
    is_stamp,
    last_words,
    object_of,
    placeholder_problem,
    prefix_of,
    prefixed,
    seconds_of,
    split_level,
    stamp_at,
    without_prefix,
)

STAMP = "2026-11-28T10:02:31.402+01:00"
WEB = LineOrigin("web", 1, "web:1", "stdout", 71)
BLOCKS = st.lists(st.binary(max_size=40), max_size=6).map(b"\n".join)


def pieces_of(text: bytes, cuts: list[int]) -> list[bytes]:
    """Return a text cut at some places into what `Objects` and `prefixed` get: whole lines, or a piece of one line."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces: list[bytes] = []
    for first, last in itertools.pairwise(places):
        piece = text[first:last]
        whole = piece.rfind(b"\n") + 1
        pieces += [each for each in (piece[:whole], piece[whole:]) if each]
    return pieces


def joined(written: bytes) -> bytes:
    """Return what the messages of a JSON log were made from."""
    text = b""
    for line in written.splitlines():
        found = json.loads(line)
        text += found["message"].encode("utf-8", "surrogateescape") + (b"" if found.get("partial") else b"\n")
    return text


@given(BLOCKS, st.lists(st.integers(0, 300), max_size=5))
@example(b"\xed\xa0\x80\xff\0\n\n\xf0\x9f\x98\x80", [2, 9])
@example("😀\udc80".encode("utf-8", "surrogatepass") + b"\\n\n", [])
def test_messages_of_objects_joined_are_the_bytes_of_the_program(text: bytes, cuts: list[int]) -> None:
    objects = Objects(WEB, levels=False)
    written = b"".join(objects.of(piece, STAMP) for piece in pieces_of(text, cuts))
    assert joined(written) == text
    assert written.isascii()
    assert all(json.loads(line)["stream"] == "stdout" for line in written.splitlines())


@given(BLOCKS, st.lists(st.integers(0, 300), max_size=5))
def test_a_log_without_its_prefixes_is_what_the_program_wrote(text: bytes, cuts: list[int]) -> None:
    mark, written, begun = b"\x01prefix\x02 ", b"", False
    text = text.replace(mark, b"")
    for piece in pieces_of(text, cuts):
        written += prefixed(piece, mark, begun=begun)
        begun = not piece.endswith(b"\n")
    assert written.replace(mark, b"") == text
    lines = written.removesuffix(b"\n").split(b"\n") if written else []
    assert all(line.startswith(mark) for line in lines)


@given(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=9).map(lambda each: each.replace(b"\n", b"")))))
def test_a_severity_leaves_its_line_and_is_in_its_object(lines: list[tuple[int, bytes]]) -> None:
    block = b"".join(b"<%d>%s\n" % line for line in lines)
    found = [json.loads(line) for line in Objects(WEB, levels=True).of(block, STAMP).splitlines()] if block else []
    words = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
    assert [(each["level"], each["message"].encode("utf-8", "surrogateescape")) for each in found] == [
        (words[number], text) for number, text in lines
    ]


def test_pieces_of_a_line_have_the_severity_of_its_first_one() -> None:
    objects = Objects(WEB, levels=True)
    written = objects.of(b"<3>bad", STAMP) + objects.of(b"<4>ly\n", STAMP) + objects.of(b"well\n", STAMP)
    found = [json.loads(line) for line in written.splitlines()]
    assert [(each["level"], each["message"], each.get("partial")) for each in found] == [
        ("err", "bad", True),
        ("err", "<4>ly", None),
        ("info", "well", None),
    ]


def test_an_object_says_whose_line_it_is() -> None:
    assert json.loads(Objects(WEB, levels=True).of(b"up\n", STAMP)) == {
        "time": STAMP, "program": "web", "instance": 1, "stream": "stdout", "pid": 71, "level": "info", "message": "up",
    }  # fmt: skip
    assert json.loads(Objects(WEB.replace(pid=0), levels=True).of(b"up\n", STAMP))["pid"] is None


@pytest.mark.parametrize("line", [b"<8>x", b"<3", b"<33>x", b" <3>x", b""])
def test_what_only_looks_like_a_severity_stays(line: bytes) -> None:
    assert split_level(line) == (6, line)


@given(st.text(min_size=1, max_size=30), st.integers(5, 40))
def test_a_long_line_is_not_cut_within_a_character(text: str, most: int) -> None:
    block = text.encode("utf-8", "surrogatepass") * 20
    at = cut_at(block, most)
    assert most - 4 < at <= most
    if max(text) < "\ud800":  # no lone surrogates
        block[:at].decode()


def test_bytes_that_are_no_characters_are_cut_where_the_limit_is() -> None:
    assert cut_at(b"\x80" * 50, 20) == 20


def test_a_prefix_is_made_of_its_placeholders() -> None:
    assert prefix_of("{time} {name}/{stream}[{pid}] {", STAMP, WEB) == f"{STAMP} web:1/stdout[71] {{".encode()
    assert prefix_of("{pid}", STAMP, WEB.replace(pid=0)) == b"-"
    assert placeholder_problem("{time} {x-y} {} {") == ""
    assert placeholder_problem("{when} ") == "{when} is unknown; use {time}, {name}, {stream}, {pid}"
    assert "line break" in placeholder_problem("a\nb")


@given(st.sampled_from(["{time} ", "[{time}] {name} | ", "{name}[{pid}]: ", "> "]), st.text(max_size=20))
def test_a_line_is_found_again_behind_its_prefix(template: str, text: str) -> None:
    line = prefix_of(template, STAMP, WEB).decode() + text
    assert without_prefix(line, template) == text


def test_a_line_of_another_form_is_left_as_it_is() -> None:
    assert without_prefix("no time here", "{time} ") == "no time here"
    assert object_of("{not json") == {"message": "{not json"}
    assert object_of('["message"]')["message"] == '["message"]'
    assert object_of('{"message":"x","partial":true}')["message"] == "x"


def test_last_words_are_the_programs_own() -> None:
    objects = [
        Objects(WEB.replace(stream=stream), levels=True).of(text, STAMP).decode().strip()
        for stream, text in (("event", b"web started (pid 71)\n"), ("stdout", b"out\n"), ("stderr", b"<3>why\n"))
    ]
    assert last_words(objects, True, "") == ["why"]
    prefix = prefix_of("{time} ", STAMP, WEB).decode()
    assert last_words([f"{prefix}web started (pid 71)", f"{prefix}why"], False, "{time} ") == ["why"]


@given(st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2105, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_a_time_is_read_back(moment: dt.datetime, offset: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=offset))
    text = moment.replace(tzinfo=zone).isoformat(timespec="milliseconds").encode()
    assert len(text) == STAMP_LENGTH
    assert is_stamp(text)
    expected = dt.datetime.fromisoformat(text.decode()).timestamp()
    assert abs(seconds_of(text) - expected) < 1e-6


def test_the_first_time_of_a_line_is_found_wherever_it_stands() -> None:
    assert stamp_at(f'{{"time":"{STAMP}"'.encode()) == 9
    assert stamp_at(f"THE TIME IS {STAMP} or {STAMP}".encode()) == 12
    assert stamp_at(b"2026-11-28T10:02:31.402 no zone") == -1

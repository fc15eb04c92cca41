"""JSON without the package json: the same values, texts and refusals, with and without CPython's part in C."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.errors import ProtocolError
from taskmaster_common.jsontext import json_scanner, json_writer, read_json, write_json
from taskmaster_common.protocol import decode_reply

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
REFUSED = (
    b"",
    b" ",
    b"{",
    b'{"type":"a"',
    b'{"type":"a"}x',
    b'{"type":"a"} {}',
    b'{"a":1}',
    b"[]",
    b'"type"',
    b"nul",
    b"\xff",
    b"[" * 100_000,
)


@given(VALUES, st.sampled_from((None, 1)))
def test_what_json_writes_is_read_as_json_reads_it(value: Any, indent: int | None) -> None:
    message = {"type": "x", "value": value}
    assert decode_reply(json.dumps(message, indent=indent).encode()) == message
    assert decode_reply(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")) == message


@given(VALUES)
def test_a_value_is_written_as_json_writes_it_without_blanks(value: Any) -> None:
    assert write_json(value) == json.dumps(value, separators=(",", ":")).encode("ascii")
    assert read_json(write_json(value).decode("ascii")) == value


@pytest.mark.parametrize(
    "value", [b"bytes", {1, 2}, object(), {"deep": [object()]}], ids=["bytes", "set", "object", "inside"]
)
def test_what_json_has_not_is_refused(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError):
        write_json(value)
    monkeypatch.setitem(sys.modules, "_json", None)
    with pytest.raises(TypeError):
        json_writer()(value)


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: repr(line[:12]))
def test_what_is_no_object_with_a_type_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot read a reply"):
        decode_reply(line)


def test_a_writer_is_there_without_the_part_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    value: Any = {"type": "x", "n": [1, -2.5, 1e300, None, True, "\udc80\n", {}]}
    in_c = json_writer()(value)
    monkeypatch.setitem(sys.modules, "_json", None)
    assert json_writer()(value) == in_c == json.dumps(value, separators=(",", ":"))


def test_a_scanner_is_there_without_the_part_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"type":"x","n":[1,-2.5,1e3,null,true,"\\udc80"]}'
    in_c = json_scanner()(text, 0)
    monkeypatch.setitem(sys.modules, "_json", None)
    assert json_scanner()(text, 0) == in_c == (json.loads(text), len(text))

"""The table of keys: its texts agree with the values, and the daemon never loads them."""

from __future__ import annotations

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.keys import DAEMON, PARTS, PROGRAM, REQUIRED, Key
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmaster_common.schema.checks.values import MAX_PROCESSES

ALL_KEYS = (*PROGRAM, *DAEMON)
BY_NAME = {key.name: key for key in PROGRAM}

every_key = pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.name)


@every_key
def test_a_text_is_a_sentence(key: Key) -> None:
    text = key.text()
    assert text[0].isupper()
    assert text.endswith(".")
    assert "{" not in text


@every_key
def test_a_text_names_the_words_that_the_key_accepts(key: Key) -> None:
    assert [word for word in key.words if f"`{word}`" not in key.text()] == []


@every_key
def test_a_text_names_an_upper_bound_of_its_own(key: Key) -> None:
    assert key.most in (0, 1_000_000) or str(key.most) in key.text()


@every_key
def test_a_default_that_is_not_one_value_for_all_is_said_in_words(key: Key) -> None:
    assert key.otherwise or key.default not in (None, REQUIRED)


def test_the_texts_name_the_bounds_that_other_modules_hold() -> None:
    assert f" {MAX_PROCESSES}." in BY_NAME["numprocs"].text()
    socket = next(key for key in DAEMON if key.name == "socket")
    assert f" {MAX_SOCKET_PATH} bytes" in socket.text()


def test_every_key_stands_in_the_record_that_its_row_names() -> None:
    assert {key.name: key.part for key in PROGRAM} == {
        key: part for key, part in ProgramConfig.part_of_.items() if key not in ("name", "refusal")
    }
    assert {part.name: part.class_name for part in PARTS} == {
        name: part.__name__ for name, part in ProgramConfig.parts_.items()
    }

"""The table of keys: its texts agree with the values, and the daemon never loads them."""

from __future__ import annotations

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.keys import DAEMON, PARTS, PROGRAM, REQUIRED
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmaster_common.schema.checks.values import MAX_PROCESSES

ALL_KEYS = (*PROGRAM, *DAEMON)
BY_NAME = {key.name: key for key in PROGRAM}


def test_a_text_is_a_sentence() -> None:
    texts = [key.text() for key in ALL_KEYS]
    assert [text for text in texts if not text[0].isupper() or not text.endswith(".") or "{" in text] == []


def test_a_text_names_the_words_that_the_key_accepts() -> None:
    assert [(key.name, word) for key in ALL_KEYS for word in key.words if f"`{word}`" not in key.text()] == []


def test_a_text_names_an_upper_bound_of_its_own() -> None:
    bounded = [key for key in ALL_KEYS if key.most not in (0, 1_000_000)]
    assert bounded
    assert [key.name for key in bounded if str(key.most) not in key.text()] == []


def test_a_default_that_is_not_one_value_for_all_is_said_in_words() -> None:
    assert [key.name for key in ALL_KEYS if not key.otherwise and key.default in (None, REQUIRED)] == []


def test_the_texts_name_the_bounds_that_other_modules_hold() -> None:
    assert f" {MAX_PROCESSES}." in BY_NAME["numprocs"].text()
    socket = next(key for key in DAEMON if key.name == "socket")
    assert f" {MAX_SOCKET_PATH} bytes" in socket.text()


def test_every_key_stands_in_the_record_that_its_row_names() -> None:
    assert {key.name: key.part for key in PROGRAM} == {
        key: part for key, part in ProgramConfig.part_of_.items() if key not in ("name", "refusal", "socket_options")
    }
    assert {part.name: part.class_name for part in PARTS} == {
        name: part.__name__ for name, part in ProgramConfig.parts_.items()
    }

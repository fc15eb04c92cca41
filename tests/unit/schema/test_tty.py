"""`tty`: its forms, and what does not go together with a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load

DEFAULT = {"rows": 24, "cols": 80, "term": "xterm-256color"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("true", DEFAULT),
        ("yes", DEFAULT),
        ("false", {}),
        ("{}", DEFAULT),
        ("{rows: 50, cols: 132}", {**DEFAULT, "rows": 50, "cols": 132}),
        ("{term: dumb}", {**DEFAULT, "term": "dumb"}),
    ],
)
def test_each_form_is_decoded_and_the_effective_configuration_decodes_to_the_same(
    written: str, expected: dict[str, Any]
) -> None:
    loaded = load(f"programs: {{web: {{cmd: run, tty: {written}}}}}")
    assert loaded.config.programs[0].tty == expected
    text = effective_text(loaded.config, SIGNALS, host({}).places)
    assert load(text).config.programs[0] == loaded.config.programs[0]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("tty: maybe", '"maybe" is neither true nor false nor a map with rows, cols, term'),
        ("tty: {rows: 0}", '"0" is not between 1 and 1000'),
        ("tty: {columns: 80}", 'unknown key "columns"; did you mean cols?'),
        ("tty: {term: ''}", "is no name of a terminal"),
        ("tty: true, stdin: pipe", "its terminal is what it reads; remove stdin"),
        ("tty: true, stderr: /tmp/x", "a terminal has one stream for both"),
        ("tty: true, stdout: inherit", "the output of a terminal needs a log"),
        ("tty: true, stdout: syslog", "the output of a terminal needs a log"),
        ("tty: true, log_format: json", "byte for byte; remove log_format"),
    ],
)
def test_what_does_not_go_together_with_a_terminal_is_refused(keys: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, {keys}}}}}")
    assert said in str(error.value)


def test_what_defaults_say_of_streams_is_meant_for_others() -> None:
    text = "defaults: {stderr: /tmp/x, stdin: pipe, log_format: prefix}\nprograms: {web: {cmd: run, tty: true}, db: {cmd: run}}"
    web, db = sorted(load(text).config.programs, key=lambda program: program.name != "web")
    assert (web.output.stderr, web.stdin, web.output.log_format) == ("stdout", "null", "raw")
    assert (db.output.stderr, db.stdin) == ("/tmp/x", "pipe")

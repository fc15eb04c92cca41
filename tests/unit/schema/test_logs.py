"""The keys of formatted logs: what is refused, and what has no effect."""

from __future__ import annotations

import pytest

from tests.support.host import load, program, program_problems


def warnings(keys: str) -> list[str]:
    """Return the warnings about a program with these keys, in flow style."""
    return [str(each) for each in load(f"programs: {{web: {{cmd: run, {keys}}}}}\n").warnings]


def test_a_format_is_raw_prefix_or_json() -> None:
    assert program("log_format: prefix").output.log_format == "prefix"
    assert "raw" in program_problems("log_format: plain")[0]


def test_a_prefix_keeps_its_blanks_and_names_what_it_may_hold() -> None:
    assert program('log_prefix: "  {time}  "').output.log_prefix == "  {time}  "
    assert "{when} is unknown; use {time}, {name}, {stream}, {pid}" in program_problems('log_prefix: "{when} "')[0]
    assert "line break" in program_problems('log_prefix: "a\\nb"')[0]


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        ("log_prefix: '> '", "log_format: prefix"),
        ("log_prefix: '> ', log_format: json", "log_format: prefix"),
        ("log_time: utc", "log_format: prefix or json"),
        ("log_levels: true, log_format: prefix", "log_format: json"),
        ("log_events: true", "log_format: prefix or json"),
    ],
)
def test_a_key_without_its_format_has_no_effect(keys: str, needed: str) -> None:
    assert any(f"has no effect without {needed}" in each for each in warnings(keys))


@pytest.mark.parametrize(
    "keys", ["log_format: json, log_levels: true, log_events: true, log_time: utc", "log_events: false"]
)
def test_keys_with_their_format_are_fine(keys: str) -> None:
    assert not warnings(keys)


def test_a_format_without_a_log_is_doubtful() -> None:
    assert any("there is no log" in each for each in warnings("log_format: json, stdout: null, stderr: stdout"))
    assert not warnings("log_format: json, stdout: null")

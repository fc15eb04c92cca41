"""Text to value and back."""

from __future__ import annotations

import ast
import contextlib
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.text import units
from taskmaster_common.text.formats import format_seconds, format_size, signal_name, with_real_time
from taskmaster_common.text.units import MAX_SECONDS, parse_seconds, parse_signal, parse_size, parse_umask

SIGNALS = {"HUP": 1, "KILL": 9, "USR1": 10, "TERM": 15, "CHLD": 17, "CLD": 17, "RTMIN": 34, "RTMAX": 64}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5),
        ("0", 0),
        ("0.5", 0.5),
        ("5s", 5),
        ("500ms", 0.5),
        ("1m30s", 90),
        ("1h", 3600),
        ("2d3h", 183_600),
        ("1.5h", 5400),
        ("1s500ms", 1.5),
        ("3650d", MAX_SECONDS),
    ],
)
def test_a_duration_is_understood(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-1", '"-1" is negative'),
        ("1:30", '"1:30" is not a duration; write 1m30s, not 1:30'),
        ("inf", '"inf" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        (".inf", '".inf" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("nan", '"nan" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("", '"" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("1e3", '"1e3" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("5 s", '"5 s" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("30s1m", '"30s1m" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("1s1s", '"1s1s" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("1m30", '"1m30" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("1.", '"1." is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("1.2.3", '"1.2.3" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("5min", '"5min" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("\u0665", '"\u0665" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("3651d", '"3651d" is more than ten years'),
    ],
)
def test_what_is_no_duration_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_seconds(text)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (-3, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (90, "1m30s"),
        (720, "12m"),
        (3600, "1h"),
        (3661, "1h1m"),
        (86_400, "1d"),
        (3 * 86_400 + 4 * 3600 + 59, "3d4h"),
        (86_399, "23h59m"),
    ],
)
def test_an_uptime_is_shown_in_two_units_at_most(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@given(st.integers(0, MAX_SECONDS))
def test_a_shown_duration_reads_back_rounded_down_to_its_smaller_unit(seconds: int) -> None:
    shown = parse_seconds(format_seconds(seconds))
    assert shown <= seconds < shown + (3600 if seconds >= 86_400 else 60 if seconds >= 3600 else 1)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1_048_576),
        ("50MB", 50_000_000),
        ("50mb", 50_000_000),
        ("1GiB", 2**30),
        ("1.5KB", 1500),
        ("5 MB", 5_000_000),
    ],
)
def test_a_size_is_decimal_or_binary_by_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5", "50M", "5XB", "1e3", "9" * 30, "9999999TiB", "0x10", "1_000"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|large"):
        parse_size(text)


def test_a_size_that_could_mean_two_things_says_which() -> None:
    with pytest.raises(ValueError, match='"50M" could mean two sizes; write 50MB or 50MiB'):
        parse_size("50M")


@given(st.integers(0, 2**63 - 1))
def test_a_size_reads_back_exactly(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_a_size_is_shown_in_the_unit_that_fits() -> None:
    assert [format_size(size) for size in (0, 1000, 1024, 50_000_000, 2**30, 1_234_567)] == [
        "0",
        "1KB",
        "1KiB",
        "50MB",
        "1GiB",
        "1234567",
    ]


@pytest.mark.parametrize("text", ["022", "22", "0o22", "0O22", "00022"])
def test_a_umask_is_octal_however_it_is_written(text: str) -> None:
    assert parse_umask(text) == 0o022


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("08", "8 is not an octal digit; write a number such as 022"),
        ("-22", "- is not an octal digit; write a number such as 022"),
        ("0x12", "x is not an octal digit; write a number such as 022"),
        ("", '"" is not an octal number such as 022'),
        ("01000", '"01000" is more than 0777'),
    ],
)
def test_what_is_no_umask_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_umask(text)
    assert str(error.value) == reason


@pytest.mark.parametrize("text", ["TERM", "SIGTERM", "term", "sigterm", "15"])
def test_a_signal_is_a_name_or_a_number_with_or_without_sig(text: str) -> None:
    assert parse_signal(text, SIGNALS) == 15


def test_a_real_time_signal_may_be_a_number() -> None:
    assert parse_signal("40", SIGNALS) == 40
    assert signal_name(40, SIGNALS) == "40"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("TREM", 'there is no signal "TREM"; did you mean TERM?'),
        ("SIGUSR9", 'there is no signal "SIGUSR9"; did you mean USR1?'),
        ("0", "there is no signal 0"),
        ("99", "there is no signal 99"),
        ("9" * 5000, "there is no signal " + "9" * 40 + "..."),
        ("-9", 'there is no signal "-9"'),
    ],
)
def test_an_unknown_signal_is_told_the_nearest_one(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_signal(text, SIGNALS)
    assert str(error.value) == reason


def test_a_signal_has_its_first_name() -> None:
    assert signal_name(17, SIGNALS) == "CHLD"


@given(st.text())
def test_any_text_gives_a_value_or_a_reason(text: str) -> None:
    for parse in (parse_seconds, parse_size, parse_umask, lambda each: parse_signal(each, SIGNALS)):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0


def test_units_imports_next_to_nothing() -> None:
    tree = ast.parse(inspect.getsource(units))
    imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "taskmaster_common.text.nearest"}
    assert not [node for node in tree.body if isinstance(node, ast.Import)]


REAL_TIME = {"RTMIN": 34, "RTMAX": 64}


@pytest.mark.parametrize(
    "form", ["RTMIN+{up}", "rtmin+{up}", "SIGRTMIN+{up}", "RTMAX-{down}", "SigRtMax-{down}", "{number}"]
)
def test_every_real_time_signal_has_its_names(form: str) -> None:
    for offset in range(31):
        text = form.format(up=offset, down=30 - offset, number=34 + offset)
        for signals in (REAL_TIME, with_real_time({**SIGNALS, **REAL_TIME})):
            assert parse_signal(text, signals) == 34 + offset, text
        assert parse_signal(signal_name(34 + offset, with_real_time(REAL_TIME)), REAL_TIME) == 34 + offset, text


@pytest.mark.parametrize(
    "text", ["RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+-1", "RTMIN+3x", "RTMIN 3", "SIGRTMAX-99"]
)
def test_an_offset_that_does_not_exist_gets_the_range_and_no_other_signal(text: str) -> None:
    with pytest.raises(ValueError, match=r"real-time ones are RTMIN to RTMIN\+30, RTMAX-30 to RTMAX") as error:
        parse_signal(text, with_real_time({**SIGNALS, **REAL_TIME}))
    assert "did you mean" not in str(error.value)


def test_real_time_signals_are_named_as_kill_l_does() -> None:
    names = {number: name for name, number in with_real_time(REAL_TIME).items()}
    assert (names[34], names[35], names[49], names[50], names[63], names[64]) == (
        "RTMIN", "RTMIN+1", "RTMIN+15", "RTMAX-14", "RTMAX-1", "RTMAX",
    )  # fmt: skip
    assert with_real_time({"TERM": 15}) == {"TERM": 15}
    with pytest.raises(ValueError, match="this system has no real-time signals"):
        parse_signal("RTMIN+1", {"TERM": 15})

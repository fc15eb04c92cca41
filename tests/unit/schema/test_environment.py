"""Keys about a program's surroundings: what it inherits, and what it reads."""

from __future__ import annotations

import pytest

from taskmaster_common.schema import effective_text
from tests.support.host import SIGNALS, host, load, program, program_problems


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("no", False), ("[A, B, A]", ("A", "B")), ("[]", True), ("['${NO:-A}']", ("A",))],
)
def test_clear_env_is_a_truth_or_names(written: str, value: object) -> None:
    assert program(f"clear_env: {written}").clear_env == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("LANG", '"LANG" is not one of true, yes, on, false, no, off'),
        ("[LC_*]", '"LC_*" is not the name of one variable; write a list of whole names'),
        ("['LANG, TZ']", '"LANG, TZ" is not the name of one variable'),
        ("['A=b']", '"A=b" cannot be the name of a variable'),
        ("[TASKMASTER_MARK]", "TASKMASTER_MARK is set by taskmasterd itself"),
    ],
)
def test_clear_env_refuses_what_is_no_name(written: str, said: str) -> None:
    assert f"error: programs.web.clear_env: {said}" in program_problems(f"clear_env: {written}")[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", "null"),
        ("'null'", "null"),
        ("pipe", "pipe"),
        ("/dev/tty1", "/dev/tty1"),
        ("./in", "/etc/tm/in"),
        ("a/${TASKMASTER_INSTANCE}", "/etc/tm/a/\0"),
    ],
)
def test_stdin_is_a_word_or_a_path(written: str, value: str) -> None:
    assert program(f"stdin: {written}").stdin == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("in.txt", '"in.txt" is not one of null, pipe; a path has a slash, such as ./FILE'),
        ("", "has no value; write null for an empty input, or remove the line"),
        ("{file: x}", "expected null, pipe, a path or {socket: NAME}, not another mapping"),
    ],
)
def test_stdin_refuses_what_is_neither(written: str, said: str) -> None:
    assert f"error: programs.web.stdin: {said}" in program_problems(f"stdin: {written}")[0]


def test_both_are_written_as_they_are_read() -> None:
    config = load("programs: {web: {cmd: x, clear_env: [A, B], stdin: './a b-${TASKMASTER_INSTANCE}'}}").config
    text = effective_text(config, SIGNALS, host({}).places)
    assert '    clear_env: ["A", "B"]\n' in text
    assert '    stdin: "/etc/tm/a b-${TASKMASTER_INSTANCE}"\n' in text
    assert load(text).config.programs == config.programs


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("{}", "/usr/bin:/bin"),
        ("{clear_env: true}", "/usr/local/bin:/usr/bin:/bin"),
        ("{clear_env: [LANG]}", "/usr/local/bin:/usr/bin:/bin"),
        ("{clear_env: [PATH]}", "/usr/bin:/bin"),
        ("{clear_env: true, env: {PATH: /x}}", "/x"),
    ],
)
def test_the_check_looks_for_commands_where_the_program_will(keys: str, path: str) -> None:
    asked: list[str] = []

    def find(_word: str, where: str, _directory: str, _user: object) -> str:
        asked.append(where)
        return ""

    load(f"programs: {{web: {{<<: {keys}, cmd: x, pre_start: y}}}}", find_command=find)
    assert asked == [path, path]

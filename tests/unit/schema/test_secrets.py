"""What everybody may see of problems: no line of the file, and nothing of what env holds."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import File
from taskmaster_common.schema.report import MAX_SHOWN_REASON
from tests.support.host import load

SECRET = "hunter2"


def public(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert SECRET in str(caught.value)
    assert len(caught.value.public) == len(caught.value.problems)
    return caught.value.public


@pytest.mark.parametrize(
    "text",
    [
        "programs: {web: {cmd: x, env: {P: hunter2}, numprocs: no}}",
        "programs: {web: {cmd: x, env: {P: 'hunter2${'}}}",
        "programs: {web: {cmd: x, env: {P: '${A:-hunter2${B}}'}}}",
        "programs: {web: {cmd: x, env: {'P=hunter2': }}}",
        "programs: {web: {cmd: x, env: {P: pa,hunter2}}}",
        "programs: {web: {cmd: x, env: [P=hunter2]}}",
        "programs: {web: {cmd: x, env: P=hunter2}}",
        "programs: {web: {cmd: x, env: {P: *hunter2 }}}",
        "programs: {web: {cmd: x, env: {P: !hunter2 a}}}",
        "defaults: {env: {P: '${hunter2'}}\nprograms: {web: {cmd: x}}",
        "x-env: &env {P: '${hunter2'}\nprograms: {web: {cmd: x, env: *env}}",
        "x-env: &env {P: *hunter2 }\nprograms: {web: {cmd: x, env: {<<: *env}}}",
        "programs:\n  web:\n    cmd: x\n    env:\n      P: |\n        a\n  hunter2: b\n   c",
        "programs:\n  web:\n    cmd: x\n    env:\n      P: a: hunter2",
        "programs:\n  web:\n    cmd: x\n    environment: {P: hunter2}",
    ],
)
def test_no_public_text_holds_a_value_of_env(text: str) -> None:
    for line in public(text):
        assert SECRET not in line
        assert "\n" not in line
        assert line.startswith("/etc/tm/taskmaster.yaml:")


def test_a_public_text_still_says_what_is_wrong_where_no_value_can_stand() -> None:
    (line,) = public("programs: {web: {cmd: x, env: {P: hunter2}, autorestart: sometimes}}")
    assert line == (
        "/etc/tm/taskmaster.yaml:1:58: error: programs.web.autorestart: "
        '"sometimes" is not one of always, never, unexpected'
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("programs: {web: {numprocs: 2}} # hunter2", "1:12: error: programs: cmd is missing: the command line to run"),
        ("programs: {web: {cmd: x, hunter2: 2}}", "1:26: error: programs: something is wrong here"),
        ("programs: {web: {cmd: x, env: {A: [hunter2]}}}", "1:35: error: programs.web.env: something is wrong here"),
        ("defaults: {env: {A: }} # hunter2\nprograms: {web: {cmd: x}}", "1:21: error: defaults.env: something"),
        (
            "hunter2: {a: b}\nprograms: {}",
            "1:1: error: something is wrong here; `taskmasterd -t -c FILE` shows it to root",
        ),
        ("taskmasterd: {loglevel: hunter2}\nprograms: {}", '1:25: error: taskmasterd.loglevel: "hunter2" is'),
    ],
)
def test_a_public_text_names_what_can_be_no_value(text: str, line: str) -> None:
    (found,) = public(text)
    assert found.startswith(f"/etc/tm/taskmaster.yaml:{line}")


def test_a_public_warning_has_no_line_of_the_file() -> None:
    loaded = load("programs: {web: {cmd: x && y, env: {P: hunter2}}}")
    assert SECRET in loaded.warnings[0]
    assert loaded.public_warnings == (loaded.warnings[0].splitlines()[0],)
    assert SECRET not in loaded.public_warnings[0]


MISSING = "programs.web.env.DB_PASSWORD: /etc/tm/password: no such file or directory"


def test_a_public_text_says_which_file_of_a_value_is_missing() -> None:
    """As the start of that program does."""
    text = "programs: {web: {cmd: x, env: {P: hunter2, DB_PASSWORD: {file: password}}}}"
    assert [line.partition(": error: ")[2] for line in public(text)] == [MISSING]
    loaded = load(text, lenient_users=True)
    assert [line.partition(": warning: ")[2] for line in loaded.public_warnings] == [MISSING]


def test_a_public_text_quotes_nothing_of_a_file_that_is_a_value() -> None:
    with pytest.raises(ConfigError) as caught:
        load("programs: {web: {cmd: x, env: {A: {file: a}}}}", {"/etc/tm/a": f"{SECRET}\0"})
    (line,) = caught.value.public
    assert line.endswith("programs.web.env.A: /etc/tm/a: a NUL byte cannot be part of a value")


def test_a_public_text_below_env_is_bounded() -> None:
    with pytest.raises(ConfigError) as caught:
        load("programs: {web: {cmd: x, env: {A: {file: " + "a/" * 1000 + "b}}}}")
    (line,) = caught.value.public
    assert line.endswith("...")
    assert len(line.partition("programs.web.env.A: ")[2]) == MAX_SHOWN_REASON


def test_a_public_warning_names_the_file_that_everybody_can_read() -> None:
    files = {"/etc/tm/password": File(SECRET.encode(), 0o644)}
    loaded = load("programs: {web: {cmd: x, env: {DB_PASSWORD: {file: password}}}}", files)
    (line,) = loaded.public_warnings
    assert line.endswith(
        "programs.web.env.DB_PASSWORD: everybody can read /etc/tm/password; chmod o-r /etc/tm/password"
    )

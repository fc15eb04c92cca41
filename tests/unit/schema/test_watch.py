"""`watch`: how it is written, what is refused, what is doubtful, and that the effective configuration says the same."""

from __future__ import annotations

import pytest

from taskmaster_common.config.watch import WatchRules, watch_rules_of
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load, problems, program

DEFAULTS = {
    "paths": [],
    "include": [],
    "ignore": [],
    "debounce": 0.3,
    "action": "restart",
    "poll": 0.0,
    "default_ignores": True,
}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("src", {**DEFAULTS, "paths": ["src"]}),
        ("[src, 'config/*.yaml']", {**DEFAULTS, "paths": ["src", "config/*.yaml"]}),
        (
            "{paths: src, include: ['*.py', 'a b'], ignore: tmp}",
            {**DEFAULTS, "paths": ["src"], "include": ["*.py", "a b"], "ignore": ["tmp"]},
        ),
        (
            "{paths: [/a], debounce: 1m, action: signal sighup, poll: 2s, default_ignores: no}",
            {
                **DEFAULTS,
                "paths": ["/a"],
                "debounce": 60.0,
                "action": "signal HUP",
                "poll": 2.0,
                "default_ignores": False,
            },
        ),
    ],
)
def test_it_is_decoded_whole_and_the_effective_configuration_decodes_to_the_same(
    written: str, value: dict[str, object]
) -> None:
    assert program(f"watch: {written}").watch == value
    text = effective_text(load(f"programs: {{web: {{cmd: run, watch: {written}}}}}").config, SIGNALS, host({}).places)
    assert load(text).config.programs[0].watch == value, text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("true", "write watch: . for the directory it runs in"),
        ("{include: ['*.py']}", "says not what; write paths"),
        ("[]", "says not what; write paths"),
        ("['']", "at least one character"),
        ("{paths: [a], action: reload}", '"reload" is not one of restart, signal NAME'),
        ("{paths: [a], action: signal NONE}", "NONE"),
        ("{paths: [a], debounce: 2h}", "more than an hour"),
        ("{paths: [a], poll: 10ms}", '"10ms" is less than 0.1s'),
        ("{paths: [a], ignore_watch: [b]}", "did you mean ignore?"),
        ("{paths: [a], patterns: [b]}", "unknown key"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, watch: {written}}}}}")
    assert said in "\n".join(error.value.problems)


def test_a_relative_path_needs_one_directory_for_all_instances() -> None:
    found = problems("programs: {web: {cmd: run, workingdir: '/srv/${TASKMASTER_INSTANCE}', watch: src}}")
    assert "src is relative to it; write absolute paths" in "\n".join(found)
    assert load("programs: {web: {cmd: run, workingdir: '/srv/${TASKMASTER_INSTANCE}', watch: /src}}").config


def test_too_many_directories_and_the_daemons_own_are_warnings() -> None:
    one = "programs: {web: {cmd: run, workingdir: /srv, watch: .}}"
    found = load(one, watched_directories=lambda _directory, _value: 10_001).warnings
    assert "more than 10000 directories would be watched" in "\n".join(found)
    assert not load(one, watched_directories=lambda _directory, _value: 10_000).warnings
    found = load(f"taskmasterd: {{state_dir: /srv/state}}\n{one}").warnings
    assert ". holds the daemon's state directory, /srv/state" in "\n".join(found)


def test_a_job_may_have_it_and_rules_are_read_from_the_value() -> None:
    found = program("type: oneshot\nwatch: {paths: [a], action: signal USR1}")
    assert watch_rules_of(found.watch) == WatchRules(("a",), action="signal", signal="USR1")


def test_the_words_of_pm2_lead_to_ours() -> None:
    found = problems("programs: {web: {cmd: run, ignore_watch: [tmp]}}")
    assert "watch: {paths: [src], ignore: [...]}" in "\n".join(found)

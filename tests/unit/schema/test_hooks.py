"""Hooks in the configuration: how each is written, what is refused or doubtful, and that -T says the same."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.hooks import HOOK_KEYS, HookCommand, hook_of, written_hook
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import User
from taskmaster_common.schema.effective import effective_text
from taskmasterd.core.words.settings import settings_view
from tests.support.host import SIGNALS, host, load, problems, program


def warnings(text: str, **changes: Any) -> str:
    """Return what is doubtful in a configuration."""
    return "\n".join(load(text, **changes).warnings)


@pytest.mark.parametrize(
    ("written", "hook"),
    [
        ("./migrate 'a b'", HookCommand(("./migrate", "a b"))),
        ("[echo, '', x]", HookCommand(("echo", "", "x"))),
        ("{cmd: a | b, shell: true}", HookCommand(("a | b",), shell=True)),
        ("{cmd: [nginx, -t], timeout: 1m}", HookCommand(("nginx", "-t"), timeout_s=60.0)),
        ("{cmd: chown x, user: root, timeout: 0.5}", HookCommand(("chown", "x"), user="root", timeout_s=0.5)),
    ],
)
def test_each_form_is_decoded_and_the_effective_configuration_decodes_to_the_same(
    written: str, hook: HookCommand
) -> None:
    for key in HOOK_KEYS:
        found = program(f"{key}: {written}")
        assert hook_of(found.value(key)) == hook
    loaded = load(f"programs: {{web: {{cmd: run, pre_stop: {written}}}}}")
    text = effective_text(loaded.config, SIGNALS, host({}).places)
    assert load(text).config.programs[0].policy.pre_stop == hook.row(), text
    assert "    # pre_start: none" in text
    assert ProgramConfig.from_data(found.to_data()) == found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("''", "has no value"),
        ("{shell: true}", "cmd is missing"),
        ("{cmd: x, tiemout: 3}", "did you mean timeout?"),
        ("{cmd: x, frobnicate: 3}", "the keys of a hook are cmd, shell, timeout, user"),
        ("{cmd: x, timeout: 0}", 'timeout: "0" is less than 0.1 s'),
        ("{cmd: x, user: ''}", "a name has at least one character"),
        ("{cmd: x, user: nobody-here}", 'there is no user "nobody-here"'),
        ("{cmd: [x], shell: true}", "with shell: true the command is one text"),
    ],
)
def test_what_is_no_hook_is_refused(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, pre_start: {written}}}}}")
    assert said in str(error.value)


def test_show_and_json_have_it_as_it_was_written() -> None:
    assert written_hook(HookCommand(("a", "b")).row()) == ["a", "b"]
    value = HookCommand(("a ${X}",), shell=True, user="root", timeout_s=5.0).row()
    assert written_hook(value) == {"cmd": "a ${X}", "shell": True, "timeout": 5.0, "user": "root"}
    found = settings_view(program("pre_start: echo ${TASKMASTER_INSTANCE}"), {}, values=True)
    assert found["pre_start"] == ["echo", "${TASKMASTER_INSTANCE}"]
    assert found["post_stop"] is None


def test_a_job_has_no_post_start_and_what_defaults_say_of_it_is_for_services() -> None:
    (problem,) = problems("programs: {web: {cmd: run, type: oneshot, post_start: x}}")
    assert "a oneshot is never ready but done" in problem
    job = load("{defaults: {post_start: x, pre_start: y}, programs: {web: {cmd: run, type: oneshot}}}").config.programs[
        0
    ]
    assert (job.policy.post_start, hook_of(job.policy.pre_start).words) == ((), ("y",))


def test_a_stop_with_hooks_that_is_longer_than_a_shutdown_is_a_warning() -> None:
    text = "programs: {web: {cmd: run, stoptime: 20, pre_stop: run, post_stop: {cmd: run, timeout: 15}}}"
    assert "a stop may take 65s (pre_stop 30 + post_stop 15 + stoptime 20)" in warnings(text)
    assert "a stop may take" not in warnings("programs: {web: {cmd: run, stoptime: 20, pre_stop: run}}")


def test_a_command_that_is_not_found_is_a_warning() -> None:
    def found(word: str, _path: str, _directory: str, user: User | None) -> str:
        return f"{word} is not found by {user.name if user else 'us'}" if word == "absent" else ""

    said = warnings("programs: {web: {cmd: run, stop_cmd: {cmd: absent, user: www}}}", find_command=found)
    assert "warning: programs.web.stop_cmd: absent is not found by www" in said
    text = "programs: {web: {cmd: run, stop_cmd: {cmd: absent, shell: true}}}"
    assert warnings(text, find_command=found) == ""


def test_only_root_may_run_a_hook_as_another_user() -> None:
    text = "programs: {web: {cmd: run, pre_start: {cmd: x, user: www}}}"
    (problem,) = problems(text, uid=1000)
    assert 'only root can run a hook as another user, "www"' in problem
    assert load(text).config.programs


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("pre_start: cd /tmp", 'pre_start: "cd" is the shell\'s own; set workingdir, or shell: true'),
        (
            "post_stop: {cmd: rm *.pid}",
            "post_stop: without a shell a pattern of file names is ordinary text; set shell: true",
        ),
        ("pre_stop: 'kill $PID'", "pre_stop: without a shell $PID is ordinary text; write ${PID}, or set shell: true"),
        ("health: {exec: 'curl x || exit 1'}", 'health: without a shell "||" is an ordinary word; set shell: true'),
        ("ready: {exec: {cmd: test -f ~/ok}}", "ready: without a shell ~ is an ordinary character; write ${HOME}"),
        ("watch: ~/src", "watch: ~ is not expanded here; write ${HOME}"),
        ("env_file: $HOME/x", "env_file: /etc/tm/$HOME/x: no such file or directory; $HOME is not expanded here"),
        ("stdout: '| tee x | cat'", 'stdout: without a shell "|" is an ordinary word; set shell: true'),
    ],
)
def test_every_command_and_path_that_is_meant_for_a_shell_is_doubted(keys: str, said: str) -> None:
    warnings = load(f"programs: {{web: {{cmd: run, {keys}}}}}", lenient_users=True).warnings
    assert any(f"programs.web.{said}" in warning for warning in warnings), warnings


@pytest.mark.parametrize(
    "keys",
    [
        "pre_start: {cmd: cd /tmp && x, shell: true}",
        "pre_start: [rm, '*.pid']",
        "health: {exec: {cmd: 'curl x || exit 1', shell: true}}",
        "ready: {exec: sh -c 'x | y'}",
        "stdout: {pipe: 'tee x | cat', shell: true}",
        "stdout: '| tee -a x'",
    ],
)
def test_what_a_shell_runs_or_no_shell_is_needed_for_is_not_doubted(keys: str) -> None:
    warnings = load(f"programs: {{web: {{cmd: run, {keys}}}}}").warnings
    assert not any("shell" in warning for warning in warnings), warnings


def test_the_command_of_an_alert_that_is_meant_for_a_shell_is_doubted() -> None:
    warnings = load("alerts: {x: {events: [crash], cmd: echo x | mail root}}\nprograms: {web: {cmd: run}}").warnings
    assert any('alerts.x.cmd: without a shell "|" is an ordinary word' in warning for warning in warnings), warnings

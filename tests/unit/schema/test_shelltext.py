"""Text that a shell or another tool would make something else of: one warning, and none where it is meant so."""

from __future__ import annotations

import pytest

from taskmaster_common.schema.advice.shelltext import ends_in_a_pipe, pipe_doubt, script_of, split_quotes
from tests.support.host import load, problems, program


def warnings(cmd: str, keys: str = "") -> list[str]:
    lines = "".join(f"      {line}\n" for line in cmd.splitlines())
    found = load(f"programs:\n  web:\n    {keys or 'numprocs: 1'}\n    cmd: |-\n{lines}").warnings
    return [line.splitlines()[0].partition("warning: programs.web.cmd: ")[2] for line in found]


@pytest.mark.parametrize(
    ("cmd", "doubt"),
    [
        ("sleep $SECS", "without a shell $SECS is ordinary text; write ${SECS}, or set shell: true"),
        ('echo "$HOME/x"', "without a shell $HOME is ordinary text; write ${HOME}, or set shell: true"),
        ("sleep `cat x`", "without a shell ` is an ordinary character"),
        ('echo "$(date)"', "without a shell $( ) is not run"),
        ("echo a$(date)b", "without a shell $( ) is not run"),
        ("ls *.py", "a pattern of file names is ordinary text"),
        ("cat /var/log/a?.log", "a pattern of file names is ordinary text"),
        ("cat log[0-9].txt", "a pattern of file names is ordinary text"),
        ("cd /app\n./run", "the command has several lines"),
        ("a; b", '";" is an ordinary character'),
        ("a &", '"&" is an ordinary word'),
        ("a |b", '"|" is an ordinary character'),
        ("a|b", '"|" is an ordinary character'),
        ("a 2>>log", '"2>>log" is an ordinary word'),
        ("a > >(tee x)", '">" is an ordinary word'),
        ("exec run", '"exec" is the shell\'s own; leave it out'),
        ("source venv/bin/activate", '"source" is the shell\'s own; set shell: true'),
        (". ./env", '"." is the shell\'s own'),
        ("cd /app", '"cd" is the shell\'s own; set workingdir, or shell: true'),
        ("export A=b", '"export" is the shell\'s own; put the variable under env:'),
        ("(a b)", '"(" is the shell\'s own'),
        ("while true", '"while" is the shell\'s own'),
        ("exit 1", '"exit" is the shell\'s own; set shell: true'),
        ("run %(program_name)s", "%(program_name) is supervisor's; write ${TASKMASTER_PROGRAM}"),
        ("run %(ENV_HOME)s", "%(ENV_HOME) is supervisor's; write ${HOME}"),
        ("run %(process_num)02d", "%(process_num) is supervisor's; write ${TASKMASTER_INSTANCE}"),
    ],
)
def test_text_for_a_shell_gets_one_sentence(cmd: str, doubt: str) -> None:
    (found,) = warnings(cmd)
    assert doubt in found


@pytest.mark.parametrize(
    "cmd",
    [
        "sh -c 'echo $X'",
        'bash -c "echo $HOME"',
        "awk '{print $1}' x",
        "price 5$ a$",
        "run --format '%(message)s' --x=%(h)s",
        "curl http://h/?a=*&b=[1]",
        "gunicorn -b [::]:8000",
        "serve *:8080",
        "rsync --exclude=*.o a b",
        "run \\\n  --option \\\n  -x",
        "run\n  --option",
        "grep 'a|b' x",
        "x -> y",
        "test a = b",
    ],
)
def test_what_is_meant_as_it_stands_gets_none(cmd: str) -> None:
    assert warnings(cmd) == []


def test_a_variable_of_env_needs_a_shell() -> None:
    (found,) = warnings("sleep $SECS", "env: {SECS: '5'}")
    assert found == "without a shell $SECS is ordinary text; set shell: true"


def test_a_backslash_continues_a_line_as_in_a_shell() -> None:
    assert load("programs:\n  web:\n    cmd: |\n      run \\\n        --a 'b\\\n        c'\n").config.programs[
        0
    ].cmd == (
        "run",
        "--a",
        "b\\\n  c",
    )


def test_quotes_and_escapes_are_told_apart() -> None:
    assert split_quotes("a 'b' \"c d\" \\e") == ("a xxx xxxxx x", "   c d ")


# -- pipes


@pytest.mark.parametrize(
    "script",
    [
        "prog | logger",
        "prog 2>&1 | logger -t x",
        "a; b | c",
        "a && b | c",
        "a | b;",
        "prog | while read -r line; do echo $line; done",
        "prog |& tee x",
        "exec prog | cat",
        "a\nb | c\n",
    ],
)
def test_a_pipe_at_the_end_hides_the_exit_code(script: str) -> None:
    assert ends_in_a_pipe(script)
    (found,) = warnings(script, "shell: true")
    assert "the exit code is that of the last command of the pipe" in found
    assert "bash -o pipefail -c '...'" in found
    assert not pipe_doubt(f"set -o pipefail; {script}")


@pytest.mark.parametrize(
    "script",
    [
        "exec prog",
        "a || b",
        "a | b; exec prog",
        "a | b && exec prog",
        "prog 'a | b'",
        "exec prog > >(sed 's/x/y/' | cat)",
        "for x in 1 2; do a | b; done; exec prog",
        "x=$(a | b); exec prog",
        "case $1 in a|b) exec prog;; esac",
        "exec prog # a | b",
    ],
)
def test_what_does_not_end_in_a_pipe_hides_nothing(script: str) -> None:
    assert not ends_in_a_pipe(script)
    assert not pipe_doubt(script)


def test_a_pipe_in_the_text_of_a_named_shell_is_seen_too() -> None:
    assert script_of(("/bin/bash", "-lc", "a | b")) == "a | b"
    assert script_of(("bash", "-o", "pipefail", "-c", "a | b")) == ""
    assert script_of(("timeout", "5", "sh", "-c", "a | b")) == "a | b"
    assert "exit code is that of the last command" in warnings("sh -c 'prog | logger'")[0]
    (found,) = load("programs: {web: {cmd: [sh, -c, 'a | b']}}").warnings
    assert "exit code is that of the last command" in found


# -- paths and variables


@pytest.mark.parametrize("path", ["~/logs/x.log", "$HOME/x.log", "logs/$NAME/x.log", "%(here)s/x.log", "~bob/x.log"])
@pytest.mark.parametrize("key", ["stdout", "stderr"])
def test_a_directory_that_would_be_made_by_mistake_is_an_error(path: str, key: str) -> None:
    (found,) = problems(f"programs: {{web: {{cmd: x, {key}: '{path}'}}}}")
    assert "a directory of that name would be made" in found


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("programs: {a: {cmd: x, stdout: 'x-$HOME.log'}}", "stdout: $HOME is not expanded here; write ${HOME}"),
        ("programs: {a: {cmd: x, workingdir: $HOME}}", "workingdir: $HOME is not expanded here; write ${HOME}"),
        ("taskmasterd: {socket: ~/s}\nprograms: {}", "taskmasterd.socket: ~ is not expanded here; write ${HOME}"),
        ("include: ['~/x/*.yaml']\nprograms: {}", "matches no file; ~ is not expanded here; write ${HOME}"),
        ("programs: {a: {cmd: x, env: {PATH: '$PATH:/opt'}}}", "env.PATH: $PATH is not expanded here; write ${PATH}"),
        ("programs: {a: {cmd: x, env: {A: '~/x'}}}", "env.A: ~ is not expanded here; write ${HOME}"),
        ("programs: {a: {cmd: x, stopsignal: WINCH}}", "stopsignal: WINCH ends no program that does not handle it"),
        ("programs: {a: {cmd: x, stopsignal: STOP}}", "stopsignal: STOP pauses a program and ends none"),
    ],
)
def test_a_value_that_is_left_as_it_is_gets_a_warning(text: str, warning: str) -> None:
    signals = {"TERM": 15, "STOP": 19, "WINCH": 28, "HUP": 1}
    (found,) = load(text, signals=signals).warnings
    assert warning in found


def test_a_dollar_in_a_variables_value_is_left_alone_unless_it_names_a_variable_that_exists() -> None:
    assert load("programs: {a: {cmd: x, env: {P: 'pa$word', Q: '$2b$12$abc', R: '${HOME}', S: ~}}}").warnings == ()


def test_a_file_name_with_a_tilde_inside_is_fine() -> None:
    assert program("stdout: ./~/x").output.stdout == "/etc/tm/~/x"
    assert load("programs: {a: {cmd: x, stdout: 'a~/b', workingdir: ./~}}").warnings == ()


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("exec prog > >(logger)", "> >("),
        ("exec prog 2> >(logger)", "> >("),
        ("diff <(a) <(b)", "<("),
        ("set -o pipefail; prog | logger", "set -o pipefail"),
        ("set -euo pipefail\nprog | logger", "set -o pipefail"),
        ("[[ -f x ]] && exec prog", "[["),
        ("source venv/bin/activate && exec prog", "source"),
        ("prog &> out", "&>"),
    ],
)
def test_what_only_bash_knows_is_not_for_another_sh(script: str, word: str) -> None:
    text = f"programs: {{web: {{shell: true, cmd: '{script}'}}}}".replace("\n", "; ")
    (warning,) = load(text).warnings
    assert f"\"{word}\" is bash's, and shell: true runs /bin/sh; write cmd: bash -c '...'" in warning
    assert not load(text, sh_is_bash=True).warnings


@pytest.mark.parametrize(
    "script",
    [
        'bash -o pipefail -c "prog | logger"',
        'bash -c "exec prog > >(logger)"',
        "exec prog > out 2>&1",
        "exec prog >> out < in",
        "[ -f source ] && exec prog",
        "(exec prog) > out",
    ],
)
def test_what_every_sh_knows_gets_no_sentence_about_bash(script: str) -> None:
    assert not load(f"programs: {{web: {{shell: true, cmd: '{script}'}}}}").warnings


def test_a_variable_in_a_list_of_words_is_text_unless_a_shell_gets_it() -> None:
    (warning,) = load("programs: {web: {cmd: [prog, $HOME/x]}}").warnings
    assert "without a shell $HOME is ordinary text; write ${HOME}, or write cmd as one text with shell: true" in warning
    (warning,) = load("programs: {web: {cmd: [prog, $PORT], env: {PORT: 1}}}").warnings
    assert "without a shell $PORT is ordinary text; write cmd as one text with shell: true" in warning
    assert not load("programs: {web: {cmd: [sh, -c, 'exec prog $HOME']}, b: {cmd: [awk, '{print $1, $NF}']}}").warnings

"""The options of taskmasterd, and what is said of words that are none."""

from __future__ import annotations

import pytest

from taskmasterd.launch.options import parse


@pytest.mark.parametrize("words", [["-c", "f", "-s", "s", "-t"], ["--config=f", "--socket", "s", "--check"]])
def test_the_long_options_are_those_of_the_client(words: list[str]) -> None:
    options = parse(words)
    assert (options.config, options.socket, options.check) == ("f", "s", True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--guardian"], "there is no option --guardian; did you mean --guard?"),
        (["--resident", "5"], "there is no option --resident"),
        (["--chekc"], "there is no option --chekc; did you mean --check?"),
        (["--conf=x"], "there is no option --conf"),
        (["-x"], "there is no option -x"),
        (["--test"], "there is no option --test; did you mean -t?"),
        (["--foreground"], "there is no option --foreground; did you mean -n?"),
        (["-f", "x"], "there is no option -f; did you mean -c?"),
        (["-c"], "argument -c/--config: expected one argument"),
        (["-t", "-T"], "argument -T: not allowed with argument -t/--check"),
        (["taskmaster.yaml"], '"taskmaster.yaml" is not an option; the configuration is named by -c: taskmasterd -c taskmaster.yaml'),
        (["check"], '"check" is not an option; `taskmasterd -t -c FILE` checks a configuration'),
        (["--check", "0"], '"0" is not an option; taskmasterd takes options only, commands are the client\'s: taskmasterctl'),
        (["stop"], "`taskmasterctl shutdown` ends the daemon and its programs, `taskmasterctl stop NAME` one program"),
        (["status"], '"status" is a command of the client: taskmasterctl status'),
        (["start"], "taskmasterd without this word starts the daemon; `taskmasterctl start NAME` starts a program"),
        (["reload"], '"reload" is a command of the client: taskmasterctl reload'),
        (["tail"], '"tail" is a command of the client: taskmasterctl logs'),
        (["daemon-reload"], "commands are the client's, taskmasterctl: use `reload`"),
        (["--env"], "--env belongs to -T"),
        (["--unit", "upstart"], "argument --unit: invalid choice: 'upstart' (choose from "),
        (["--example", "-t"], "argument -t/--check: not allowed with argument --example"),
    ],
)  # fmt: skip
def test_a_word_that_is_not_an_option_gets_a_sentence_and_exit_2(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("taskmasterd: ")
    assert text in said[0]
    assert said[1:] == ["  The options:  taskmasterd --help"]

"""The command table: one grammar for the wire, the shell and both command lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.aliases import ALIASES, INSTEAD
from taskmaster_common.commands.actions import reason_in, with_reason
from taskmaster_common.commands.help import HELP, SHELL_COMMANDS, help_text, short_help
from taskmaster_common.commands.table import (
    COMMANDS,
    Command,
    Request,
    access_of,
    command,
    parse,
    refuse_client_flags,
    usage,
)
from taskmaster_common.commands.text import wrapped
from taskmaster_common.errors import RequestError


def refused(line: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(line.split())
    return caught.value


@pytest.mark.parametrize(
    ("line", "verb", "flags", "targets"),
    [
        ("status", "status", {}, ()),
        ("status --wide web db", "status", {"wide": True}, ("web", "db")),
        ("stop web --no-wait", "stop", {"no_wait": True}, ("web",)),
        ("logs -n 5 web", "logs", {"lines": "5"}, ("web",)),
        ("logs -n5 -f web", "logs", {"lines": "5", "follow": True}, ("web",)),
        ("logs --lines=5 web --lines 6", "logs", {"lines": "6"}, ("web",)),
        ("stop -- -web", "stop", {}, ("-web",)),
        ("stop -", "stop", {}, ("-",)),
        ("signal HUP web:1 db", "signal", {}, ("HUP", "web:1", "db")),
        ("signal --list", "signal", {"list": True}, ()),
        ("tail -f web", "logs", {"follow": True}, ("web",)),
        ("maintail -n 3", "logs", {"daemon": True, "lines": "3"}, ()),
        ("update", "reload", {}, ()),
        ("reread --exit-code", "reload", {"dry_run": True, "exit_code": True}, ()),
        ("help stop", "help", {}, ("stop",)),
    ],
)
def test_words_become_a_request(line: str, verb: str, flags: dict[str, str | bool], targets: tuple[str, ...]) -> None:
    assert parse(line.split()) == Request(verb, flags, targets)


@pytest.mark.parametrize(
    ("verb", "said"), [("stop", True), ("check", True), ("attach", False), ("simulate", False), ("import", False)]
)
def test_only_a_verb_that_takes_several_names_says_that_all_means_every_one(verb: str, said: bool) -> None:
    assert ("`all` means every program" in refused(verb).hints) == said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "a verb is missing"),
        ("stop", "stop needs a name"),
        ("import", "import needs a file"),
        ("signal HUP", "signal needs a signal and a name"),
        ("version now", 'version does not take "now"'),
        ("help a b", 'help does not take "b"'),
        ("reload web", "takes no name"),
        ("stop --nowait web", 'stop has no flag "--nowait"; did you mean --no-wait?'),
        ("pid -x", 'pid has no flag "-x" (it has: none)'),
        ("stop --no-wait=yes web", "--no-wait takes no value"),
        ("logs -fx web", "--follow takes no value"),
        ("logs web -n", "--lines needs a value: --lines N"),
        ("logs web -n=5", '-n: "=5" is not a number'),
        ("logs web --lines=", '-n: "" is not a number'),
        ("logs web -n -5", '-n: "-5" is not a number'),
    ],
)
def test_what_is_typed_wrongly_is_usage_with_the_reason(line: str, says: str) -> None:
    error = refused(line)
    assert (error.code, error.exit_code) == ("usage", 2)
    assert says in error.message


def test_a_usage_error_shows_the_usage_line() -> None:
    assert "usage: stop [--no-wait] [--dependents] [--run] TARGET..." in refused("stop").hints
    assert "to send HUP to a program: signal HUP NAME" in refused("reload web").hints


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("statsu", "status"), ("sotp", "stop"), ("restrat", "restart"), ("shutdwon", "shutdown"), ("Status", "status")],
)
def test_a_slip_in_a_verb_is_answered_with_the_verb(typed: str, meant: str) -> None:
    error = refused(typed)
    assert (error.code, error.exit_code) == ("unknown-verb", 2)
    assert error.message == f'unknown verb "{typed}"; did you mean {meant}?'


def test_a_word_like_nothing_gets_no_guess() -> None:
    assert refused("xyzzy").message == 'unknown verb "xyzzy"'


@pytest.mark.parametrize("verb", sorted(INSTEAD))
def test_verbs_of_other_supervisors_are_answered_with_what_to_do_here(verb: str) -> None:
    assert refused(verb).message == f'unknown verb "{verb}"; {INSTEAD[verb]}'


def test_flags_of_the_client_do_not_mean_anything_on_the_wire() -> None:
    refuse_client_flags(parse(["stop", "--no-wait", "web"]))
    for line in ("status --wide", "status --failed", "signal --list"):
        with pytest.raises(RequestError) as caught:
            refuse_client_flags(parse(line.split()))
        assert "not of the wire" in caught.value.message


def test_the_list_of_verbs_names_every_verb_once() -> None:
    lines = help_text().splitlines()
    for entry in COMMANDS:
        assert sum(line.startswith(f"  {entry.name} ") for line in lines) == 1


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS])
def test_the_help_of_a_verb_tells_usage_flags_and_exit_codes(name: str) -> None:
    text = " ".join(help_text(name).split())
    assert f"usage: {usage(command(name))}" in text
    assert f"exit codes: {HELP[name].exits}" in text
    assert HELP[name].exits
    assert all(flag.name in text for flag in command(name).flags)


@pytest.mark.parametrize("name", ["", *(entry.name for entry in (*COMMANDS, *SHELL_COMMANDS))])
def test_no_line_of_the_help_is_longer_than_80_columns(name: str) -> None:
    assert [line for line in help_text(name, SHELL_COMMANDS).splitlines() if len(line) > 80] == []


def test_the_short_help_fits_into_22_lines_of_80_columns_and_names_every_verb() -> None:
    text = short_help(SHELL_COMMANDS)
    assert len(text.splitlines()) <= 22
    assert max(map(len, text.splitlines())) <= 80
    words = text.replace(",", " ").split()
    assert [entry.name for entry in (*COMMANDS, *SHELL_COMMANDS) if entry.name not in words] == []


def test_a_long_line_is_broken_between_words_and_keeps_its_indent() -> None:
    assert wrapped("  --flag             what it does", "    ") == ["  --flag             what it does"]
    long = " ".join(["word"] * 20)
    assert wrapped(f"  {long}", "    ") == ["  " + " ".join(["word"] * 15), "    " + " ".join(["word"] * 5)]
    assert wrapped("x" * 100) == ["x" * 100]
    assert wrapped(f"do {long}", "  ", " \\") == [f"do {' '.join(['word'] * 15)} \\", f"  {' '.join(['word'] * 5)}"]


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_alias_has_the_help_of_its_verb(alias: str) -> None:
    assert help_text(alias) == help_text(ALIASES[alias][0])


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: str(entry.name))
def test_every_example_of_the_help_can_be_parsed(entry: Command) -> None:
    for example in HELP[entry.name].examples:
        assert parse(example.replace("'", "").split()).verb == entry.name


def test_every_verb_and_flag_has_a_text_and_every_text_a_verb_or_flag() -> None:
    table = (*COMMANDS, *SHELL_COMMANDS)
    assert {entry.name: {flag.name for flag in entry.flags} for entry in table} == {
        name: set(text.flags) for name, text in HELP.items()
    }


@pytest.mark.parametrize(
    ("line", "access"),
    [
        ("status", "look"),
        ("logs -f web", "read"),
        ("logs --reopen", "admin"),
        ("stop web", "operate"),
        ("signal HUP web", "operate"),
        ("reload --dry-run", "admin"),
        ("shutdown", "admin"),
    ],
)
def test_a_request_needs_the_access_class_of_its_verb_or_of_a_flag_that_does_more(line: str, access: str) -> None:
    assert access_of(parse(line.split())) == access


def test_no_two_flags_of_a_verb_share_a_name() -> None:
    for entry in COMMANDS:
        names = [name for flag in entry.flags for name in (flag.name, flag.short) if name]
        assert len(names) == len(set(names))


def test_help_of_an_unknown_verb_is_an_unknown_verb() -> None:
    with pytest.raises(RequestError) as caught:
        help_text("stpo")
    assert caught.value.code == "unknown-verb"


VERB = st.sampled_from([verb.name for verb in COMMANDS] + ["tail", "update"])
WORD = (
    st.sampled_from(["web", "web:1", "*", "--", "-n", "--lines=5", "-f", "--since", "1h", "HUP", "-", "9" * 5000, "²"])
    | st.text()
)


@given(VERB, st.lists(WORD, max_size=8))
def test_any_words_are_a_request_or_an_error_that_says_why(verb: str, words: list[str]) -> None:
    try:
        request = parse([verb, *words])
    except RequestError as error:
        assert error.message  # noqa: PT017 - either is right
    else:
        assert request.verb in {each.name for each in COMMANDS}
        assert set(request.targets) <= set(words)


@pytest.mark.parametrize("word", ["5", "+1", "-1", "0", "file"])
def test_scale_takes_a_number_or_so_many_more_or_fewer(word: str) -> None:
    assert parse(["scale", "web", word]).targets == ("web", word)
    assert parse(["scale", "--no-wait", "web", word]).has("no_wait")


@pytest.mark.parametrize(
    "words", [["web"], ["web", "many"], ["web", "--1"], ["web", "+-1"], ["web:0", "2"], ["web", "1", "2"], []]
)
def test_scale_refuses_what_is_no_number_of_a_whole_program(words: list[str]) -> None:
    with pytest.raises(RequestError) as refused:
        parse(["scale", *words])
    assert refused.value.code == "usage"


@pytest.mark.parametrize(
    "reason", ["disk", "broken disk", "100% of it", "50%20", "grüße, Ada", "\tx\x1b y ", "%", "a%zz"]
)
def test_a_reason_travels_as_one_word_and_arrives_on_one_line(reason: str) -> None:
    sent = with_reason(parse(["disable", "web", f"--reason={reason}"])).text("reason")
    assert sent.split() in ([sent], [])
    arrived = reason_in(parse(["disable", "web", f"--reason={sent}"]))
    assert arrived == " ".join("".join(each if each.isprintable() else " " for each in reason).split())


def test_a_reason_of_who_writes_the_wire_by_hand_is_taken_as_it_stands() -> None:
    assert reason_in(parse(["disable", "--reason=100%", "web"])) == "100%"
    assert reason_in(parse(["disable", "--reason=%ff", "web"])) == "\ufffd"


@pytest.mark.parametrize("name", [each.name for each in COMMANDS])
def test_no_line_of_a_usage_ends_inside_brackets(name: str) -> None:
    lines = help_text(name).splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("usage: "))
    usage_lines = [lines[begin]]
    for line in lines[begin + 1 :]:
        if not line.startswith("  ") or line.startswith("  -"):
            break
        usage_lines.append(line)
    assert all(line.count("[") == line.count("]") for line in usage_lines)
    assert all(len(line) <= 80 for line in usage_lines)
    assert " ".join(line.strip() for line in usage_lines) == f"usage: {usage(command(name))}"

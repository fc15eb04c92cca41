"""What Tab offers: the right kind of word in each place, the relevant ones first, from the mirror alone."""

from __future__ import annotations

import pytest

from taskmaster_common.commands.help import HELP, SHELL_COMMANDS
from taskmaster_common.commands.table import COMMANDS
from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.shell.suggestions import suggestions
from tests.support.fakedaemon import process

SIGNALS = ("ABRT", "HUP", "INT", "KILL", "STOP", "TERM", "USR1", "WINCH")
PROCESSES = (
    process("nginx", detail=""),
    process("web:0"),
    process("web:1", "BACKOFF", detail="exit 3; retry 1 of 3"),
    process("cron", "STOPPED", detail="not started"),
    process("a@b+c.d-1", "FATAL"),
)


def mirror_of(*processes: dict[str, object]) -> Mirror:
    mirror = Mirror()
    mirror.take({"type": "snapshot", "sequence": 0, "count": len(processes)}, 0.0)
    mirror.take({"type": "processes", "processes": list(processes)}, 0.0)
    return mirror


def offered(before: str, *processes: dict[str, object]) -> list[str]:
    word, found = suggestions(before, mirror_of(*(processes or PROCESSES)), SIGNALS)
    assert before.endswith(word)
    return [each.text for each in found]


def metas(before: str) -> dict[str, str]:
    return {each.text: each.meta for each in suggestions(before, mirror_of(*PROCESSES), SIGNALS)[1]}


def test_groups_stand_after_programs_with_the_number_of_their_programs() -> None:
    mirror = mirror_of(*PROCESSES)
    mirror.take({"type": "daemon", "groups": {"back": ["cron", "nginx"], "web-all": ["web"]}}, 0.0)
    found = suggestions("stop ", mirror, SIGNALS)[1]
    assert [each.text for each in found][-3:] == ["back", "web-all", "all"]
    assert {each.text: each.meta for each in found}["back"] == "group of 2"
    assert [each.text for each in suggestions("stop back w", mirror, SIGNALS)[1]] == [
        "web",
        "web:0",
        "web:1",
        "web-all",
    ]


def test_an_empty_line_offers_every_verb_with_its_description() -> None:
    assert metas("") == {each.name: HELP[each.name].summary for each in (*COMMANDS, *SHELL_COMMANDS)}
    assert all(metas("").values())


def test_the_beginning_of_a_verb_offers_those_that_begin_so() -> None:
    assert offered("st") == ["status", "start", "stop"]
    assert offered("  stat") == ["status"]


def test_other_words_for_verbs_are_offered_where_no_verb_begins_so() -> None:
    assert offered("ta") == ["tail"]
    assert offered("upd") == ["update"]
    assert offered("xyz") == []


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("start ", ["cron", "a@b+c.d-1", "web", "web:1", "nginx", "web:0", "all"]),
        ("stop ", ["nginx", "web", "web:0", "web:1", "a@b+c.d-1", "cron", "all"]),
        ("logs ", ["a@b+c.d-1", "web", "web:1", "nginx", "web:0", "cron", "all"]),
        ("show ", ["a@b+c.d-1", "web", "web:1", "nginx", "web:0", "cron", "all"]),
    ],
)
def test_names_come_in_the_order_in_which_the_verb_is_about_them(line: str, order: list[str]) -> None:
    assert offered(line) == order


def test_a_name_tells_the_state_and_why() -> None:
    found = metas("stop ")
    assert found["web:1"] == "backoff: exit 3; retry 1 of 3"
    assert found["nginx"] == "running"
    assert found["web"] == "1 of 2 running"


def test_signal_offers_signals_and_only_then_names_that_can_be_signalled_first() -> None:
    assert offered("signal ")[:3] == ["HUP", "TERM", "INT"]
    assert set(offered("signal ")) == set(SIGNALS)
    assert offered("signal h") == ["HUP"]
    assert offered("signal HUP ")[:3] == ["nginx", "web", "web:0"]
    assert "HUP" not in offered("signal HUP ")


def test_names_with_unusual_characters_complete() -> None:
    assert offered("start a@b") == ["a@b+c.d-1"]
    assert offered("start a@b+c.d") == ["a@b+c.d-1"]


def test_what_is_named_already_is_not_offered_again() -> None:
    assert "nginx" not in offered("stop nginx ")
    assert "all" not in offered("stop nginx ")


def test_flags_are_offered_after_a_dash_and_each_once() -> None:
    assert offered("stop --no") == ["--no-wait"]
    assert offered("stop --no-wait web --no") == []
    assert "--follow" in offered("logs -")
    assert "--follow" not in offered("logs -f -")
    assert "--json" in offered("--js")
    assert offered("reload ")[:2] == ["--no-wait", "--dry-run"]


def test_options_that_mean_nothing_in_a_shell_are_not_offered() -> None:
    found = {*offered("reload --"), *offered("--")}
    assert {"--json", "--timeout", "--dry-run"} <= found
    assert not found & {"--socket", "--config", "--exit-on-error", "--version"}


def test_where_a_flag_wants_its_value_no_name_is_offered() -> None:
    assert offered("logs -n ") == []
    assert offered("logs --lines ") == []
    assert offered("logs -n 5 ng") == ["nginx"]
    assert offered("--color ") == ["auto", "always", "never"]
    assert offered("events --event o") == ["operator", "oom"]
    assert offered("alert --event o") == ["operator", "oom"]
    assert offered("wait --for ") == ["up", "healthy", "done", "stopped", "settled"]
    assert offered("--timeout 5 stop ng") == ["nginx"]


def test_help_offers_verbs_and_notify_its_words() -> None:
    assert offered("help sto") == ["stop"]
    assert offered("help stop ") == []
    assert offered("notify ") == ["on", "off"]


def test_after_a_semicolon_a_verb_begins_anew() -> None:
    assert offered("stop web; sta") == ["status", "start"]
    assert offered("stop web;sta") == ["status", "start"]
    assert offered("stop web;") == [each.name for each in (*COMMANDS, *SHELL_COMMANDS)]


def test_after_an_unknown_verb_nothing_is_offered() -> None:
    assert offered("frobnicate ") == []
    assert offered("version ") == []


def test_many_instances_are_offered_only_after_the_colon() -> None:
    many = [process(f"web:{number}") for number in range(100)]
    assert offered("stop ", *many) == ["web", "all"]
    assert offered("stop web:9", *many) == ["web:9", *(f"web:{number}" for number in range(90, 100))]


def test_a_mirror_that_knows_nothing_offers_no_names() -> None:
    assert suggestions("stop ", Mirror(), SIGNALS) == ("", [])

"""Who may do what: what lets a client in, the level of each verb and flag, and what is refused before anything is done."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest

from taskmaster_common.commands.table import (
    ADMIN,
    COMMANDS,
    DAEMON_SIDE,
    LEVELS,
    LOOK,
    OPERATE,
    READ,
    TYPE,
    Request,
    access_of,
    acts,
    parse,
)
from taskmaster_common.config import Config, DaemonConfig
from taskmaster_common.errors import RequestError
from taskmasterd.configuration.current import Current
from taskmasterd.control.call import Call
from taskmasterd.control.rights import BY_ROLE, EVERYTHING, Judge, Sight
from taskmasterd.control.verbs.configure import reload
from taskmasterd.control.verbs.show import show
from taskmasterd.core.access import Roles, allowed
from taskmasterd.core.programs.table import Table
from taskmasterd.system.peers import Peer
from tests.support.daemon import ROOT

OWNER, GROUP = 1000, 50
VERBS = {
    LOOK: (
        "status",
        "show",
        "pid",
        "subscribe",
        "wait",
        "why",
        "events",
        "health",
        "deps",
        "version",
        "top",
        "metrics",
        "runs",
        "import",
        "export",
        "completion",
        "alert",
        "overrides",
        "simulate",
        "help",
    ),
    READ: ("logs",),
    OPERATE: ("check", "start", "stop", "restart", "disable", "enable", "scale", "signal"),
    TYPE: ("attach", "send"),
    ADMIN: ("reload", "upgrade", "shutdown"),
}
FLAGS = {("show", "--env"), ("logs", "--daemon"), ("logs", "--reopen")}
"""Those that need the level admin, whatever their verb needs."""


def judge(roles: dict[str, Any]) -> Judge:
    daemon = DaemonConfig(roles=roles)
    return Judge(Current(Config("", daemon, ()), daemon), Table())


@pytest.mark.parametrize(
    ("peer", "access"),
    [
        (Peer(0, 0, 1), EVERYTHING),
        (Peer(OWNER, 99, 1), EVERYTHING),
        (Peer(1234, GROUP, 1), EVERYTHING),
        (Peer(1234, 99, 1, (7, GROUP)), EVERYTHING),
        (Peer(1234, 99, 1, (7,)), ""),
        (Peer(33, 99, 1), BY_ROLE),
    ],
)
def test_root_the_owner_and_members_of_the_group_may_do_all_and_of_others_roles_decide(peer: Peer, access: str) -> None:
    assert judge({"r": {"level": LOOK, "users": {"www": 33}}}).admit(peer, OWNER, GROUP) == access


def test_without_a_group_and_roles_only_root_and_the_owner_are_let_in() -> None:
    assert judge({}).admit(Peer(1234, GROUP, 1, (GROUP,)), OWNER, None) == ""


def test_each_verb_has_the_level_that_is_written_here_and_a_new_one_has_to_be_added() -> None:
    assert {each.name: each.access for each in COMMANDS} == {
        name: level for level, names in VERBS.items() for name in names
    }


def test_each_action_of_a_verb_has_a_level_and_those_that_need_more_are_written_here() -> None:
    actions = {(each.name, word): level for each in COMMANDS for word, level in each.actions}
    assert {action for action, level in actions.items() if level != LOOK} == {("alert", "test"), ("alert", "flush")}
    assert [access_of(parse(f"alert {words}".split())) for words in ("", "list", "test a", "flush a")] == [
        *(LOOK, LOOK, ADMIN, ADMIN),
    ]
    assert [acts(parse(f"alert {words}".split())) for words in ("", "list", "test a")] == [False, False, True]


def test_each_flag_of_the_daemon_has_a_level_and_those_that_need_more_than_their_verb_are_written_here() -> None:
    flags = [(each, flag) for each in COMMANDS for flag in each.flags if flag.side == DAEMON_SIDE]
    assert {flag.access for _, flag in flags} <= set(LEVELS)
    assert {(each.name, flag.name) for each, flag in flags if flag.access != LOOK} == FLAGS
    assert {flag.access for _, flag in flags if flag.access != LOOK} == {ADMIN}


@pytest.mark.parametrize("level", LEVELS)
def test_a_verb_is_allowed_from_its_level_on_and_only_on_the_programs_of_the_role(level: str) -> None:
    roles = Roles({"r": {"level": level, "users": {"www": 33}, "programs": ["web*", "team"]}}, {"team": ("db",)})
    for verb in COMMANDS:
        wanted = LEVELS.index(verb.access) <= LEVELS.index(level)
        for program in ("web", "web-2", "db"):
            assert allowed(Peer(33, 1, 1), roles, verb.name, program) is wanted
            assert not allowed(Peer(34, 1, 1), roles, verb.name, program)
        assert not allowed(Peer(33, 1, 1), roles, verb.name, "mail")
        assert not allowed(Peer(33, 1, 1), roles, verb.name), "the daemon itself needs a role for all programs"


def test_the_highest_level_of_the_roles_that_cover_a_program_counts() -> None:
    roles = Roles(
        {
            "eye": {"level": LOOK, "groups": {"staff": 50, "gone": None}},
            "ci": {"level": OPERATE, "users": {"www": 33}, "programs": ["web"]},
            "old": {"level": READ, "members": [33], "programs": ["db"]},
        },
        {},
    )
    rights = roles.of(Peer(33, 7, 1, (50,)))
    found = {name: role.level for name in ("web", "db", "mail", "") if (role := rights.role(name))}
    assert found == {"web": OPERATE, "db": READ, "mail": LOOK, "": LOOK}
    assert not roles.of(Peer(34, 7, 1)).held


def test_an_unmapped_user_or_group_never_has_a_role() -> None:
    roles = Roles({"r": {"level": ADMIN, "users": {"x": 65_534}, "groups": {"y": 65_534}}}, {})
    assert not roles.of(Peer(65_534, 65_534, 1, (65_534,))).held


@pytest.mark.parametrize(
    ("line", "changes"),
    [("status", False), ("logs -f web", False), ("logs --reopen", True), ("stop web", True), ("show --env web", False)],
)
def test_what_changes_something_is_known_of_each_request(line: str, changes: bool) -> None:
    assert acts(parse(line.split())) is changes


@pytest.mark.parametrize(("verb", "line"), [(reload, "reload --dry-run --env"), (show, "show --env web")])
def test_values_of_env_are_for_those_who_may_see_them(verb: Any, line: str) -> None:
    stranger: Any = type("Stranger", (Call,), {"sees_values": False, "looked_at": lambda _self: iter(())})
    call = stranger(context=None, daemon=None, connection=None, request=parse(line.split()))
    with pytest.raises(RequestError) as caught:
        list(verb(call) or ())
    assert (caught.value.code, caught.value.exit_code) == ("permission", 4)


def test_words_of_a_request_have_its_level_again() -> None:
    request = Request("logs", {"daemon": True}, ())
    assert access_of(parse(request.words())) == ADMIN


def test_texts_that_name_what_does_not_exist_for_a_client_are_left_out_as_a_whole() -> None:
    roles = Roles({"r": {"level": LOOK, "users": {"www": 33}, "programs": ["web"]}}, {})
    table = cast("Table", {"db": (1,), "v1.": (1,), "web": (1,)})
    names = type("Names", (), {"slots": lambda _self, name: cast("Any", table).get(name, ())})()
    sight = Sight(Peer(33, 1, 1), roles.of(Peer(33, 1, 1)), names)
    for text in ("waits for db:1, and more", "(needs db)", "stops after v1.", 'see "db".', "because gone went down"):
        assert sight.text(text) == "it has to do with a program that you may not see"
    for text in ("exit 1 after 0.2s", "because web:0 went down", ""):
        assert sight.text(text) == text


def test_a_client_of_roles_learns_what_he_may_do_with_each_process_and_nobody_else_does() -> None:
    roles = Roles(
        {
            "eye": {"level": LOOK, "users": {"www": 33}},
            "ci": {"level": OPERATE, "users": {"www": 33}, "programs": ["web"]},
        },
        {},
    )
    sight = Sight(Peer(33, 1, 1), roles.of(Peer(33, 1, 1)), Table())
    assert [sight.process({"program": name})["may"] for name in ("web", "db")] == [OPERATE, LOOK]
    assert "may" not in Sight(Peer(0, 0, 1), None, Table()).process({"program": "web"})


def test_without_roles_none_of_their_code_is_loaded() -> None:
    code = (
        "import sys, taskmasterd.control.handlers, taskmasterd.control.access, taskmasterd.control.verbs.act\n"
        "print([name for name in sys.modules if name.endswith(('core.access', 'veil', 'audit'))])"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"

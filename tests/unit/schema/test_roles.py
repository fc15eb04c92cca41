"""`roles`: what they decode to, and the mistakes in them."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.paths import default_places
from taskmaster_common.schema import User, decode, effective_text
from tests.support.host import MAIN, ROOT, SIGNALS, WWW, host, load, problems

PROGRAMS = "programs: {web: {cmd: x, user: www}, db: {cmd: x, user: www}}\ngroups: {team: [db]}\n"
NOBODY = User(65_534, 65_534, "nobody")
USERS = {"root": ROOT, "www": WWW, "33": WWW, "nobody": NOBODY}
GROUPS = {"root": 0, "www": 33, "nogroup": 65_534}


def text(roles: str, keys: str = "") -> str:
    return f"taskmasterd: {{{keys}roles: {roles}}}\n{PROGRAMS}"


def refused(roles: str) -> list[str]:
    found = problems(text(roles), user=USERS.get, group=GROUPS.get)
    return [each.partition("taskmasterd.roles: ")[2] for each in found]


def warned(roles: str, keys: str = "", **changes: Any) -> list[str]:
    found = load(text(roles, keys), user=USERS.get, group=GROUPS.get, **changes).warnings
    return [each.partition(": warning: ")[2].splitlines()[0] for each in found]


def test_users_and_groups_become_numbers_and_the_effective_file_has_the_names() -> None:
    config = load(
        text(
            "{ci: {users: [www, 33], groups: www, level: operate, programs: ['w*', team]}, eye: {users: www, level: look}}"
        ),
        members=lambda _group: (1001,),
    ).config
    assert config.daemon.roles == {
        "ci": {
            "level": "operate",
            "users": {"www": 33, "33": 33},
            "groups": {"www": 33},
            "members": [1001],
            "programs": ["w*", "team"],
        },
        "eye": {"level": "look", "users": {"www": 33}},
    }
    again = effective_text(config, SIGNALS, default_places(0, {}))
    assert decode(MAIN, host({MAIN: again}, members=lambda _group: (1001,))).config.daemon == config.daemon


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ("{r: {users: [deploy], level: look}}", 'r: there is no user "deploy"'),
        ("{r: {users: [nobody], level: look}}", 'r: "nobody" is uid 65534, as which the kernel shows every user'),
        ("{r: {groups: [nogroup], level: look}}", 'r: "nogroup" is gid 65534, as which the kernel shows every group'),
        ("{r: {users: [www], level: admin, programs: [web]}}", "r: admin is about the daemon and all programs"),
        (
            "{r: {users: [www], level: lok}}",
            'r: "lok" is not one of look, read, operate, type, admin; did you mean look?',
        ),
        ("{r: {users: [www]}}", "r: level is missing: one of look, read, operate, type, admin"),
        ("{r: {level: look}}", "r: nobody has it; write users: [NAME] or groups: [NAME]"),
        ("{r: {user: [www], level: look}}", 'r: unknown key "user"; did you mean users?'),
        ("{r: {users: ['www, root'], level: look}}", 'r: "www, root" is not one name; write a list: [www, root]'),
        (
            "{r: {users: [www], level: look, programs: [wbe]}}",
            'r: there is no program or group "wbe"; did you mean web?',
        ),
        (
            "{r: {users: [www], level: look, programs: ['web:1']}}",
            'r: "web:1" is an instance; a role has whole programs',
        ),
        ("{r: look}", "r: expected a mapping such as {users: [NAME], level: look}, not a value"),
        ("{'a b': {users: [www], level: look}}", '"a b" cannot be a name'),
    ],
)
def test_a_mistake_is_named_with_what_to_write(roles: str, said: str) -> None:
    (found,) = refused(roles)
    assert found.startswith(said)


def test_at_a_start_an_unknown_user_is_no_reason_not_to_start() -> None:
    loaded = load(text("{r: {users: [deploy, www], level: look}}"), lenient_users=True)
    assert loaded.config.daemon.roles["r"]["users"] == {"www": 33}
    assert 'there is no user "deploy"' in loaded.warnings[0]
    with pytest.raises(ConfigError):
        load(text("{r: {users: [deploy, www], level: look}}"))


@pytest.mark.parametrize(
    ("roles", "keys", "said"),
    [
        ("{r: {users: [www], groups: [ops], level: look}}", "", 'r: there is no group "ops", so nobody is in it'),
        ("{r: {users: [www], level: look, programs: ['x*']}}", "", 'r: "x*" matches no program'),
        ("{r: {users: [www], level: look}}", "socket_mode: 0600, ", "keeps www of the role r from the socket"),
        (
            "{r: {groups: [www], level: look}}",
            "socket_mode: 0600, ",
            "keeps the group www of the role r from the socket",
        ),
    ],
)
def test_a_role_that_helps_nobody_is_warned_of(roles: str, keys: str, said: str) -> None:
    (found,) = warned(roles, keys)
    assert said in found


def test_a_mode_or_group_that_lets_the_users_in_is_fine() -> None:
    for keys in ("", "socket_mode: 0666, ", "socket_mode: 0660, socket_group: www, "):
        assert warned("{r: {users: [www], groups: [www], level: look}}", keys) == []


def test_a_directory_that_the_users_may_not_enter_is_warned_of() -> None:
    found = warned("{r: {users: [www], level: look}}", "socket: /home/x/s, ", may_enter=lambda _path, _user: False)
    assert "taskmasterd.socket: www of the role r may not enter /home/x" in found


def test_typing_into_a_program_of_root_s_is_warned_of() -> None:
    loaded = load("taskmasterd: {roles: {r: {users: [www], level: type, programs: [web]}}}\nprograms: {web: {cmd: x}}")
    assert "who types into web is as good as root, who runs it" in loaded.warnings[0]
    assert warned("{r: {users: [www], level: type}}") == []
    assert load("taskmasterd: {roles: {r: {users: [www], level: operate}}}\nprograms: {web: {cmd: x}}").warnings == ()

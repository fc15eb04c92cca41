"""The section `groups:`: members, patterns, groups of groups, and the mistakes in it."""

from __future__ import annotations

import pytest

from taskmaster_common.config import Config, DaemonConfig
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.values.groups import MOST_MATCHES, MOST_MEMBERS
from tests.support.host import load, problems

PROGRAMS = "programs: {web: {cmd: x}, worker-1: {cmd: x}, db: {cmd: x}, worker-2: {cmd: x}}\n"


def groups(text: str) -> dict[str, tuple[str, ...]]:
    return dict(load(PROGRAMS + text).config.groups)


def refused(text: str) -> list[str]:
    return [problem.partition(": error: ")[2] for problem in problems(PROGRAMS + text)]


@pytest.mark.parametrize(
    ("members", "meant"),
    [
        ("[db, web]", ("web", "db")),
        ("db", ("db",)),
        ("'worker-*'", ("worker-1", "worker-2")),
        ("[db, 'w*', web]", ("web", "worker-1", "db", "worker-2")),
        ("all", ("web", "worker-1", "db", "worker-2")),
        ("[inner, db]", ("worker-1", "db", "worker-2")),
        ("['${NO:-db}']", ("db",)),
        ("[]", ()),
    ],
)
def test_a_group_is_the_names_of_its_programs_in_the_order_of_the_file(members: str, meant: tuple[str, ...]) -> None:
    found = groups(f"groups: {{outer: {members}, inner: [core], core: ['worker-?']}}")
    assert found == {"outer": meant, "inner": ("worker-1", "worker-2"), "core": ("worker-1", "worker-2")}


def test_without_the_section_there_is_no_group() -> None:
    assert groups("") == groups("groups:\n") == groups("groups: {}") == {}


def test_an_included_file_has_groups_of_its_own_that_may_hold_programs_of_any_file() -> None:
    text = f"include: [a.yaml]\n{PROGRAMS}groups: {{one: [mail, two]}}"
    found = load(text, {"/etc/tm/a.yaml": "programs: {mail: {cmd: x}}\ngroups: {two: [web, mail]}"}).config.groups
    assert found == {"one": ("web", "mail"), "two": ("web", "mail")}


def test_a_group_of_that_name_in_another_file_is_shown() -> None:
    text = f"include: [a.yaml]\n{PROGRAMS}groups: {{one: [web]}}"
    assert problems(text, {"/etc/tm/a.yaml": "groups: {one: [db]}"}) == [
        "a.yaml:1:10: error: groups.one: a group of that name is in taskmaster.yaml, line 3"
    ]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[web]", "groups: expected a mapping of names to lists of programs, not a list"),
        (
            "{web: [db]}",
            "groups.web: a program of that name is in taskmaster.yaml, line 1; programs and groups",
        ),
        ("{'-a': [db]}", 'groups: "-a" cannot be a name: '),
        ("{all: [db]}", 'groups: "all" cannot be a name: '),
        ("{a: }", "groups.a: has no value; write a list of programs, [] for none"),
        ("{a: {programs: [web]}}", "groups.a: expected a list of programs, patterns and groups, not a mapping"),
        ("{a: [[web]]}", "groups.a: expected a list of programs, patterns and groups, not a list"),
        ("{a: 'web, db'}", 'groups.a: "web, db" is not one name; write a list: [web, db]'),
        ("{a: ['web:0']}", 'groups.a: "web:0" is an instance; a group has whole programs: write web'),
        ("{a: [wbe]}", 'groups.a: there is no program or group "wbe"; did you mean web?'),
        ("{back: [web], a: [bakc]}", 'groups.a: there is no program or group "bakc"; did you mean back?'),
        ("{a: ['${UNSET9}']}", "groups.a: the variable UNSET9 is not set"),
        ("{a: [a]}", "groups.a: the groups make a circle: a → a"),
        ("{o: [a], a: [web, b], b: [c], c: [a]}", "groups.a: the groups make a circle: a → b → c → a"),
    ],
)
def test_a_mistake_says_what_to_write(section: str, said: str) -> None:
    first, *more = refused(f"groups: {section}")
    assert first.startswith(said)
    assert more == []


def test_who_may_not_see_the_file_sees_what_is_wrong_but_no_value_of_it() -> None:
    with pytest.raises(ConfigError) as error:
        load(f"{PROGRAMS}groups: {{secret: [hunter2], a: [b], b: [a]}}")
    assert "hunter2" in error.value.problems[0]
    assert "hunter2" not in str(error.value.public)
    assert "groups: the groups make a circle: a → b → a" in error.value.public[1]


def test_a_group_without_programs_is_a_warning() -> None:
    loaded = load(f"{PROGRAMS}groups: {{none: [], few: ['x*'], some: [web]}}")
    assert [warning.splitlines()[0].partition(": warning: ")[2] for warning in loaded.warnings] == [
        "groups.none: the group has no program",
        'groups.few: "x*" matches no program',
    ]
    assert loaded.config.groups == {"none": (), "few": (), "some": ("web",)}


@pytest.mark.parametrize("word", ["group", "'group:web'", "'[group:web]'"])
def test_the_section_of_supervisor_is_led_to_ours(word: str) -> None:
    assert "a group is written groups: {NAME: [PROGRAM, ...]} here" in refused(f"{word}: {{programs: 'web,db'}}")[0]


@pytest.mark.sweep
def test_the_work_and_the_members_are_bounded() -> None:
    programs = "programs:\n" + "".join(f"  p{number}: {{cmd: x}}\n" for number in range(2000))
    patterns = ", ".join(f"'{number}*'" for number in range(MOST_MATCHES // 2000 + 1))
    assert "take too long" in problems(f"{programs}groups: {{a: [{patterns}]}}")[0]
    many = "".join(f"  g{number}: all\n" for number in range(MOST_MEMBERS // 2000 + 1))
    assert f"more than {MOST_MEMBERS} programs in all" in problems(f"{programs}groups:\n{many}")[0]


def test_groups_are_part_of_the_data_where_there_are_some() -> None:
    config = load(f"{PROGRAMS}groups: {{a: [web, db]}}").config
    assert config.to_data()["groups"] == {"a": ["web", "db"]}
    assert Config.from_data(config.to_data()) == config
    plain = Config("/c.yaml", DaemonConfig(), ()).to_data()
    assert "groups" not in plain  # as earlier versions wrote it
    assert Config.from_data(plain).groups == {}

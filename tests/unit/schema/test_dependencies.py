"""`depends_on`: its forms, the mistakes in it, and what must hold between programs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.forms import NAME
from scripts.schema import schema
from taskmaster_common.config import Config
from taskmaster_common.config.graph import CONDITIONS, HEALTHY, Edge, edge_of
from taskmaster_common.errors import ConfigError
from taskmaster_common.paths import default_places
from taskmaster_common.schema import decode, effective_text
from taskmaster_common.schema.checks.dependencies import MOST_EDGES
from tests.support.host import MAIN, SIGNALS, host, load, problems

OTHERS = "db: {cmd: x, numprocs: 3}, cache: {cmd: x}, mail: {cmd: x}"


def file(depends_on: str, more: str = "") -> str:
    return f"programs: {{web: {{cmd: run, depends_on: {depends_on}}}, {OTHERS}}}\n{more}"


def edges(depends_on: str, more: str = "") -> tuple[str, ...]:
    found = load(file(depends_on, more)).config.program("web")
    assert found is not None
    return found.policy.depends_on


def refused(depends_on: str, more: str = "") -> list[str]:
    return [problem.partition(": error: ")[2] for problem in problems(file(depends_on, more))]


# -- forms


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("db", ("db",)),
        ("[]", ()),
        ("[mail, db]", ("mail", "db")),
        ("'db:1'", ("db:1",)),
        ("['db:1', 'db:2', db]", ("db:1", "db:2", "db")),
        ("{}", ()),
        ("{db: started, mail: ready}", ("db started", "mail ready")),
        ("{db: {}}", ("db",)),
        ("{db: {required: no}, mail: {restart: yes}}", ("db optional", "mail restart")),
        ("{db: {condition: started, required: true, restart: false}}", ("db started",)),
        ("{mail: {condition: ready, restart: true}}", ("mail ready restart",)),
        ("'${NO:-db}'", ("db",)),
        ("{'${NO:-db}': '${NO:-started}'}", ("db started",)),
    ],
)
def test_each_form_is_read_in_the_order_written(written: str, meant: tuple[str, ...]) -> None:
    assert edges(written) == meant


def test_the_name_may_be_a_group() -> None:
    assert edges("[back, mail]", "groups: {back: [db, cache]}") == ("back", "mail")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "has no value; write one, or remove the line"),
        ("'db, mail'", '"db, mail" is not one name; write a list: [db, mail]'),
        ("[db, db]", "db is named twice"),
        ("{db: started, '${NO:-db}': ready}", "db is named twice"),
        ("[{db: started}]", "expected a value, not a mapping"),
        ("'w*'", '"w*" is a pattern, and depends_on has names'),
        ("all", '"all" is a pattern'),
        ("'db:'", '"db:" cannot be an instance: write its number, such as db:0'),
        ("'db:01'", '"db:01" cannot be an instance: write its number, such as db:1'),
        ("'db:db_1'", '"db:db_1" cannot be an instance: write its number, such as db:1'),
        ("'-db'", '"-db" cannot be a name: '),
        ("'db-${TASKMASTER_INSTANCE}'", "${TASKMASTER_INSTANCE} cannot be used here"),
        (
            "{db: }",
            "has no condition; write started or ready or healthy or done or ended, or the names alone as a list",
        ),
        ("{db: strated}", '"strated" is not one of started, ready, healthy, done, ended; did you mean started?'),
        ("{db: [started]}", "expected a value, not a list"),
        ("{db: {requierd: false}}", 'unknown key "requierd"; did you mean required?'),
        ("{db: {timeout: 5}}", 'unknown key "timeout"; the keys are condition, required, restart'),
        ("{db: {required: maybe}}", 'required: "maybe" is not one of true'),
        ("{db: {required: false, restart: true}}", "restart: true says that it cannot do without"),
        ("{db: {condition: service_started}}", "condition: service_started is called started here"),
        ("{db: {condition: service_healthy}}", "condition: service_healthy is called ready here"),
        ("{db: process_healthy}", "process_healthy is called ready here"),
        ("{db: process_log_ready}", "process_log_ready is called ready here"),
    ],
)
def test_a_mistake_says_what_to_write(written: str, said: str) -> None:
    first, *more = refused(written)
    assert first.startswith(f"programs.web.depends_on: {said}")
    assert more == []


def test_every_mistake_in_a_map_is_reported_where_it_is() -> None:
    text = file("{'a b': started, db: {condition: x, required: y}, mail: {z: 1}}")
    assert [problem.split(": ")[0] for problem in problems(text)] == [
        f"taskmaster.yaml:1:{text.index(part) + 1}" for part in ("'a b'", "x, req", "y}", "z: 1")
    ]


def test_defaults_cannot_hold_it() -> None:
    found = problems(f"defaults: {{depends_on: db}}\nprograms: {{{OTHERS}}}")
    assert found == [
        (
            "taskmaster.yaml:1:12: error: defaults.depends_on: depends_on cannot be a default of all programs; "
            "write it at each program that it is for"
        )
    ]


# -- between programs


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("cahce", 'there is no program or group "cahce"; did you mean cache?'),
        ("bakc", 'there is no program or group "bakc"; did you mean back?'),
        ("zzzzzz", 'there is no program or group "zzzzzz"'),
        ("'dd:1'", 'there is no program or group "dd:1"; did you mean db?'),
        ("'db:3'", "there is no db:3; db has db:0, db:1, db:2"),
        ("'back:1'", "back is a group, whose programs have no numbers; write back"),
        ("web", "it depends on itself"),
        ("'web:0'", "it depends on itself"),
        ("front", "web is itself in the group front"),
    ],
)
def test_an_edge_leads_to_another_program(written: str, said: str) -> None:
    assert refused(written, "groups: {back: [db, cache], front: [web, db]}") == [f"programs.web.depends_on: {said}"]


def test_an_unknown_name_that_is_not_required_is_a_warning() -> None:
    loaded = load(file("{cahce: {required: false}}"))
    assert len(loaded.warnings) == 1
    assert 'there is no program or group "cahce"; did you mean cache?' in loaded.warnings[0]


def test_a_program_that_cannot_be_decoded_is_not_unknown() -> None:
    assert problems("programs: {web: {cmd: run, depends_on: db}, db: {}}") == [
        "taskmaster.yaml:1:45: error: programs.db: cmd is missing: the command line to run"
    ]


def test_a_circle_shows_its_path_and_each_edge() -> None:
    text = (
        "programs:\n"
        "  web: {cmd: x, depends_on: [api]}\n"
        "  api: {cmd: x, depends_on: {back: started}}\n"
        "  db:\n    cmd: x\n    depends_on:\n    - cache\n    - web\n"
        "  cache: {cmd: x}\n"
        "groups: {back: [cache, db]}\n"
    )
    with pytest.raises(ConfigError) as error:
        load(text)
    assert error.value.problems == (
        (
            f"{MAIN}:2:30: error: programs.web.depends_on: a circle: web → api → db → web\n"
            "    2 |   web: {cmd: x, depends_on: [api]}\n"
            f"        {MAIN}:2: web depends on api\n"
            f"        {MAIN}:3: api depends on db (back)\n"
            f"        {MAIN}:8: db depends on web"
        ),
    )


def test_a_circle_of_thousands_is_shown_in_part() -> None:
    names = [f"p{number}" for number in range(2000)]
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    text = "programs:\n" + "".join(f"  {name}: {{cmd: x, depends_on: {other}}}\n" for name, other in pairs)
    with pytest.raises(ConfigError) as error:
        load(text)
    (problem,) = error.value.problems
    assert "p0 → p1 → " in problem
    assert "1991 more → p0" in problem
    assert "and 1990 more" in problem
    assert len(problem) < 2000


def test_what_starts_in_spite_of_autostart_is_a_warning() -> None:
    def warned(web: str, db: str = "autostart: false") -> list[str]:
        return list(load(f"programs:\n  web: {{cmd: x, {web}}}\n  db: {{cmd: x, {db}}}\n").warnings)

    (warning,) = warned("depends_on: db")
    assert '"db" is started with web, although autostart is false' in warning
    assert warned("depends_on: db", "autostart: true") == []
    assert warned("depends_on: db, autostart: false") == []
    assert warned("depends_on: {db: {required: false}}") == []


def test_a_chain_of_stops_that_takes_too_long_is_a_warning_with_its_path() -> None:
    def warned(limit: int, stoptime: int = 25) -> list[str]:
        return list(
            load(
                f"taskmasterd: {{shutdown_timeout: {limit}}}\ndefaults: {{stoptime: {stoptime}}}\nprograms:\n"
                "  web: {cmd: x, depends_on: [db, api]}\n  api: {cmd: x, depends_on: db}\n  db: {cmd: x}\n"
            ).warnings
        )

    (warning,) = warned(60)
    assert (
        "web → api → db stop one after the other, which may take 75s, but at shutdown everything is killed" in warning
    )
    assert "after 60s (taskmasterd.shutdown_timeout)" in warning
    assert warned(75) == []
    assert not any("one after the other" in each for each in warned(20))  # each program is warned about


@pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.sweep)])
def test_thousands_of_programs_in_a_row_are_checked_in_bounded_time(count: int) -> None:
    row = "".join(
        f"  p{number}: {{cmd: x, depends_on: [p{number - 1}, p{number // 2}]}}\n" for number in range(3, count)
    )
    first = "".join(f"  p{number}: {{cmd: x}}\n" for number in range(3))
    text = f"taskmasterd: {{shutdown_timeout: 100}}\ndefaults: {{stoptime: 1}}\nprograms:\n{first}{row}"
    began = time.process_time()
    (warning,) = load(text).warnings
    assert time.process_time() - began < 20, "one step for each pair of programs would take minutes"
    way = " → ".join(f"p{number}" for number in range(count - 1, count - 10, -1))
    assert f"{way} → {count - 12} more → p" in warning


def test_edges_are_bounded_as_a_whole() -> None:
    count = 1 + int((2 * MOST_EDGES) ** 0.5)
    upper = "".join(f"  u{number}: {{cmd: x, depends_on: low}}\n" for number in range(count))
    lower = "".join(f"  l{number}: {{cmd: x}}\n" for number in range(count))
    (problem,) = problems(f"programs:\n{upper}{lower}groups: {{low: ['l*']}}\n")
    assert f"more than {MOST_EDGES}" in problem


# -- other documents


EDGES = st.lists(
    st.builds(
        Edge,
        st.sampled_from(["db", "db:1", "back", "cache", "null", "1st", "@x", "yes", "+1"]),
        st.sampled_from(["", *(each for each in CONDITIONS if each != HEALTHY)]),
        st.booleans(),
        st.booleans(),
    ).filter(lambda edge: edge.required or not edge.restart),
    unique_by=lambda edge: edge.name,
)


@given(EDGES)
def test_any_edges_survive_as_text_and_in_the_effective_configuration(found: list[Edge]) -> None:
    assert [edge_of(edge.text()) for edge in found] == found
    base = load(
        f"programs: {{web: {{cmd: run}}, {OTHERS}, 'null': {{cmd: x}}, 1st: {{cmd: x}}, '@x': {{cmd: x}}, "
        "'yes': {cmd: x}, '+1': {cmd: x}}\ngroups: {back: [mail, cache, db], empty: []}"
    ).config
    web = base.programs[0].with_keys(depends_on=tuple(edge.text() for edge in found))
    config = base.replace(programs=(web, *base.programs[1:]))
    text = effective_text(config, SIGNALS, default_places(0, {}))
    again = decode(MAIN, host({MAIN: text})).config
    assert (again.programs, again.groups) == (config.programs, config.groups)
    assert Config.from_data(config.to_data()) == config


def test_the_effective_configuration_says_what_groups_stand_for() -> None:
    text = effective_text(
        load(file("[back, mail]", "groups: {back: [cache, db]}")).config, SIGNALS, default_places(0, {})
    )
    lines = text.splitlines()
    assert "    depends_on: [back, mail]" in lines
    assert "    # which depends on: db, cache, mail" in lines
    assert '  "back": ["db", "cache"]' in lines
    plain = effective_text(load(file("[db, mail]")).config, SIGNALS, default_places(0, {}))
    assert "which depends on" not in plain
    assert "groups:" not in plain


def test_the_schema_for_editors_has_the_conditions_and_groups() -> None:
    found = schema()
    assert found["properties"]["groups"]["propertyNames"] == {"pattern": NAME}
    refused_in_defaults = found["properties"]["defaults"]
    assert "depends_on" in str(refused_in_defaults)

"""The section `templates:` and the key `extends`: strength, order, files, and the mistakes in it."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.templates import MOST_KEYS
from tests.support.host import load, problems

BASE = """
defaults: {cmd: from-defaults, stoptime: 1, starttime: 1, startretries: 1, env: {A: defaults, B: defaults, C: defaults, D: defaults}}
templates:
  low: {stoptime: 2, starttime: 2, env: {B: low, C: low, D: low}}
  high: {extends: low, starttime: 3, env: {C: high, D: high}}
programs:
  web: {extends: high, env: {D: web, A: null}}
"""


def value(text: str, key: str, others: dict[str, str] | None = None) -> object:
    found = load(text, others).config.program("web")
    assert found is not None
    return found.value(key)


def refused(text: str, others: dict[str, str] | None = None) -> list[str]:
    return [problem.partition(": error: ")[2] for problem in problems(text, others)]


def test_a_template_is_stronger_than_the_defaults_and_weaker_than_what_extends_it() -> None:
    assert [value(BASE, key) for key in ("startretries", "stoptime", "starttime")] == [1, 2.0, 3.0]
    assert value(BASE, "cmd") == ("from-defaults",)
    assert value(BASE, "env") == {"A": None, "B": "low", "C": "high", "D": "web"}


@pytest.mark.parametrize(("extends", "stoptime"), [("a", 1.0), ("[a, b]", 2.0), ("[b, a]", 1.0), ("[]", 10.0)])
def test_a_later_template_of_a_list_is_stronger(extends: str, stoptime: float) -> None:
    text = f"templates: {{a: {{stoptime: 1}}, b: {{stoptime: 2}}}}\nprograms: {{web: {{cmd: x, extends: {extends}}}}}"
    assert value(text, "stoptime") == stoptime


def test_what_two_templates_share_is_weaker_than_both() -> None:
    text = """
templates:
  base: {stoptime: 1, starttime: 1}
  a: {extends: base, stoptime: 2}
  b: {extends: base, starttime: 2}
programs: {web: {cmd: x, extends: [a, b]}}
"""
    assert (value(text, "stoptime"), value(text, "starttime")) == (2.0, 2.0)


def test_a_template_of_any_file_is_there_for_programs_and_templates_of_all_files() -> None:
    text = "include: [a.yaml]\ntemplates: {low: {stoptime: 2}}\nprograms: {web: {cmd: x, extends: high}}"
    assert value(text, "stoptime", {"/etc/tm/a.yaml": "templates: {high: {extends: low}}"}) == 2.0
    own = "include: [a.yaml]\ntemplates: {low: {stoptime: 2}}\nprograms: {}"
    assert value(own, "stoptime", {"/etc/tm/a.yaml": "programs: {web: {cmd: x, extends: low}}"}) == 2.0


def test_a_template_has_variables_of_the_program_and_all_keys() -> None:
    text = """
templates: {full: {cmd: 'run ${TASKMASTER_PROGRAM}', essential: true, depends_on: db}}
programs: {web: {extends: full}, db: {cmd: x}}
"""
    assert value(text, "cmd") == ("run", "web")
    assert (value(text, "essential"), value(text, "depends_on")) == (True, ("db",))


ONESHOT = "type: oneshot, starttime: 2, startretries: 1, start_timeout: 9"
READY = "ready: {tcp: 1}, starttime: 2, start_timeout: 9"
TERMINAL = "tty: true, log_format: raw"


@pytest.mark.parametrize("keys", [ONESHOT, READY, TERMINAL, "stoptime: 9, env: {A: 1}, numprocs: 2"])
def test_keys_that_move_into_a_template_change_nothing(keys: str) -> None:
    defaults = "defaults: {starttime: 5, startretries: 5, start_timeout: 50}\n"
    before = load(f"{defaults}programs: {{web: {{cmd: x, {keys}}}}}").config
    after = load(f"{defaults}templates: {{full: {{{keys}}}}}\nprograms: {{web: {{cmd: x, extends: full}}}}").config
    assert after.programs == before.programs


WEB = "web: {cmd: x}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templates: [a]", "templates: expected a mapping of names to keys of programs, not a list"),
        ("templates: {a: }", "templates.a: expected a mapping of program keys, without anything below it"),
        ("templates: {a: 5}", "templates.a: expected a mapping of program keys, not a value"),
        ("templates: {-a: {}}", 'templates: "-a" cannot be a name: '),
        ("templates: {a: {stoptiem: 3}}", "templates.a.stoptiem: unknown key; did you mean stoptime?"),
        ("templates: {a: {stoptime: x}}", 'templates.a.stoptime: "x" is not a duration'),
        ("templates: {a: {extends: b}}", 'templates.a.extends: there is no template "b"'),
        (
            "templates: {a: {extends: web}}",
            "templates.a.extends: web is a program, and only templates can be extended; ",
        ),
        ("templates: {a: {extends: a}}", "templates.a.extends: the templates make a circle: a → a"),
        (
            "templates: {o: {extends: a}, a: {extends: [b]}, b: {extends: c}, c: {extends: a}}",
            "templates.a.extends: the templates make a circle: a → b → c → a",
        ),
        ("defaults: {extends: a}", "defaults.extends: extends cannot be a default of all programs; "),
        ("programs: {b: {cmd: x, extends: web}}", "programs.b.extends: web is a program, and only "),
        ("programs: {b: {cmd: x, extends: a b}}", 'programs.b.extends: "a b" is not one name; write a list: [a, b]'),
        ("programs: {b: {cmd: x, extends: {a: 1}}}", "programs.b.extends: expected the name of a template, or a list"),
        ("programs: {b: {cmd: x, extends: }}", "programs.b.extends: has no value; write one, or remove the line"),
        ("programs: {b: {cmd: x, template: a}}", "programs.b.template: unknown key; template is called extends here"),
    ],
)
def test_a_mistake_says_what_to_write(text: str, said: str) -> None:
    found = refused(
        text.replace("programs: {", f"programs: {{{WEB}, ") if "programs:" in text else f"{text}\nprograms: {{{WEB}}}"
    )
    assert [problem[: len(said)] for problem in found] == [said]


def test_a_mistake_in_a_template_is_one_mistake_at_its_place() -> None:
    text = "templates:\n  a: {stoptime: x}\nprograms: {web: {cmd: x, extends: a}, api: {cmd: x, extends: a}}"
    assert problems(text) == [
        'taskmaster.yaml:2:17: error: templates.a.stoptime: "x" is not a duration such as 5, 0.5, 500ms or 1m30s'
    ]


def test_a_template_of_that_name_in_another_file_is_shown() -> None:
    text = "include: [a.yaml]\ntemplates: {one: {}}\nprograms: {web: {cmd: x}}"
    assert problems(text, {"/etc/tm/a.yaml": "templates: {one: {}}"}) == [
        "a.yaml:1:13: error: templates.one: a template of that name is in taskmaster.yaml, line 2"
    ]


def chain(count: int) -> str:
    links = "".join(f"  t{number}: {{extends: t{number - 1}}}\n" for number in range(2, count + 1))
    return f"templates:\n  t1: {{stoptime: 4}}\n{links}programs: {{web: {{cmd: x, extends: t{count}}}}}"


def test_a_chain_of_eight_templates_is_the_longest() -> None:
    assert value(chain(8), "stoptime") == 4.0
    assert refused(chain(9)) == [
        "templates.t9.extends: is the last of 9 templates that extend each other; at most 8 may"
    ]
    assert len(refused(chain(5000))) == 1


@pytest.mark.sweep
@pytest.mark.parametrize("who", ["programs", "templates"])
def test_too_many_keys_from_templates_are_one_error(who: str) -> None:
    names = [f"t{number}" for number in range(2000)]
    bases = "".join(f"  {name}: {{}}\n" for name in names) + f"  every: {{extends: [{', '.join(names)}]}}\n"
    said = f"the programs take more than {MOST_KEYS} keys from templates"
    if who == "templates":
        outer = "".join(f"  outer{number}: {{extends: every}}\n" for number in range(1100))
        assert refused(f"templates:\n{bases}{outer}programs: {{}}") == [f"templates.outer998.extends: {said}"]
    else:
        programs = "".join(f"  p{number}: {{cmd: x, extends: every}}\n" for number in range(1100))
        assert refused(f"templates:\n{bases}programs:\n{programs}") == [f"programs.p998.extends: {said}"]


def test_a_value_of_env_in_a_template_is_hidden_from_who_may_not_see_it() -> None:
    with pytest.raises(ConfigError) as error:
        load("templates: {a: {env: {PASS: '${UNSET9} hunter2'}}}\nprograms: {web: {cmd: x, extends: a}}")
    assert "UNSET9" in error.value.problems[0]
    assert "UNSET9" not in error.value.public[0]
    assert "templates.a.env" in error.value.public[0]

"""`essential` and `exit_when` as they are written, and what is said about an end that never comes."""

from __future__ import annotations

import pytest

from tests.support.host import load, problems, program, program_problems


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("Yes", True), ("false", False), ("off", False), ("on-failure", "on-failure")],
)
def test_essential_is_a_boolean_or_on_failure(text: str, value: bool | str) -> None:
    assert program(f"essential: {text}").essential == value


def test_another_word_is_refused() -> None:
    (found,) = program_problems("essential: onfailure")
    place, reason = found.split(": error: ")
    assert place == "4:16"
    assert reason.startswith('programs.web.essential: "onfailure" is not one of true, false, on-failure')
    assert reason.endswith("did you mean on-failure?")
    (found,) = problems("taskmasterd: {exit_when: done}\nprograms: {}")
    assert 'taskmasterd.exit_when: "done" is not one of never, all-done' in found


def test_essential_is_no_default_of_all_programs() -> None:
    reason = "essential cannot be a default of all programs; write it at each program that it is for"
    assert problems("defaults: {essential: true}\nprograms: {a: {cmd: x}}") == [
        f"taskmaster.yaml:1:12: error: defaults.essential: {reason}"
    ]
    included = {"/etc/tm/more.yaml": "defaults: {essential: false}\nprograms: {b: {cmd: x}}"}
    (found,) = problems("include: more.yaml\nprograms: {a: {cmd: x}}", included)
    assert found.endswith(f"defaults.essential: {reason}")


def test_a_program_that_is_always_restarted_cannot_be_waited_for() -> None:
    (found,) = program_problems("essential: true\nautorestart: always")
    assert found.startswith(
        "4:16: error: programs.web.essential: a program with autorestart: always never ends for good"
    )
    assert program("essential: on-failure\nautorestart: always").essential == "on-failure"
    assert program("essential: true\nautorestart: never").essential is True


@pytest.mark.parametrize(
    ("programs", "count"),
    [
        ("{a: {cmd: x, autorestart: always}, b: {cmd: x, autorestart: true}}", 1),
        ("{a: {cmd: x, autorestart: always}, b: {cmd: x}}", 0),
        ("{a: {cmd: x, autorestart: never}}", 0),
        ("{}", 0),
    ],
)
def test_a_daemon_whose_programs_never_end_does_not_end_with_them(programs: str, count: int) -> None:
    found = load(f"taskmasterd: {{exit_when: all-done}}\nprograms: {programs}").warnings
    assert len(found) == count
    assert all("1:26: warning: taskmasterd.exit_when: no program ever ends" in each for each in found)
    assert load(f"taskmasterd: {{exit_when: never}}\nprograms: {programs}").warnings == ()

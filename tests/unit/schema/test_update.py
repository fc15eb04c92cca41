"""`update`: how it is written, what is refused, what is doubtful, and that the effective configuration says the same."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load, problems, program

DEFAULTS = {"max_unavailable": 1, "pause": 0.0, "monitor": 5.0, "on_failure": "stop"}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{}", DEFAULTS),
        ("{max_unavailable: 2, pause: 1m}", {**DEFAULTS, "max_unavailable": 2, "pause": 60.0}),
        ("{monitor: 0.5, on_failure: rollback}", {**DEFAULTS, "monitor": 0.5, "on_failure": "rollback"}),
    ],
)
def test_it_is_decoded_whole_and_the_effective_configuration_decodes_to_the_same(
    written: str, value: dict[str, object]
) -> None:
    assert program(f"update: {written}").update == value
    loaded = load(f"programs: {{web: {{cmd: run, numprocs: 3, update: {written}}}}}")
    text = effective_text(loaded.config, SIGNALS, host({}).places)
    assert load(text).config.programs[0].update == value, text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1", "expected a mapping"),
        ("{max_unavailable: 0}", '"0" is not between 1 and 10000'),
        ("{max_unavailable: all}", '"all" is not between'),
        ("{monitor: soon}", "monitor"),
        ("{on_failure: roll-back}", "did you mean rollback?"),
        ("{max_unavailible: 1}", "did you mean max_unavailable?"),
        ("{surge: 1}", "it has max_unavailable, pause, monitor, on_failure"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, update: {written}}}}}")
    assert said in "\n".join(error.value.problems)


def test_a_job_has_no_update_but_may_stand_below_defaults_that_have_one() -> None:
    found = problems("programs: {job: {cmd: run, type: oneshot, update: {}}}")
    assert "a oneshot is never up but done; remove update" in "\n".join(found)
    loaded = load("defaults: {update: {}}\nprograms: {job: {cmd: run, type: oneshot}, web: {cmd: run}}")
    assert [bool(each.update) for each in loaded.config.programs] == [False, True]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("numprocs: 2, ready: {tcp: 80}, update: {max_unavailable: 2}", "allows all 2 instances to be down at once"),
        ("numprocs: 2, update: {}", "RUNNING after starttime is all that is checked"),
        ("ready: {tcp: 80}, update: {}", ""),
    ],
)
def test_a_doubtful_update_is_a_warning(written: str, said: str) -> None:
    found = load(f"programs: {{web: {{cmd: run, {written}}}}}").warnings
    assert [said] == [part for text in found for part in [said] if part and part in text] or (not said and not found)

"""`recycle`: how it is written, what is refused, what is doubtful, and that the effective configuration says the same."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load, problems, program, program_problems

DEFAULTS = {"interval": 15.0, "samples": 2, "jitter": 0.0}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{memory: 400MB}", {**DEFAULTS, "memory": 400_000_000}),
        ("{age: 12h, jitter: 10m}", {**DEFAULTS, "age": 43_200.0, "jitter": 600.0}),
        (
            "{cron: ['0  4 * * 0', '@daily'], timezone: UTC}",
            {"cron": ["0 4 * * 0", "@daily"], "timezone": "UTC", **DEFAULTS},
        ),
        ("{cron: 30 2 * * *}", {"cron": ["30 2 * * *"], **DEFAULTS}),
        (
            "{memory: 1GiB, age: 1d, interval: 30, samples: 4}",
            {**DEFAULTS, "memory": 2**30, "age": 86_400.0, "interval": 30.0, "samples": 4},
        ),
    ],
)
def test_it_is_decoded_whole_and_the_effective_configuration_decodes_to_the_same(
    written: str, value: dict[str, object]
) -> None:
    assert program(f"recycle: {written}").recycle == value
    text = effective_text(load(f"programs: {{web: {{cmd: run, recycle: {written}}}}}").config, SIGNALS, host({}).places)
    assert load(text).config.programs[0].recycle == value, text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("400MB", "expected a mapping"),
        ("{}", "says not when; write memory, age or cron"),
        ("{jitter: 1}", "says not when; write memory, age or cron"),
        ("{memory: 0}", "no program needs no memory"),
        ("{memory: 400M}", "could mean two sizes"),
        ("{age: 0.5}", '"0.5" is less than 1s'),
        ("{age: 1h, jitter: 1h}", "jitter is not less than age (1h)"),
        ("{memory: 1MB, interval: 500ms}", '"500ms" is less than 1s'),
        ("{memory: 1MB, samples: 0}", '"0" is not between 1 and 100'),
        ("{max_memory_restart: 1MB}", "did you mean memory?"),
        ("{ages: 1h}", "did you mean age?"),
        ("{cron: 0 0 4 * * 0}", "every"),
        ("{cron: 61 * * * *}", "61"),
        ("{age: 1h, timezone: UTC}", "timezone is that of cron"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, recycle: {written}}}}}")
    assert said in "\n".join(error.value.problems)


def test_a_job_has_no_recycle_but_may_stand_below_defaults_that_have_one() -> None:
    found = problems("programs: {job: {cmd: run, type: oneshot, recycle: {age: 1h}}}")
    assert "a oneshot ends by itself, and is not restarted; remove recycle" in "\n".join(found)
    loaded = load("defaults: {recycle: {age: 1h}}\nprograms: {job: {cmd: run, type: oneshot}, web: {cmd: run}}")
    assert [bool(each.recycle) for each in loaded.config.programs] == [False, True]


def test_looks_that_come_too_seldom_and_a_system_that_says_nothing_of_memory_are_warnings() -> None:
    seldom = "programs: {web: {cmd: run, recycle: {memory: 1GB, interval: 61}}}"
    assert "a look every 61s does not catch a fast leak" in "\n".join(load(seldom).warnings)
    assert not load(seldom.replace("61", "60")).warnings
    elsewhere = load("programs: {web: {cmd: run, recycle: {memory: 1GB, age: 1h}}}", sees_memory=False)
    assert "memory is without effect" in "\n".join(elsewhere.warnings)
    assert not load("programs: {web: {cmd: run, recycle: {age: 1h}}}", sees_memory=False).warnings


def test_the_word_of_pm2_leads_to_ours() -> None:
    found = problems("programs: {web: {cmd: run, max_memory_restart: 1G}}")
    assert "recycle: {memory: SIZE}" in "\n".join(found)


def test_a_zone_that_this_host_does_not_know_is_an_error() -> None:
    text = "programs: {web: {cmd: run, recycle: {cron: '@daily', timezone: Nowhere/Land}}}"
    assert 'timezone "Nowhere/Land" cannot be looked up' in "\n".join(problems(text))
    found = problems(text, {"/usr/share/zoneinfo/Europe/London": b"TZif2"})
    assert 'timezone "Nowhere/Land" is no such time zone' in "\n".join(found)
    assert load(text, {"/usr/share/zoneinfo/Nowhere/Land": b"TZif2"}).config


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("200MB", "{memory: 200MB}"),
        ("1d", "{age: 1d}"),
        ("'0 3 * * *'", "{cron: '0 3 * * *'}"),
        ("5", "{memory: 400MB}"),
    ],
)
def test_a_limit_alone_is_led_to_the_map(written: str, meant: str) -> None:
    (found,) = program_problems(f"recycle: {written}")
    assert found.endswith(f"recycle: expected a mapping, not a value; write recycle: {meant}")

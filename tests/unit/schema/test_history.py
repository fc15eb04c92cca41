"""`taskmasterd.history`: how it is written, what is refused, and that the effective configuration says the same."""

from __future__ import annotations

import pytest

from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load, problems

DEFAULT = {"size": 16_000_000, "age": 7_776_000.0}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{}", DEFAULT),
        ("{size: 64KB}", {**DEFAULT, "size": 64_000}),
        ("{size: 1GiB, age: 1h}", {"size": 2**30, "age": 3600.0}),
        ("{age: 0}", {**DEFAULT, "age": 0.0}),
        ("0", {**DEFAULT, "size": 0}),
        ("{size: 0}", {**DEFAULT, "size": 0}),
    ],
)
def test_it_is_decoded_whole_and_the_effective_configuration_decodes_to_the_same(
    written: str, value: dict[str, object]
) -> None:
    loaded = load(f"{{taskmasterd: {{history: {written}}}, programs: {{web: {{cmd: run}}}}}}")
    assert loaded.config.daemon.history == value
    text = effective_text(loaded.config, SIGNALS, host({}).places)
    assert load(text).config.daemon.history == value, text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("16MB", "expected a map of size and age, or 0 for no history"),
        ("[1]", "expected a mapping"),
        ("{size: 63KB}", "is less than 64KB; write that or more, or 0 for no history"),
        ("{size: much}", '"much" is not a size'),
        ("{age: 59m}", "is less than an hour; write that or more, or 0 for no limit"),
        ("{sise: 1MB}", "did you mean size?"),
        ("{rotate: 3}", "it has size, age"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(written: str, said: str) -> None:
    found = problems(f"{{taskmasterd: {{history: {written}}}, programs: {{web: {{cmd: run}}}}}}")
    assert said in "\n".join(found)


def test_no_history_is_a_warning() -> None:
    found = load("{taskmasterd: {history: 0}, programs: {web: {cmd: run}}}").warnings
    assert ["`why` and `events` will know little" in text for text in found] == [True]
    assert not load("{taskmasterd: {history: {}}, programs: {web: {cmd: run}}}").warnings


def test_an_age_of_0_is_no_limit_and_hardly_what_was_meant_as_no_history() -> None:
    (text,) = load("{taskmasterd: {history: {age: 0}}, programs: {web: {cmd: run}}}").warnings
    assert (
        "taskmasterd.history: age: 0 is no limit: records are kept until they fill 16MB; `history: 0` keeps none"
        in text
    )
    (only,) = load("{taskmasterd: {history: {size: 0, age: 0}}, programs: {web: {cmd: run}}}").warnings
    assert "will know little" in only

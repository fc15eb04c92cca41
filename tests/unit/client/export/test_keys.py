"""Every key of a program is carried to each target, or the report says that it is not."""

from __future__ import annotations

import pytest

from taskmasterctl.convert.export.targets.source import KEYS
from taskmasterctl.convert.export.targets.table import TARGETS
from tests.support.exporting import export_text, said
from tests.support.keysamples import SAMPLES, configuration

TRUE_THERE = ("clear_env", "cgroup")
"""Keys that need no sign: what they ask for is so in each target."""
PLAIN = "programs:\n  web:\n    cmd: /bin/true\n  other:\n    cmd: /bin/true\n"


def _with(sample: str) -> str:
    return f"programs:\n{configuration(sample)}  other:\n    cmd: /bin/true\n"


def _without(key: str, sample: str) -> str:
    """Return the configuration of a sample without the key itself."""
    return "".join(line for line in _with(sample).splitlines(keepends=True) if not line.startswith(f"    {key}:"))


@pytest.mark.parametrize("kind", TARGETS)
def test_every_target_has_a_row_for_every_key(kind: str) -> None:
    assert sorted(set(KEYS) - {*TARGETS[kind].rows}) == [], "add a row to this target: ARCHITECTURE.md, Export"


def test_every_key_has_a_sample() -> None:
    assert sorted(set(KEYS) - {*SAMPLES, *TRUE_THERE}) == [], "add a value that is not the default to SAMPLES"


@pytest.mark.parametrize("kind", TARGETS)
def test_every_key_changes_the_outcome_or_the_report(kind: str) -> None:
    silent = [key for key, sample in SAMPLES.items() if key in KEYS and not _shows(kind, key, sample)]
    assert silent == []


def _shows(kind: str, key: str, sample: str) -> bool:
    before = export_text(kind, PLAIN if key == "cmd" else _without(key, sample))
    after = export_text(kind, _with(sample))
    return (dict(before.files), said(before)) != (dict(after.files), said(after))


@pytest.mark.parametrize("kind", TARGETS)
def test_what_is_said_stands_in_the_outcome_too(kind: str) -> None:
    made = [export_text(kind, _with(sample)) for key, sample in SAMPLES.items() if key in KEYS]
    lines = [
        (problem.comment, "".join(each.files.values()))
        for each in made
        for draft in each.drafts
        for problem in draft.problems
    ]
    assert lines
    assert [comment for comment, text in lines if f"# {comment}\n" not in text] == []

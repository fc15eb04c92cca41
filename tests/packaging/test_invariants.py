"""docs/explain/invariants.md has a row for each of the thirty invariants, and every test that it names exists."""

from __future__ import annotations

import re

from tests.support.daemon import ROOT

COUNT = 30


def rows() -> dict[int, list[str]]:
    """Return the tests that each row names, by its number."""
    found: dict[int, list[str]] = {}
    for line in (ROOT / "docs" / "explain" / "invariants.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            assert int(cells[0]) not in found, f"{cells[0]} is there twice"
            found[int(cells[0])] = re.findall(r"`([a-z0-9_]+/[^`]+)`", cells[2])
    return found


def test_each_of_the_thirty_has_a_row_that_names_a_test() -> None:
    assert sorted(rows()) == list(range(1, COUNT + 1))
    assert [number for number, tests in rows().items() if not tests] == []


def test_every_named_test_exists() -> None:
    missing = []
    for name in {name for names in rows().values() for name in names}:
        path, _, function = name.partition("::")
        file = ROOT / "tests" / path
        if not file.exists() or (function and f"\ndef {function}(" not in file.read_text()):
            missing.append(name)
    assert missing == []

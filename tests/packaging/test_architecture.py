"""ARCHITECTURE.md names each source file once, the floors of the contracts, and draws the states as `step` has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import states
from tests.support.daemon import ROOT

SOURCES = ("common/taskmaster_common", "taskmasterd", "taskmasterctl")


def named() -> dict[str, str]:
    """Return what the page says of each file: below a heading `### directory/` its lines are "- `file`: text"."""
    found: dict[str, str] = {}
    directory = ""
    for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines():
        if line.startswith("### `"):
            directory = line.split("`")[1]
        elif line.startswith("#"):
            directory = ""
        elif directory and line.startswith("- `"):
            name, _, text = line.removeprefix("- `").partition("`: ")
            path = directory + name
            assert path not in found, f"{path} is named twice"
            found[path] = text
    return found


def present() -> set[str]:
    """Return every source file that holds something."""
    return {
        str(path.relative_to(ROOT))
        for source in SOURCES
        for path in (ROOT / source).rglob("*.py")
        if path.name != "__init__.py" or _has_code(path)
    }


def _has_code(path: Path) -> bool:
    """Return whether an `__init__.py` holds more than its docstring."""
    return any(line.startswith(("from ", "import ", "__version__")) for line in path.read_text().splitlines())


def test_each_source_file_is_named_and_each_named_file_exists() -> None:
    told = {name for name in named() if name.endswith(".py") and name.startswith(SOURCES)}
    assert sorted(present() - told) == []
    assert sorted(told - present()) == []
    assert all(named().values())


def test_other_files_that_are_named_exist_too() -> None:
    assert sorted(name for name in named() if not (ROOT / name).exists()) == []


def test_the_layers_are_those_that_the_import_contracts_hold() -> None:
    told: dict[str, list[str]] = {}
    package = ""
    for line in (ROOT / "ARCHITECTURE.md").read_text().partition("```text\n")[2].partition("```")[0].splitlines():
        if line.startswith("  "):
            told[package].append(line.strip())
        else:
            package = line
            told[package] = []
    held = {}
    for contract in (ROOT / "pyproject.toml").read_text().split("[[tool.importlinter.contracts]]"):
        if "containers = " in contract:
            package = contract.partition('containers = ["')[2].partition('"')[0]
            held[package] = re.findall(r'"([^"]+)"', contract.partition("\nlayers = ")[2].partition("[[")[0])
    assert told == held


@pytest.mark.sweep
def test_the_page_holds_the_drawing_that_the_script_makes_now() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert states.drawing() in page
    assert states.architecture(page) == page, "run: python -m scripts.generate"

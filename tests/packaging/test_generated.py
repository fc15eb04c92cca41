"""The committed files are those that the generator makes from the tables, and a new key reaches them all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import generate
from tests.support.daemon import ROOT

KEYS = Path("common/taskmaster_common/config/keys.py")
NEW_KEY = """    Key("patience", "seconds", 7.0, LIVE, "Seconds of `patience` it gets.", part="policy"),
    Key("stoptime","""
PLACES = {
    "common/taskmaster_common/config/program.py": ("    patience: float = 7.0\n", '    "patience": "live",\n'),
    "config/taskmaster.schema.json": (
        '        "patience": {\n          "description": "Seconds of patience it gets.",',
    ),
    "config/reference.yaml": ("    # Seconds of patience it gets.\n    patience: 7\n",),
    "man/taskmaster.yaml.5": (
        ".B patience\nSeconds of \\fBpatience\\fR it gets.\nDefault: \\fB7\\fR; reload: live.\n",
    ),
    "docs/configuration.md": (
        "| [`patience`](#patience) | `7` | live |\n",
        "### `patience`\n\nSeconds of `patience` it gets.\n\nDefault: `7`; reload: live.\n",
    ),
}
"""What each file says of the new key."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with one more key in the table, and all files made from it."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("common", "config", "man", "scripts", "taskmasterctl", "taskmasterd", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    table = (copy / KEYS).read_text()
    assert '    Key("stoptime",' in table
    (copy / KEYS).write_text(table.replace('    Key("stoptime",', NEW_KEY))
    _run(copy, "-m", "scripts.generate")
    return copy


def _run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of that tree."""
    return subprocess.run(
        [sys.executable, *words], cwd=tree, env={"PYTHONPATH": f"{tree}:{tree / 'common'}"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip


def test_every_made_file_is_what_the_tables_make() -> None:
    assert list(generate.outdated()) == [], "run: python -m scripts.generate"


@pytest.mark.parametrize("name", PLACES)
def test_a_new_key_reaches_every_made_file(tree: Path, name: str) -> None:
    text = (tree / name).read_text()
    assert [said for said in PLACES[name] if said not in text] == []


def test_a_new_key_is_decoded_bounded_and_printed_by_the_check(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("programs: {web: {cmd: sleep 9, patience: 1m}}")
    done = _run(tree, "-m", "taskmasterd", "-T", "-c", str(file))
    assert "    patience: 60\n" in done.stdout
    file.write_text("programs: {web: {cmd: sleep 9, patience: never}}")
    with pytest.raises(subprocess.CalledProcessError) as wrong:
        _run(tree, "-m", "taskmasterd", "-t", "-c", str(file))
    assert "programs.web.patience: " in wrong.value.stderr


def test_a_misspelt_new_key_is_recognised(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("programs: {web: {cmd: sleep 9, patiense: 1m}}")
    with pytest.raises(subprocess.CalledProcessError) as wrong:
        _run(tree, "-m", "taskmasterd", "-t", "-c", str(file))
    assert "did you mean patience?" in wrong.value.stderr


def test_a_new_key_is_shown_with_its_type_and_reload_class(tree: Path) -> None:
    program = (
        "from taskmaster_common.config import RELOAD_CLASS, ProgramConfig\n"
        "from taskmasterctl.reply.show import setting_text\n"
        "from taskmasterd.core.words.settings import settings_view\n"
        "view = settings_view(ProgramConfig('web', ('x',)), {}, values=False)\n"
        "print(view['patience'], setting_text('patience', 90), RELOAD_CLASS['patience'])\n"
    )
    assert _run(tree, "-c", program).stdout == "7 1m30s live\n"

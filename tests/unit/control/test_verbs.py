"""Verbs are loaded when they are first asked for."""

from __future__ import annotations

import subprocess
import sys

from taskmaster_common.commands.table import COMMANDS
from taskmasterd.control.handlers import RESIDENT

LATE = {"taskmaster_common.commands.help", "taskmasterd.core.words.plans", "taskmasterd.core.words.settings"}


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_a_daemon_that_nobody_has_asked_has_the_resident_verbs_and_no_others() -> None:
    loaded = loaded_by("import taskmasterd.daemon")
    verbs = {name for name in loaded if name.startswith("taskmasterd.control.verbs.")}
    assert verbs == {module.__name__ for module in RESIDENT}
    assert not loaded & LATE


def test_the_check_of_an_upgrade_loads_the_file_of_every_verb() -> None:
    loaded = loaded_by("from taskmasterd.control.handlers import import_verbs; import_verbs()")
    assert {f"taskmasterd.control.verbs.{each.module}" for each in COMMANDS} <= loaded


def test_every_verb_of_the_table_is_served_by_its_file() -> None:
    for each in COMMANDS:
        module = __import__(f"taskmasterd.control.verbs.{each.module}", fromlist=("VERBS",))
        assert set(module.VERBS) == {other.name for other in COMMANDS if other.module == each.module}

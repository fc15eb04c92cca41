"""Every verb is served by its file of `verbs/`."""

from __future__ import annotations

import re

from taskmaster_common.commands.table import COMMANDS
from taskmasterd.control.handlers import VERBS
from tests.support.daemon import ROOT


def test_every_verb_of_the_table_is_served_by_its_file() -> None:
    for each in filter(lambda command: command.module, COMMANDS):
        served = VERBS[each.module].VERBS
        assert set(served) == {other.name for other in COMMANDS if other.module == each.module}


def test_what_names_mean_is_looked_up_among_what_exists_for_the_client() -> None:
    files = [path.read_text() for path in (ROOT / "taskmasterd" / "control").rglob("*.py")]
    tables = [table for text in files for table in re.findall(r"\bselecting\(([^,]+),", text)]
    assert set(tables) == {"sight.table()"}
    assert not any("import select\n" in text or " select(" in text for text in files)

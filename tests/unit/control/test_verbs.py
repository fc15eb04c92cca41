"""Every verb is served by its file of `verbs/`."""

from __future__ import annotations

from taskmaster_common.commands.table import COMMANDS
from taskmasterd.control.handlers import VERBS


def test_every_verb_of_the_table_is_served_by_its_file() -> None:
    for each in filter(lambda command: command.module, COMMANDS):
        served = VERBS[each.module].VERBS
        assert set(served) == {other.name for other in COMMANDS if other.module == each.module}

"""Make the tables of docs/commands.md: the verbs, and the options of the client."""

from __future__ import annotations

from scripts.reference import with_rows
from taskmaster_common.commands.help import HELP
from taskmaster_common.commands.table import COMMANDS, usage
from taskmasterctl.options import GLOBALS, Option

VERBS = "| verb | what it does | exit codes |"
OPTIONS = "| option | meaning |"


def page(present: str) -> str:
    """Return the page with both tables in place; nothing for a tree without documents."""
    if not present:
        return present
    verbs = [(f"`{usage(verb)}`", HELP[verb.name].summary, HELP[verb.name].exits) for verb in COMMANDS]
    present = with_rows(present, VERBS, verbs)
    return with_rows(present, OPTIONS, [(f"`{_spelling(flag)}`", flag.help) for flag in GLOBALS])


def _spelling(flag: Option) -> str:
    return f"{flag.short}{', ' if flag.short else ''}{flag.name} {flag.value}".rstrip()

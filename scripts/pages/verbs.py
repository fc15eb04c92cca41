"""Make the tables and the list of verbs of docs/commands.md."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.reference import BAR, with_rows
from taskmaster_common.commands.help import HELP
from taskmaster_common.commands.table import COMMANDS, Command, Flag, usage
from taskmasterctl.options import GLOBALS

VERBS = "| verb | what it does | exit codes |"
OPTIONS = "| option | meaning |"
BEGIN = "<!-- each verb: made by scripts/pages/verbs.py -->"
END = "<!-- end of the verbs -->"
MORE = {"events": "[All words](programs/alerts.md#all-words) for EVENT, and what each means."}
"""What the page says more of a verb than its help, where a page has it."""


def page(present: str) -> str:
    """Return the page with tables and verbs in place; nothing for a tree without documents. Raises ValueError for lost marks."""
    if not present:
        return present
    verbs = [(f"`{usage(verb)}`", HELP[verb.name].summary, HELP[verb.name].exits) for verb in COMMANDS]
    present = with_rows(present, VERBS, verbs)
    present = with_rows(present, OPTIONS, [(f"`{_spelling(flag)}`", flag.help) for flag in GLOBALS])
    before, found, rest = present.partition(BEGIN)
    if not found or END not in rest:
        raise ValueError(f"docs/commands.md has no {BEGIN} and {END}")
    sections = "\n\n".join("\n\n".join(_section(verb)) for verb in COMMANDS)
    return f"{before}{BEGIN}\n\n{sections}\n\n{END}{rest.partition(END)[2]}"


def _section(verb: Command) -> Iterator[str]:
    """Yield the parts of what there is to say about a verb."""
    said = HELP[verb.name]
    yield f"### `{verb.name}`"
    yield f"`{usage(verb)}`: {said.summary}."
    if said.details:
        yield said.details.replace("*", r"\*").replace("<", "&lt;")
    if verb.name in MORE:
        yield MORE[verb.name]
    if verb.flags:
        rows = (f"| `{_spelling(flag)}` | {said.flags[flag.name].replace('|', BAR)} |" for flag in verb.flags)
        yield "\n".join(("| flag | meaning |", "|---|---|", *rows))
    if said.examples:
        yield "\n".join(("```text", *(f"taskmasterctl {example}" for example in said.examples), "```"))
    yield f"Exit codes: {said.exits}."


def _spelling(flag: Flag) -> str:
    return f"{flag.short}{', ' if flag.short else ''}{flag.name} {flag.value}".rstrip()

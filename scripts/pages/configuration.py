"""Make the keys of docs/configuration.md: for each group a table to look over, and a section for each key."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.reference import BAR, default_text
from taskmaster_common.config.alerts.keys import ALERT
from taskmaster_common.config.keys import DAEMON, EXTRA, FILES, PROGRAM, Key

BEGIN = "<!-- keys of {group}: made by scripts/pages/configuration.py -->"
END = "<!-- end of the keys -->"
GROUPS: dict[str, tuple[str, Sequence[Key]]] = {
    "programs": ("", (*PROGRAM, *EXTRA)),
    "rules": ("alerts.RULE.", ALERT),
    "the daemon": ("taskmasterd.", DAEMON),
}
"""What stands before the names of a group's keys in headings, and the keys."""


def page(present: str) -> str:
    """Return the page with all groups in place; nothing for a tree without documents. Raises ValueError for lost marks."""
    if not present:
        return present
    for group, (prefix, keys) in GROUPS.items():
        begin = BEGIN.format(group=group)
        before, found, rest = present.partition(begin)
        if not found or END not in rest:
            raise ValueError(f"docs/configuration.md has no {begin} and {END}")
        present = f"{before}{begin}\n\n{_table(prefix, keys)}\n{_sections(prefix, keys)}{END}{rest.partition(END)[2]}"
    return present


def _table(prefix: str, keys: Sequence[Key]) -> str:
    rows = (f"| [`{key.name}`](#{_anchor(prefix + key.name)}) | {_default(key)} | {_reload(key)} |\n" for key in keys)
    return "| key | default | reload |\n|---|---|---|\n" + "".join(rows)


def _sections(prefix: str, keys: Sequence[Key]) -> str:
    return "".join(f"### `{prefix}{key.name}`\n\n{key.text()}\n\n{_facts(key)}\n\n" for key in keys)


def _facts(key: Key) -> str:
    first = "Required" if key.otherwise == "required" else f"Default: {_default(key)}"
    facts = f"{first}; reload: {_reload(key)}." if key.reload != "-" else f"{first}."
    if not key.example:
        return facts
    one, *more = key.example.split("\n")
    shown = "\n".join((f"{key.name}: {one}".rstrip(), *(f"  {line}" for line in more)))
    return f"{facts} For example:\n\n```text\n{shown}\n```"


def _default(key: Key) -> str:
    return default_text(key).replace(FILES, "[see Files](operate/files.md)").replace("|", BAR)


def _reload(key: Key) -> str:
    return key.reload.replace("*", r"\*")


def _anchor(title: str) -> str:
    """Return the anchor that forges and the site give a heading."""
    return title.lower().replace(".", "")

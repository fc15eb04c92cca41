"""Make the table of docs/leaving.md: what becomes of each key in each target of `export`."""

from __future__ import annotations

import re

from taskmasterctl.convert.export.targets.draft import row_of
from taskmasterctl.convert.export.targets.source import KEYS
from taskmasterctl.convert.export.targets.table import TARGETS

BEGIN = "<!-- the keys: made by scripts/pages/leaving.py -->"
END = "<!-- end of the keys -->"
TITLES = {"systemd": "systemd", "compose": "Compose", "kubernetes": "Kubernetes", "procfile": "Procfile"}


def table() -> str:
    """Return a row for each key of a program, in the order of the rows of systemd."""
    lines = [f"| key | {' | '.join(TITLES[kind] for kind in TARGETS)} |", "|---" * (len(TARGETS) + 1) + "|"]
    for key in (each for each in TARGETS["systemd"].rows if each in KEYS):
        cells = (row_of(target.rows, key).becomes for target in TARGETS.values())
        lines.append(f"| `{key}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(present: str) -> str:
    """Return the page with the table in place. Raises ValueError for a page without its marks."""
    if not present:
        return present  # a tree without documents
    if BEGIN not in present or END not in present:
        raise ValueError(f"docs/leaving.md has no {BEGIN} and {END}")
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n\n{table()}\n\n{END}", present, flags=re.DOTALL
    )

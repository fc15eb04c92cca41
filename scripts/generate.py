"""Write every file that is made from the tables of keys and verbs, and print the names of those that changed.

Run `python -m scripts.generate` after a change of either table.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts import completions, records, reference, schema, states
from scripts.pages import configuration, leaving, verbs, wire

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "common/taskmaster_common/config"

FILES: dict[str, Callable[[], str]] = {
    f"{CONFIG}/program.py": records.program,
    f"{CONFIG}/daemon.py": records.daemon,
    f"{CONFIG}/alerts/rule.py": records.alert,
    "config/taskmaster.schema.json": schema.text,
    "config/reference.yaml": reference.example,
    **{f"config/completions/{name}": make for name, make in completions.FILES.items()},
}
"""What makes each file, by its path."""
PAGES: dict[str, Callable[[str], str]] = {
    "man/taskmaster.yaml.5": reference.manual,
    "docs/configuration.md": configuration.page,
    "docs/commands.md": verbs.page,
    "docs/protocol.md": wire.page,
    "ARCHITECTURE.md": states.architecture,
    "docs/leaving.md": leaving.page,
}
"""What puts the made parts into each page that is otherwise written by hand, by its path."""


def outdated() -> dict[str, str]:
    """Return the new content of each file that differs from what is made for it, by its path."""
    present = {name: (ROOT / name).read_text() if (ROOT / name).exists() else "" for name in (*FILES, *PAGES)}
    made = {name: make() for name, make in FILES.items()}
    made |= {name: make(present[name]) for name, make in PAGES.items()}
    return {name: text for name, text in made.items() if text != present[name]}


if __name__ == "__main__":
    for changed, content in outdated().items():
        (ROOT / changed).write_text(content)
        print(changed)

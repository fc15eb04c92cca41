"""The pages for those who come from another tool name the options, and the keys, of the tables that `import` uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from taskmasterctl.convert.kinds import pm2, procfile
from taskmasterctl.convert.kinds.circus import rows as circus
from taskmasterctl.convert.kinds.circus import sockets
from taskmasterctl.convert.kinds.process_compose import rows as process_compose
from taskmasterctl.convert.kinds.supervisor import rows as supervisor
from taskmasterctl.convert.kinds.systemd import rows as systemd
from tests.support.daemon import ROOT

PAGES = ROOT / "docs" / "coming-from"
WITHIN = {f"{name}.{part}": key for name, parts in process_compose.PARTS.items() for part, key in parts.items()}
SECTION = re.compile(r"`\[([a-z_]+)\]`")


def cells(page: str, heading: str) -> Iterator[tuple[str, str]]:
    """Yield the first two cells of each row of the table below a heading."""
    text = (PAGES / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            first, second = line.strip("|").split("|")[:2]
            yield first.strip(), second.strip()


def told(page: str, heading: str, section: str = "") -> dict[str, str]:
    """Return the second cell by each option in the first one; with `section`, of the rows of that section alone."""
    found: dict[str, str] = {}
    for first, second in cells(page, heading):
        named = SECTION.match(first)
        if (named[1] if named else "") != section:
            continue
        for option in re.findall(r"`(\.?[a-zA-Z_]+(?:\.[a-z_]+)?)`", SECTION.sub("", first)):
            found[option] = second
    return found


@pytest.mark.parametrize(
    ("page", "heading", "section", "rows"),
    [
        ("supervisor.md", "Keys of `[program:x]`", "", supervisor.PROGRAM),
        ("supervisor.md", "Other sections", "supervisord", supervisor.SUPERVISORD),
        ("supervisor.md", "Other sections", "unix_http_server", supervisor.UNIX_SERVER),
        ("procfile.md", "What becomes of it", "", procfile.ROWS),
        ("systemd.md", "`[Unit]`", "", systemd.UNIT),
        ("systemd.md", "`[Service]`", "", systemd.SERVICE),
        ("systemd.md", "`[Install]`", "", systemd.INSTALL),
        ("circus.md", "`[watcher:x]`", "", circus.WATCHER),
        ("circus.md", "`[socket:x]`", "", sockets.OPTIONS),
        ("circus.md", "`[circus]`", "", circus.CIRCUS),
        ("process-compose.md", "A process", "", process_compose.PROCESS),
        ("process-compose.md", "Conditions", "", process_compose.CONDITIONS),
        ("process-compose.md", "Fields within fields", "", WITHIN),
        ("pm2.md", "An app", "", pm2.ROWS),
    ],
)
def test_a_page_has_the_options_of_the_table(page: str, heading: str, section: str, rows: Mapping[str, str]) -> None:
    found = told(page, heading, section)
    assert sorted(found) == sorted(rows)
    same = "the same keys"
    wrong = [
        option for option, key in rows.items() if key and f"`{key}" not in found[option] and same not in found[option]
    ]
    assert not wrong


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.md")))
def test_a_page_begins_with_the_one_command(page: str) -> None:
    if page == "compose.md":
        pytest.skip("Compose is refused")
    lines = [line for line in (PAGES / page).read_text().splitlines() if line]
    assert lines[1] == "```text"
    assert lines[2].startswith("taskmasterctl import ")

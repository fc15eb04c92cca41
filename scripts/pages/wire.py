"""Make the part of docs/protocol.md that says what travels: the normative text of protocol.py, with its tables as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.reference import BAR
from taskmaster_common import protocol

BEGIN = "<!-- the protocol: made by scripts/pages/wire.py -->"
END = "<!-- end of the protocol -->"
HEAD = "type       fields"
VERBS_AT = 60
"""Where in a line of the table of replies the third column may begin, counted after the indent."""
TITLE = re.compile(r"([A-Z]\w+(?: of a \w+)?)\. ")
"""How a paragraph begins that is a part of its own."""


def page(present: str) -> str:
    """Return the page with the text in place; nothing for a tree without documents. Raises ValueError for one without marks."""
    if not present:
        return present
    if BEGIN not in present or END not in present:
        raise ValueError(f"docs/protocol.md has no {BEGIN} and {END}")
    before, _, rest = present.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text()}\n\n{END}{rest.partition(END)[2]}"


def text() -> str:
    """Return the normative text as Markdown."""
    paragraphs = str(protocol.__doc__).strip().split("\n\n")[2:]
    return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(paragraph: str) -> str:
    if not paragraph.startswith("    "):
        titled = TITLE.match(paragraph)
        body = _escaped(paragraph[titled.end() :] if titled else paragraph)
        return f"### {titled[1]}\n\n{body}" if titled else body
    lines = [line[4:] for line in paragraph.splitlines()]
    if lines[0].startswith("{"):
        return "\n".join(("```text", *lines, "```"))
    if lines[0].startswith(HEAD):
        return _table("| type | fields | verbs |", _rows(lines[1:], 11, VERBS_AT))
    width = len(lines[0]) - len(lines[0].partition(" ")[2].lstrip())
    return _table("| object | fields |" if lines[0][:3].isupper() else "| type | fields |", _rows(lines, width, None))


def _rows(lines: list[str], width: int, verbs_at: int | None) -> Iterator[list[str]]:
    """Yield the cells of each row; a line that begins with blanks goes on with the row before it."""
    row: list[str] = []
    for line in lines:
        name, rest = line[:width].strip(), line[width:]
        cells = re.split(r" {2,}", rest.strip()) if verbs_at is not None else [re.sub(r" {2,}", ": ", rest.strip())]
        if verbs_at is not None and not rest[: verbs_at - width].strip():
            cells = ["", *cells]  # the third column alone goes on
        if name:
            if row:
                yield row
            row = [name, *cells, *[""] * ((verbs_at is not None) + 1 - len(cells))]
        else:
            for at, cell in enumerate(cells, 1):
                row[at] = row[at] if cell == row[at] else f"{row[at]} {cell}".strip()
    yield row


def _table(head: str, rows: Iterator[list[str]]) -> str:
    rule = "|" + "---|" * (head.count("|") - 1)
    body = (f"| `{row[0]}` | {' | '.join(_escaped(cell) for cell in row[1:])} |" for row in rows)
    return "\n".join((head, rule, *body))


def _escaped(words: str) -> str:
    return words.replace("|", BAR).replace("*", r"\*").replace("<", "&lt;").replace(">", "&gt;")

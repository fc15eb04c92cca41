"""Listing as lines of a given width: fragments of (style, text). Pure.

Only rows that are visible are made into lines. No line is wider than the screen. Colour is on the state only; the selection shows by
its `>` without colours, too.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_seconds
from taskmasterctl.reply.render import cells_of, detail_text, percent_text, size_text
from taskmasterctl.top.keys import NEEDS
from taskmasterctl.top.rows import badness
from taskmasterctl.top.samples import ONE_CORE, sparkline
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.top.rows import Key, Listing, Name
    from taskmasterctl.usernames import UserName

    Message = Mapping[str, Any]
    Line = list[tuple[str, str]]

LEAST_COLUMNS, LEAST_LINES = 40, 8
"""Smallest screen with a table."""
SPARKLINES, TIMES, MEMORY = 100, 80, 60
"""Widths below which sparklines go, then restarts and uptimes, then memory and pid."""
LEAST_SPARK, MOST_SPARK = 8, 30
LEAST_NAME, MOST_NAME = 8, 32
LEAST_DETAIL = 8
STATE_WIDTH = 8
SELECTED, PLAIN, DIMMED = "reverse", "", "class:dim"
STYLES = {
    "RUNNING": "class:good",
    "STARTING": "class:changing",
    "BACKOFF": "class:changing",
    "STOPPING": "class:changing",
    "FATAL": "class:bad",
}


class Column(Record):
    """One column. `width` is that of its cells, `right`: they are aligned to the right."""

    title: str
    width: int
    right: bool = False


class Drawing(Record):
    """How to draw. `width` 0: as wide as it needs; `more`: with descriptors, threads and storage; `dim`: the figures are old."""

    width: int = 0
    utf8: bool = False
    more: bool = False
    dim: bool = False
    user_name: UserName | None = None


def columns(rows: Listing, screen: Drawing) -> list[Column]:
    """Return the columns that a screen has room for; DETAIL comes last and gets the rest."""
    width = screen.width
    wide = not width
    longest = max((len(name[0]) + 4 + 3 * len(name) for name in rows.names), default=0)
    most = MOST_NAME if wide or width >= MEMORY else LEAST_NAME + (width - LEAST_COLUMNS) + 6
    found = [Column("NAME", min(max(LEAST_NAME, longest), most)), Column("STATE", STATE_WIDTH)]
    if wide or width >= MEMORY:
        found.append(Column("PID", max(5, rows.pid_width), right=True))
    if wide or width >= TIMES:
        found += [Column("UPTIME", 6, True), Column("RST", 4, True)]
    found.append(Column("%CPU", 6, True))
    spark = min(MOST_SPARK, LEAST_SPARK + max(0, width - SPARKLINES) // 8)
    if width >= SPARKLINES:
        found.append(Column("cpu", spark))
    if wide or width >= MEMORY:
        found.append(Column("MEM", 5, True))
    if width >= SPARKLINES:
        found.append(Column("mem", spark))
    if screen.more:
        found += [Column("FDS", 5, True), Column("THR", 4, True), Column("IO/s", 5, True)]
    left = width - 2 - sum(column.width + 1 for column in found)
    while width and left < 0 and len(found) > 3:
        left += found.pop().width + 1
    if wide or left >= LEAST_DETAIL:
        found.append(Column("DETAIL", 0 if wide else left))
    return found


def head_line(rows: Listing, shown: Sequence[Column], screen: Drawing) -> Line:
    """Return the titles; the column that is sorted by has a mark."""
    sorted_by = {"name": "NAME", "state": "STATE", "cpu": "%CPU", "mem": "MEM", "uptime": "UPTIME", "restarts": "RST"}[
        rows.sort
    ]
    titles = {column.title: "" if column.title in ("cpu", "mem") else column.title for column in shown}
    if sorted_by in titles:
        titles[sorted_by] += "*"
    return [("class:head", _cut("  " + " ".join(_cell(titles[c.title], c) for c in shown), screen.width))]


def row_line(rows: Listing, name: Name, shown: Sequence[Column], screen: Drawing) -> Line:
    """Return the line of one row."""
    cells = _cells(rows, name, shown, screen)
    selected, marked = name == rows.selected, name in rows.marked
    base = SELECTED if selected else DIMMED if screen.dim else PLAIN
    line: Line = [(base, f"{'>' if selected else ' '}{'*' if marked else ' '}")]
    for at, (column, (text, style)) in enumerate(zip(shown, cells)):
        line.append((base if screen.dim else f"{base} {style}".strip(), _cell(text, column)))
        if at + 1 < len(shown):
            line.append((base, " "))
    return line if screen.width else [*line[:-1], (line[-1][0], line[-1][1].rstrip())]


def _cells(rows: Listing, name: Name, shown: Sequence[Column], screen: Drawing) -> list[tuple[str, str]]:
    """Return text and style of each cell of a row."""
    if len(name) > 2:
        return _member(rows, name, shown)
    keys = rows.keys_of(name)
    processes = [rows.processes[key] for key in keys]
    state, style = _state(processes)
    uptimes = [each["uptime_s"] for each in processes if each.get("uptime_s") is not None]
    pid = processes[0]["pid"] if len(name) > 1 else None
    descriptors, threads, io = rows.samples.more(keys) if screen.more else (None, None, None)
    texts = {
        "NAME": (_named(rows, name), ""),
        "STATE": (state, style),
        "PID": ("-" if pid is None else clean(pid), ""),
        "UPTIME": (format_seconds(max(uptimes)) if uptimes else "-", ""),
        "RST": (clean(sum(each.get("restarts") or 0 for each in processes)), ""),
        "%CPU": (percent_text(rows.samples.cpu(keys)), ""),
        "MEM": (size_text(rows.samples.memory(keys)), ""),
        "FDS": ("-" if descriptors is None else str(descriptors), ""),
        "THR": ("-" if threads is None else str(threads), ""),
        "IO/s": (size_text(io), ""),
    }
    for column in shown:
        if column.title in ("cpu", "mem"):
            texts[column.title] = (_drawn(rows, keys, column, screen), "")
        elif column.title == "DETAIL":
            texts["DETAIL"] = (with_names(_detail(name, processes), screen.user_name, short=True), "")
    return [texts[column.title] for column in shown]


def _drawn(rows: Listing, keys: Sequence[Key], column: Column, screen: Drawing) -> str:
    points = rows.samples.points(keys)
    values: list[float | None] = [point[0 if column.title == "cpu" else 1] for point in points]
    least = ONE_CORE if column.title == "cpu" else 0.0
    return sparkline(values, column.width, least, blocks=screen.utf8)


def _member(rows: Listing, name: Name, shown: Sequence[Column]) -> list[tuple[str, str]]:
    """Return the cells of what belongs to a process: its pid and its command."""
    found = next((each for each in rows.trees.get((name[0], name[1]), ()) if each["pid"] == name[2]), None)
    command = clean(found["command"]) if found else ""
    indent = "  " * (2 if (name[0],) in rows.names else 1)
    has = {column.title for column in shown}
    first = f"{indent}{clean(name[2])}" + ("" if "DETAIL" in has else f" {command}")
    texts = {"NAME": first, "DETAIL": command}
    return [(texts.get(column.title, ""), "") for column in shown]


def _named(rows: Listing, name: Name) -> str:
    if len(name) == 1:
        return f"{clean(name[0])} ({len(rows.keys_of(name))})"
    return ("  " if (name[0],) in rows.names else "") + clean(rows.text_of(name))


def _state(processes: Sequence[Message]) -> tuple[str, str]:
    """Return the state to show, the worst one, and its style."""
    worst = min(processes, key=badness)
    style = STYLES.get(worst["state"], "class:down")
    bad = worst["state"] == "EXITED" and not worst.get("wanted", True)
    return clean(worst["state"]), "class:bad" if bad else style


def _detail(name: Name, processes: Sequence[Message]) -> str:
    if len(name) > 1:
        text = detail_text(processes[0])
        return "" if text == "-" else text
    states: dict[str, int] = {}
    for each in sorted(processes, key=badness):
        states[each["state"]] = states.get(each["state"], 0) + 1
    return ", ".join(f"{count} {state.lower()}" for state, count in states.items()) if len(states) > 1 else ""


def _cell(text: str, column: Column) -> str:
    """Return a text cut and padded to a column; a width of 0 takes all of it."""
    if not column.width:
        return text
    kept = _cut(text, column.width)
    gap = " " * (column.width - cells_of(kept))
    return gap + kept if column.right else kept + gap


def _cut(text: str, width: int) -> str:
    """Return the beginning of a text, with `~` at its end if something is missing."""
    if not width or cells_of(text) <= width:
        return text
    kept = text[: width - 1]
    while cells_of(kept) > width - 1:
        kept = kept[:-1]
    return kept + "~"


def fitted(text: str, width: int) -> str:
    """Return a line of text cut and padded to the width, as it is for width 0."""
    kept = _cut(text, width)
    return kept + " " * (width - cells_of(kept)) if width else kept


def summary(facts: Sequence[str], host: str, screen: Drawing) -> str:
    """Return the first line: `facts`, separated, then the host at the right end if there is room."""
    separator = " · " if screen.utf8 else ", "
    text = separator.join(facts)
    gap = screen.width - cells_of(text) - len(host)
    return text + " " * gap + host if gap > 1 else _cut(text, screen.width)


def facts_of(rows: Listing, up_s: float | None, note: str) -> list[str]:
    """Return what the first line says: uptime of the daemon, how many run, what is wrong, what all of them use, and a note."""
    processes = rows.processes.values()
    states = [each["state"] for each in processes]
    keys = list(rows.processes)
    facts = [f"taskmasterd up {format_seconds(up_s)}" if up_s is not None else "taskmasterd"]
    facts.append(f"{states.count('RUNNING')} of {len(states)} run")
    facts += [
        f"{states.count(state)} {state.lower()}"
        for state in ("STARTING", "BACKOFF", "STOPPING", "FATAL")
        if state in states
    ]
    cpu, memory = rows.samples.cpu(keys), rows.samples.memory(keys)
    facts.append(f"cpu {'-' if cpu is None else f'{cpu:.0f}%'} mem {size_text(memory)}")
    return [*facts, *((note,) if note else ())]


KEYS_WIDTH = 10
"""Columns of the keys in HELP."""
HELP = (
    "up down PgUp PgDn Home End   select a row",
    "Enter      open or close it: instances, then all that belongs to a process",
    "space      mark it; actions are for all marked rows",
    "s x r g    start, stop, restart, send a signal",
    "l L        its output: below, or on the whole screen",
    "w e a      why it is in its state, what happens to it, its terminal",
    "/          filter: names, patterns, state:fatal; Esc clears, and takes marks away",
    "o          sort by the next of name, state, cpu, mem, uptime, restarts",
    "c          more columns: descriptors, threads, bytes a second of storage",
    "p          pause",
    "Ctrl-L     draw again; Ctrl-Z suspends",
    "h ?        this list",
    "q          leave; the programs run on",
)


def help_line(text: str, rows: Listing, width: int) -> Line:
    """Return a line of HELP; one whose keys need a level that we lack on what is selected is dimmed, and names it."""
    keys = text[:KEYS_WIDTH].split()
    level = next((NEEDS[key] for key in keys if key in NEEDS and rows.lacks(NEEDS[key])), "")
    if not level:
        return [(PLAIN, fitted(text, width))]
    return [("class:off", fitted(f"{text} (needs {level})", width))]

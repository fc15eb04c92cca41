"""Messages as text: the table of `status`, errors, warnings, changes of state. Pure: the terminal comes in as a `Look`.

Here and in the other files of text, everything from the daemon passes through `clean`, so that no name, reason or path can
move the cursor of a terminal. Every function returns whole lines.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_seconds
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean, clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from taskmasterctl.usernames import UserName

    Message = Mapping[str, Any]

STATUS_COLUMNS = ("NAME", "STATE", "PID", "UPTIME", "RESTARTS", "DETAIL")
SPARED = ("PID", "RESTARTS")
"""The columns that a narrow terminal does without."""
NARROW = 60
"""Columns of a terminal below which it is narrow."""
USAGE_COLUMNS = ("%CPU", "MEM")
"""What --usage adds before the last column."""
STATE_WIDTH = 8
RECENT_S = 600
"""Longest time for which the DETAIL of a process that was restarted says why, seconds."""
LEAST_DETAIL = 8
"""Smallest width of the last column, columns."""

GREEN, YELLOW, RED, DIM, PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
COLOURS = {
    "RUNNING": GREEN,
    "STARTING": YELLOW,
    "BACKOFF": YELLOW,
    "STOPPING": YELLOW,
    "FATAL": RED,
    "STOPPED": DIM,
    "EXITED": DIM,
}


class Look(Record):
    """How to show text.

    `width`: lines are cut to so many columns, 0 for no cut. `height`: a table may have so many lines, 0 for any number. `terminal`: the answer goes to a terminal. `watched`: stderr is a
    terminal, where somebody wants to see progress. `utf8`: it shows more than ASCII. `command`: the client's command line
    without a verb, for hints. `user_name` returns the name of a uid, "" if it has none; `wall` the date and time that many
    seconds ago; `at` the date and time, with milliseconds, of so many seconds since 1970.
    """

    colour: bool = False
    width: int = 0
    height: int = 0
    terminal: bool = False
    watched: bool = False
    quiet: bool = False
    utf8: bool = False
    command: str = "taskmasterctl"
    user_name: UserName | None = None
    wall: Callable[[float], str] | None = None
    at: Callable[[float], str] | None = None


def short_seconds(seconds: float) -> str:
    """Return a duration as text, below ten seconds with tenths."""
    return f"{max(0.0, seconds):.1f}s" if seconds < 9.95 else format_seconds(seconds)


def percent_text(percent: float | None) -> str:
    """Return a share of one core, with tenths; "-" for one that nobody knows."""
    return "-" if percent is None else f"{percent:.1f}"


def size_text(size: float | None) -> str:
    """Return a size in at most four characters, `812`, `9.5K`, `98M`, `1.4G`; "-" for one that nobody knows."""
    if size is None:
        return "-"
    value, units = float(size), iter("KMGTP")
    unit = ""
    while value >= 999.5:
        value, unit = value / 1024, next(units, "E")
    return f"{value:.1f}{unit}" if unit and value < 9.95 else f"{value:.0f}{unit}"


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset(), least: Sequence[int] = ()) -> list[str]:
    """Return the rows as lines, with two blanks between columns.

    `right` are the columns that are aligned to the right, `least` the smallest widths of the first columns.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows)][:-1]
    widths = [max(width, minimum) for width, minimum in zip(widths, [*least, *[0] * len(widths)])]
    form = "".join(f"{{:{'>' if at in right else '<'}{width}}}  " for at, width in enumerate(widths)) + "{}"
    return [form.format(*row).rstrip() for row in rows]


def status_table(processes: Sequence[Message], look: Look) -> str:
    """Return the table of `status`: a head, and a line for each process; folded where there is no room for so many."""
    if look.height and len(processes) >= look.height:
        from taskmasterctl.reply.folding import folded  # noqa: PLC0415 - only for tables that do not fit

        processes = folded(processes)
    rows = _rows(processes, look, ago=look.terminal)
    lines = _lines(rows)
    if 0 < look.width < max(NARROW, *map(cells_of, lines), 0):
        rows, lines = _fitted(processes, look)
    if look.colour:
        name_width = max(len(row[0]) for row in rows) + 2
        for at, process in enumerate(processes, 1):
            lines[at] = _coloured(lines[at], name_width, rows[at][1], process)
    return "\n".join(lines) + "\n"


def _rows(processes: Sequence[Message], look: Look, *, ago: bool) -> list[tuple[str, ...]]:
    """Return the cells; `ago`: RESTARTS says when the last one was."""
    usage = any("cpu_percent" in process for process in processes)
    head = (*STATUS_COLUMNS[:-1], *USAGE_COLUMNS, STATUS_COLUMNS[-1]) if usage else STATUS_COLUMNS
    digits = max((len(str(process.get("restarts", 0))) for process in processes), default=1)
    counts = [_restarts(process, digits) if ago else clean(process.get("restarts", 0)) for process in processes]
    if not any(" ago" in count for count in counts):
        counts = [count.strip() for count in counts]
    return [head, *[_status_row(each, count, look, usage=usage) for each, count in zip(processes, counts)]]


def _restarts(process: Message, digits: int) -> str:
    """Return the number of restarts with the time of the last one: `17 (2s ago)`."""
    seconds = process.get("restarted_s")
    return f"{clean(process.get('restarts', 0)):>{digits}}" + (
        f" ({format_seconds(seconds)} ago)" if seconds is not None else ""
    )


def _lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    left = ("RESTARTS",) if any(" ago" in cell for row in rows for cell in row[:-1]) else ()
    numbers = frozenset(at for at, name in enumerate(rows[0]) if name in (*SPARED, *USAGE_COLUMNS) and name not in left)
    return columns(rows, numbers, (0, STATE_WIDTH))


def _fitted(processes: Sequence[Message], look: Look) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return rows and lines for a terminal that is too narrow: with shorter details, fewer columns, cut at last."""
    from taskmasterctl.reply.short import shortened  # noqa: PLC0415 - only where something does not fit

    for ago in (look.terminal and look.width >= NARROW, False):
        rows = _rows(processes, look, ago=ago)
        if look.width < NARROW:
            rows = [tuple(cell for name, cell in zip(rows[0], row) if name not in SPARED) for row in rows]
        for at, line in enumerate(_lines(rows)):
            if cells_of(line) > look.width:
                rows[at] = (*rows[at][:-1], shortened(rows[at][-1]))
        lines = _lines(rows)
        if max(map(cells_of, lines)) <= look.width:
            break
    return rows, [_cut(line, row[-1], look.width) for line, row in zip(lines, rows)]


def _status_row(process: Message, restarts: str, look: Look, *, usage: bool) -> tuple[str, ...]:
    pid, uptime = process.get("pid"), process.get("uptime_s")
    return (
        clean(process["name"]),
        clean(process["state"]),
        "-" if pid is None else clean(pid),
        "-" if uptime is None else format_seconds(uptime),
        restarts,
        *((percent_text(process.get("cpu_percent")), size_text(process.get("memory_bytes"))) if usage else ()),
        with_names(detail_text(process), look.user_name, short=True),
    )


def detail_text(process: Message) -> str:
    """Return the last column. The last line of stderr stands before the number of tries, which may be cut off.

    What waits does so for a reason of another process, which its own stderr does not explain.
    """
    text = clean(process.get("detail") or process.get("description") or _recent_end(process) or "-")
    if not process.get("stderr") or process.get("phase"):
        return text
    words = f': "{clean(process["stderr"])}"'
    end, mark, tries = text.rpartition(" (try ")
    return f"{end}{words}{mark}{tries}" if mark else text + words


def _recent_end(process: Message) -> str:
    """Return why a process that is up was started again, if that was not long ago: else it looks well between two failures."""
    end: Message = process.get("exit") or {}
    seconds = process.get("restarted_s")
    if seconds is None or seconds > RECENT_S or end.get("expected", True):
        return ""
    how = end.get("failure") or end.get("signal") or (f"exit {end['code']}" if "code" in end else "")
    return f"up again after {how}" if how and process.get("pid") is not None else ""


def cells_of(text: str) -> int:
    """Return the width of a text, in columns of a terminal. Source: Unicode Standard Annex 11."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415 - costs 1 ms, for text beyond ASCII only

    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _cut(line: str, detail: str, width: int) -> str:
    """Return the line with its last column cut to the width, but not below LEAST_DETAIL."""
    if cells_of(line) <= width:
        return line
    before = line[: len(line) - len(detail)]
    room = max(LEAST_DETAIL, width - len(before)) - len("...")
    kept = detail[:room]
    while cells_of(kept) > room:
        kept = kept[:-1]
    return before + (kept + "..." if cells_of(detail) > room + len("...") else detail)


def _coloured(line: str, start: int, state: str, process: Message) -> str:
    unwanted_end = state == "EXITED" and not process.get("wanted", True)
    colour = RED if unwanted_end else COLOURS.get(state, "")
    end = start + len(state)
    return f"{line[:start]}{colour}{line[start:end]}{PLAIN}{line[end:]}" if colour else line


def refusal_text(error: Message, look: Look) -> str:
    """Return the error of an `end`, with the names of users."""
    hints = [with_names(str(hint), look.user_name) for hint in error.get("hints") or ()]
    return error_text(with_names(str(error.get("message", "")), look.user_name), hints)


def error_text(message: object, hints: Iterable[object] = ()) -> str:
    """Return an error, with its hints indented below it."""
    first, *more = clean_lines(message)
    return "\n  ".join((f"taskmasterctl: {first}", *more, *map(clean, hints))) + "\n"


def warning_text(text: object) -> str:
    """Return a warning with its other lines (a line of the source) below it.

    A warning that names its place in a file already says that it is one.
    """
    first, *more = clean_lines(text)
    line = first if ": warning: " in first else f"taskmasterctl: warning: {first}"
    return "\n".join((line, *more)) + "\n"


def change_text(change: Message, wall: str, user_name: UserName | None = None) -> str:
    """Return the line of a change: `14:02:11 web:1 RUNNING -> BACKOFF (retry 1 of 3 in 0.5s; exit 3 after 2.1s)`.

    Where the state stays, what the process waits for has changed, or the verdict of its health checks.
    """
    state = "removed" if change.get("removed") else clean(change["state"])
    reason = with_names(clean(change.get("reason") or ""), user_name)
    if reason and change["before"] != state:
        reason = detail_text({**change["process"], "detail": reason})
    if change["before"] == state:
        phase, health = change["process"].get("phase", ""), change["process"].get("health") or {}
        waits = change.get("before_phase", phase) != phase or not health
        same = "waits no longer" if waits else clean(health.get("verdict", ""))
        return f"{wall} {clean(change['name'])} {state} ({reason or same})\n"
    return f"{wall} {clean(change['name'])} {clean(change['before'])} -> {state}{f' ({reason})' if reason else ''}\n"


def counts_text(running: int, total: int, others: Iterable[tuple[str, int]]) -> str:
    """Return the summary: `11/14 running  1 backoff  2 fatal`."""
    return "  ".join((f"{running}/{total} running", *(f"{count} {state.lower()}" for state, count in others)))

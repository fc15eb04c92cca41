"""The daemon's objects as text: tables, results, plans, errors. Pure: the terminal's facts come in as a `Look`.

Text from the daemon passes through `clean` everywhere, so that no name, reason or path can move a terminal's cursor; the
output of programs is not this file's business. Every function gives whole lines.
"""

from __future__ import annotations

from taskmaster_common.config import KIND
from taskmaster_common.records import Record
from taskmaster_common.text.units import format_seconds, format_size
from taskmasterctl.people import with_names
from taskmasterctl.visible import clean, clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from taskmasterctl.people import UserName

    Message = Mapping[str, Any]

OUT, ERR = 1, 2
STATUS_COLUMNS = ("NAME", "STATE", "PID", "UPTIME", "RESTARTS", "DETAIL")
STATE_WIDTH = 8
LEAST_DETAIL = 8
NAMED = 5
"""So many processes of a plan are named; more are counted."""

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
    """How text is shown.

    `width` is the terminal's, 0: cut nothing. `terminal`: the answer goes to one. `watched`: somebody sits there and wants
    to see that it goes on.
    `command` is how the client was called, for hints. `user_name` returns the name of a uid, "" where it has none;
    `wall` the date and time of so many seconds ago.
    """

    colour: bool = False
    width: int = 0
    terminal: bool = False
    watched: bool = False
    quiet: bool = False
    command: str = "taskmasterctl"
    user_name: UserName | None = None
    wall: Callable[[float], str] | None = None


def short_seconds(seconds: float) -> str:
    """Return a duration: tenths below ten seconds."""
    return f"{max(0.0, seconds):.1f}s" if seconds < 9.95 else format_seconds(seconds)


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset(), least: Sequence[int] = ()) -> list[str]:
    """Return the rows as lines: two blanks between columns, none at the end; `right` are the numbers' columns."""
    widths = [max(map(len, cells)) for cells in zip(*rows)][:-1]
    widths = [max(width, minimum) for width, minimum in zip(widths, [*least, *[0] * len(widths)])]
    form = "".join(f"{{:{'>' if at in right else '<'}{width}}}  " for at, width in enumerate(widths)) + "{}"
    return [form.format(*row).rstrip() for row in rows]


def status_table(processes: Sequence[Message], look: Look) -> str:
    """Return the table of `status`, with its head, a line for each process."""
    rows = [STATUS_COLUMNS, *[_status_row(process, look) for process in processes]]
    lines = columns(rows, frozenset({2, 4}), (0, STATE_WIDTH))
    if look.width:
        lines = [_cut(line, row[-1], look.width) for line, row in zip(lines, rows)]
    if look.colour:
        name_width = max(len(row[0]) for row in rows) + 2
        for at, process in enumerate(processes, 1):
            lines[at] = _coloured(lines[at], name_width, rows[at][1], process)
    return "\n".join(lines) + "\n"


def _status_row(process: Message, look: Look) -> tuple[str, ...]:
    pid, uptime = process.get("pid"), process.get("uptime_s")
    return (
        clean(process["name"]),
        clean(process["state"]),
        "-" if pid is None else clean(pid),
        "-" if uptime is None else format_seconds(uptime),
        clean(process.get("restarts", 0)),
        with_names(_detail(process), look.user_name, short=True),
    )


def _detail(process: Message) -> str:
    """Return the last column: the last line of stderr before the count of tries, which is the first to be cut off."""
    text = clean(process.get("detail") or process.get("description") or "-")
    if not process.get("stderr"):
        return text
    words = f': "{clean(process["stderr"])}"'
    end, mark, tries = text.rpartition(" (try ")
    return f"{end}{words}{mark}{tries}" if mark else text + words


def _cells(text: str) -> int:
    """Return how many columns of a terminal the text takes. Source: Unicode Standard Annex 11."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415 - 1 ms that only a text beyond ASCII costs

    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _cut(line: str, detail: str, width: int) -> str:
    """Return the line with its last column cut so that it fits, where that leaves something to read."""
    if _cells(line) <= width:
        return line
    before = line[: len(line) - len(detail)]
    room = max(LEAST_DETAIL, width - len(before)) - len("...")
    kept = detail[:room]
    while _cells(kept) > room:
        kept = kept[:-1]
    return before + (kept + "..." if _cells(detail) > room + len("...") else detail)


def _coloured(line: str, start: int, state: str, process: Message) -> str:
    unwanted_end = state == "EXITED" and not process.get("wanted", True)
    colour = RED if unwanted_end else COLOURS.get(state, "")
    end = start + len(state)
    return f"{line[:start]}{colour}{line[start:end]}{PLAIN}{line[end:]}" if colour else line


def error_text(message: object, hints: Iterable[object] = ()) -> str:
    """Return an error in the form what, why, and how to go on, the latter indented."""
    first, *more = clean_lines(message)
    return "\n  ".join((f"taskmasterctl: {first}", *more, *map(clean, hints))) + "\n"


def warning_text(text: object) -> str:
    """Return a warning; what follows its first line (a line of the source) stays below it.

    One that names its place in a file says itself that it is a warning.
    """
    first, *more = clean_lines(text)
    line = first if ": warning: " in first else f"taskmasterctl: warning: {first}"
    return "\n".join((line, *more)) + "\n"


def change_text(change: Message, wall: str, user_name: UserName | None = None) -> str:
    """Return the line of a change: `14:02:11 web:1 RUNNING -> BACKOFF (retry 1 of 3 in 0.5s; exit 3 after 2.1s)`."""
    state = "removed" if change.get("removed") else clean(change["state"])
    reason = with_names(clean(change.get("reason") or ""), user_name)
    return f"{wall} {clean(change['name'])} {clean(change['before'])} -> {state}{f' ({reason})' if reason else ''}\n"


def counts_text(running: int, total: int, others: Iterable[tuple[str, int]]) -> str:
    """Return how many processes are how: `11/14 running  1 backoff  2 fatal`."""
    return "  ".join((f"{running}/{total} running", *(f"{count} {state.lower()}" for state, count in others)))


# -- results of actions


def success_text(result: Message, verb: str) -> str:
    """Return the line of a result that is ok: `web:0 started (pid 2001, ready in 1.2s)`."""
    outcome, pid, seconds = str(result.get("outcome", "done")), result.get("pid"), result.get("seconds")
    notes: list[str] = []
    if outcome == "requested":
        outcome = f"{verb} requested"
    elif "stopped" in outcome or outcome == "skipped":
        pid = None
    if pid is not None:
        notes.append(f"pid {clean(pid)}")
    if seconds is not None and outcome in ("started", "restarted"):
        notes.append(f"ready in {short_seconds(seconds)}")
    elif seconds is not None and outcome == "stopped":
        notes.append(f"{'killed after' if result.get('killed') else 'in'} {short_seconds(seconds)}")
    if result.get("reason"):
        notes.append(clean(result["reason"]))
    told = f" ({', '.join(notes)})" if notes else ""
    return f"{clean(result['name'])} {clean(outcome.replace('-', ' '))}{told}\n"


def upgraded_text(message: Message) -> str:
    """Return the line of a daemon that has executed other code: `taskmasterd 0.1.0 is now 0.2.0 (pid 4711, away for 25ms)`."""
    away = f"{message['seconds'] * 1000:.0f}ms"
    versions = f"{clean(message['before'])} is now {clean(message['version'])}"
    return f"taskmasterd {versions} (pid {clean(message['pid'])}, away for {away})\n"


def shutdown_text(message: Message) -> str:
    """Return the line of a daemon that has ended: `3 processes stopped, taskmasterd (pid 4711) has ended`."""
    count = message.get("stopped")
    stopped = f"{clean(count)} process{'' if count == 1 else 'es'} stopped"
    return f"{stopped}, taskmasterd (pid {clean(message.get('pid'))}) has ended\n"


def failure_text(result: Message, verb: str, look: Look) -> str:
    """Return what failed and why, the last lines of its stderr, and where to read more."""
    name = clean(result["name"])
    reason = with_names(clean(result.get("reason") or "no reason is known"), look.user_name)
    lines = [f"taskmasterctl: {name} {_failed(verb, result)}: {reason}"]
    if result.get("state") == "FATAL":
        lines[0] += ", now FATAL"
    lines.extend(f"  stderr: {clean(line)}" for line in result.get("stderr") or ())
    log = str(result.get("log") or "")
    if log.startswith("/"):
        lines.append(f"  Log:    {clean(log)}")
    if result.get("stderr"):
        lines.append(f"  More:   {look.command} logs --stderr {name}      {look.command} show {name}")
    elif verb != "signal":
        lines.append(f"  More:   {look.command} show {name}")
    return "\n".join(lines) + "\n"


def _failed(verb: str, result: Message) -> str:
    if verb == "signal":
        return "was not signalled"
    if verb in ("stop", "shutdown") or result.get("outcome") == "stuck":
        return "did not stop"
    return "did not start"


# -- reload


def refused_text(daemon: Message, look: Look) -> str:
    """Return that the last reload was refused, its first problem, and where the others are."""
    problems = [clean_lines(problem)[0] for problem in daemon["reload_problems"]]
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    lines = [
        f"taskmasterctl: the last reload was refused; the configuration before it is in use{':' if problems else ''}"
    ]
    lines += [f"  {problem}{more}" for problem in problems[:1]]
    if daemon.get("config_changed"):
        lines.append(f"  The file has changed since:  {look.command} reload --dry-run, then {look.command} reload")
    else:
        lines.append(f"  Check it again:  {look.command} reload --dry-run")
    return "\n".join(lines) + "\n"


def plan_text(programs: Sequence[Message], daemon_keys: Sequence[str]) -> str:
    """Return the programs that a plan changes, what waits for the daemon's next start, and the sum of all."""
    shown = [program for program in programs if program["change"] != "kept"]
    rows = [(clean(each["name"]), clean(each["change"]), _keys(each), _why(each)) for each in shown]
    lines = columns([("PROGRAM", "CHANGE", "KEYS", "WHY"), *rows]) if rows else []
    lines.extend(f"taskmasterd.{clean(key)} waits for the next start of the daemon" for key in daemon_keys)
    lines.append(_plan_sum([program["change"] for program in programs]))
    return "\n".join(lines) + "\n"


def _plan_sum(changes: Sequence[str]) -> str:
    """Return how many programs are how: `97 unchanged; 1 restart, 1 live, 0 new, 0 removed`."""
    words = (
        ("restarted", "restart"),
        ("updated", "live"),
        ("scaled", "scaled"),
        ("added", "new"),
        ("removed", "removed"),
    )
    named = ("kept", *(change for change, _ in words))
    counts = [(changes.count(change), word) for change, word in words]
    others = sum(change not in named for change in changes)
    told = [f"{count} {word}" for count, word in counts if count or word in ("restart", "new", "removed")]
    return f"{changes.count('kept')} unchanged; {', '.join((*told, *((f'{others} changed',) if others else ())))}"


def _keys(program: Message) -> str:
    return clean(",".join(program.get("keys") or ()) or "-")


def _why(program: Message) -> str:
    told = [
        f"{verb}s {', '.join(program[verb]) if len(program[verb]) <= NAMED else f'{len(program[verb])} processes'}"
        for verb in ("start", "stop", "restart")
        if program.get(verb)
    ]
    return clean("; ".join((str(program.get("why") or "-"), *told)))


# -- show, version


def show_text(program: Message, look: Look) -> str:
    """Return everything about one program."""
    processes = program.get("processes") or ()
    description = next((process["description"] for process in processes if process.get("description")), "")
    lines = [clean(program["name"]) + (f": {clean(description)}" if description else "")]
    lines.extend(f"  {line}" for line in status_table(processes, look.replace(width=0)).splitlines())
    logs = program.get("logs") or {}
    settings = [
        (clean(key), _default_log(key, logs) if value == "default" else setting_text(key, value) or "-")
        for key, value in (program.get("settings") or {}).items()
    ]
    lines += _section("settings", settings)
    ended = program.get("ended") or {}
    ends = [
        (clean(process["name"]), _exit_text(process["exit"], ended.get(process["name"]), look))
        for process in processes
        if process.get("exit")
    ]
    lines += _section("last exits", ends)
    paths = [
        (clean(name), clean(stream), clean(path or "-")) for name, each in logs.items() for stream, path in each.items()
    ]
    return "\n".join(lines + _section("log files", paths)) + "\n"


def _default_log(key: str, logs: Mapping[str, Mapping[str, object]]) -> str:
    """Return what `default` means for a stream: the path, where all instances have the same."""
    paths = {clean(each.get(key) or "") for each in logs.values()} - {""}
    return f"default: {paths.pop()}" if len(paths) == 1 else "default"


UNQUOTED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")
"""Characters that a shell takes as they are. Source: POSIX XCU 2.2; shlex.quote, which costs an import of re."""


def setting_text(key: str, value: object) -> str:
    """Return a setting as one would write it; the words of a command as a shell would read them again."""
    if value is None:
        return "the daemon's"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if KIND.get(key) == "size":
            return format_size(int(value))
        if KIND.get(key) == "seconds":
            return format_seconds(value) if value >= 60 else f"{value:g}s"
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, dict):
        pairs = value.items()
        return " ".join(
            quoted_word(f"{name}={text}") if text is not None else f"{clean(name)}=null" for name, text in pairs
        )
    if isinstance(value, list):
        return " ".join(quoted_word(str(word)) for word in value)
    return clean(value)


def quoted_word(word: str) -> str:
    """Return a word quoted for a shell where that is needed; with control characters in bash's $'...'."""
    if word and UNQUOTED.issuperset(word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _section(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"  {title}:", *(f"    {line}" for line in columns(rows))] if rows else []


def _exit_text(end: Message, ago_s: object, look: Look) -> str:
    if end.get("failure"):
        how = clean(end["failure"])
    elif end.get("signal") is not None:
        how = f"killed by {clean(end['signal'])}" + (" (core dumped)" if end.get("core") else "")
        if end["signal"] == "KILL" and not end.get("expected"):
            how += ", not by a stop of taskmasterd (out of memory?)"
    else:
        code = end.get("code")
        how = "ended unseen, nobody knows how" if code is None else f"exit code {clean(code)}"
    after = f" after {short_seconds(end['after_s'])}" if end.get("after_s") is not None else ""
    when = f"{look.wall(ago_s)}  " if look.wall and isinstance(ago_s, (int, float)) else ""
    return f"{when}{how}{after}, {'expected' if end.get('expected') else 'unexpected'}"


def client_text(message: Message) -> str:
    """Return the line that names this client."""
    return f"taskmasterctl {clean(message['version'])} (protocol {clean(message['protocol'])})\n"


def daemon_text(daemon: Message) -> str:
    """Return the lines that name the daemon: versions, pid, where its configuration and socket are."""
    up = f", up {format_seconds(daemon['uptime_s'])}" if daemon.get("uptime_s") is not None else ""
    versions = f"taskmasterd {clean(daemon.get('version'))} (protocol {clean(daemon.get('protocol'))})"
    lines = [f"{versions}, pid {clean(daemon.get('pid'))}{up}"]
    lines.extend(f"  {field}: {clean(daemon[field])}" for field in ("config", "socket") if daemon.get(field))
    return "\n".join(lines) + "\n"


def age_text(daemon: Message, client: str, command: str) -> str:
    """Return that the daemon runs other code than is installed, or is older than this client; "" where it is not."""
    version = clean(daemon.get("version"))
    how = f"bring it up to date:  {command} upgrade"
    if daemon.get("installed_changed"):
        installed = clean(daemon.get("installed_version") or "")
        what = (
            f"taskmasterd {installed} is installed" if installed and installed != version else "other code is installed"
        )
        return f"{what}, and the daemon still runs {version} as it was at its start; {how}"
    ours, theirs = _numbers(client), _numbers(version)
    if ours and theirs and theirs < ours:
        return f"the daemon ({version}) is older than this client ({client}); {how}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version such as 0.1.0, () where it is none."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdecimal() for part in parts) else ()

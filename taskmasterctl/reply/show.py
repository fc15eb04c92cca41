"""`show`: one program as text, with its processes, settings, last exits and log files. Pure."""

from __future__ import annotations

from taskmaster_common.config import KIND
from taskmaster_common.config.written import in_one_line, written_recycle, written_watch
from taskmaster_common.text.formats import format_seconds, format_size
from taskmasterctl.reply.render import columns, short_seconds, status_table
from taskmasterctl.visible import clean, shell_quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]


DECIDED = {"cgroup": "with limits", "log_levels": "with json and syslog"}
"""When a key holds that is not written and has no one default."""


def show_text(program: Message, look: Look) -> str:
    """Return the lines of one program."""
    processes = program.get("processes") or ()
    description = next((process["description"] for process in processes if process.get("description")), "")
    lines = [clean(program["name"]) + (f": {clean(description)}" if description else "")]
    lines.extend(f"  {line}" for line in status_table(processes, look.replace(width=0, height=0)).splitlines())
    waits = [
        (clean(process["name"]), clean(each["name"]), clean(each["condition"]), clean(each["because"]))
        for process in processes
        for each in process.get("waiting") or ()
    ]
    waits += [
        (clean(process["name"]), f"and {clean(process['waiting_more'])} more", "", "")
        for process in processes
        if process.get("waiting_more")
    ]
    lines += _section("waits for", waits)
    logs: Mapping[str, Mapping[str, object]] = program.get("logs") or {}
    shown: Message = program.get("settings") or {}
    usual: set[str] = set(program.get("defaults") or ())
    width = max((len(clean(key)) for key in shown), default=0)
    for title, keys in (
        ("settings", [key for key in shown if key not in usual]),
        ("by default", [key for key in shown if key in usual]),
    ):
        values = [_default_log(key, logs) if shown[key] == "default" else setting_text(key, shown[key]) for key in keys]
        lines += _section(title, [(clean(key), value or "-") for key, value in zip(keys, values)], (width,))
    newer: Mapping[str, Sequence[str]] = program.get("newer") or {}
    lines += _section("outdated", [(clean(name), clean(text)) for name, texts in newer.items() for text in texts])
    ended: Message = program.get("ended") or {}
    ends = [
        (clean(process["name"]), _exit_text(process["exit"], ended.get(process["name"]), look))
        for process in processes
        if process.get("exit")
    ]
    lines += _section("last exits", ends)
    paths = [
        (clean(name), clean(stream), clean(path or "-")) for name, each in logs.items() for stream, path in each.items()
    ]
    lines += _section("tree", _tree_rows(program.get("tree") or (), processes))
    lines += _section("limits", _limit_rows(processes))
    lines += _section("ready", _ready_rows(processes))
    sockets = [
        (clean(process["name"]), *(clean(each[part]) for part in ("name", "address", "state")))
        for process in processes
        for each in process.get("sockets") or ()
    ]
    lines += _section("sockets", sockets)
    if program.get("health"):
        from taskmasterctl.reply.health import story_rows  # noqa: PLC0415 - few programs have health

        lines += _section("health", story_rows(processes, program["health"], look))
    return "\n".join(lines + _section("log files", paths)) + "\n"


def _default_log(key: str, logs: Mapping[str, Mapping[str, object]]) -> str:
    """Return the value `default` of a stream, with the path if all instances share it."""
    paths = {clean(each.get(key) or "") for each in logs.values()} - {""}
    return f"default: {paths.pop()}" if len(paths) == 1 else "default"


def setting_text(key: str, value: Any) -> str:
    """Return a setting as its user would write it, the words of a command quoted for a shell."""
    if (
        KIND.get(key) in ("ready", "health", "update", "hook", "rlimits", "limits", "sockets")
        and value
        and not isinstance(value, list)
    ):
        return clean(value if isinstance(value, str) else in_one_line(value))
    if value is None:
        return DECIDED.get(key) or (
            "" if KIND.get(key) in ("ready", "health", "update", "hook", "limits", "sockets") else "the daemon's"
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if KIND.get(key) == "size":
            return format_size(int(value))
        if KIND.get(key) == "seconds":
            return format_seconds(value) if value >= 60 else f"{value:g}s"
        return f"{value:g}" if isinstance(value, float) else str(value)
    if KIND.get(key) == "dependencies":
        return clean(in_one_line(value)) if value else ""
    if isinstance(value, dict):
        return _map_text(key, value)
    if isinstance(value, list):
        return " ".join(shell_quoted(str(word)) for word in value)
    return clean(value)


def _map_text(key: str, value: Mapping[str, Any]) -> str:
    if KIND.get(key) == "recycle":
        return clean(in_one_line(written_recycle(value)).replace('"', "")) if value else ""
    if KIND.get(key) == "watch":
        return clean(in_one_line(written_watch(value))) if value else ""
    pairs = value.items()
    return " ".join(
        f"{clean(name)}={'null' if text is None else clean(in_one_line(text))}"
        if not isinstance(text, str)
        else shell_quoted(f"{name}={text}")
        for name, text in pairs
    )


def _section(title: str, rows: Sequence[Sequence[str]], least: Sequence[int] = ()) -> list[str]:
    return [f"  {title}:", *(f"    {line}" for line in columns(rows, least=least))] if rows else []


def _exit_text(end: Message, ago_s: object, look: Look) -> str:
    if end.get("failure"):
        how = clean(end["failure"])
    elif end.get("signal") is not None:
        how = f"killed by {clean(end['signal'])}" + (" (core dumped)" if end.get("core") else "")
        if end["signal"] == "KILL" and not end.get("expected"):
            memory = clean(end.get("memory") or end.get("limit") or "")
            how = f"killed: {memory}" if memory.startswith("out of") else f"{how}, not by a stop of taskmasterd"
            how += f"; {memory}" if memory and not memory.startswith("out of") else ""
    else:
        code = end.get("code")
        how = "ended unseen, nobody knows how" if code is None else f"exit code {clean(code)}"
    after = f" after {short_seconds(end['after_s'])}" if end.get("after_s") is not None else ""
    when = f"{look.wall(ago_s)}  " if look.wall and isinstance(ago_s, (int, float)) else ""
    why = f": {clean(end['why'])}" if end.get("why") else ""
    return f"{when}{how}{after}, {'expected' if end.get('expected') else 'unexpected'}{why}"


def _tree_rows(tree: Sequence[Message], processes: Sequence[Message]) -> list[tuple[str, str, str]]:
    """Return a row for each process, indented by its depth: `4711  4712    sh -c ...`."""
    leaders = {process["pid"] for process in processes}
    depths: dict[int, int] = {}
    rows = [("pid", "ppid", "command")]
    for each in tree:
        pid, parent = each["pid"], each["ppid"]
        depths[pid] = 0 if pid in leaders else depths.get(parent, 0) + 1
        rows.append((clean(pid), clean(parent), "  " * depths[pid] + clean(each["command"])))
    return rows if len(rows) > 1 else []


def _limit_rows(processes: Sequence[Message]) -> list[tuple[str, str, str, str]]:
    """Return a row for each limit of a live process: `web:0  rlimits nofile  65536/65536  in force`."""
    rows = []
    for process in processes:
        limits = dict(process.get("limits") or {})
        differing = limits.pop("not_in_force", ())
        for key, value in limits.items():
            values = value.items() if isinstance(value, dict) else [("", value)]
            for name, text in values:
                is_so = (f"{key}.{name}" if name else key.replace("autogroup_nice", "nice")) not in differing
                label = f"{key} {name}".strip().replace("_", " " if key == "autogroup_nice" else "_")
                state = "in force" if is_so else "not as written"
                rows.append((clean(process["name"]), clean(label), clean(text), state))
    return rows


def _ready_rows(processes: Sequence[Message]) -> list[tuple[str, str, str]]:
    """Return a row for each process that has become ready: `web:0  http  after 1.2s, 3 tries (http 200)`."""
    rows = []
    for process in processes:
        ready = process.get("ready") or {}
        if ready.get("after_s") is not None:
            tries = f", {clean(ready['tries'])} tr{'y' if ready['tries'] == 1 else 'ies'}" if ready.get("tries") else ""
            text = "the daemon was away" if ready.get("unsure") else clean(ready.get("text") or "")
            after = f"after {short_seconds(ready['after_s'])}{tries}{f' ({text})' if text else ''}"
            rows.append((clean(process["name"]), clean(ready["way"]), after))
    return rows

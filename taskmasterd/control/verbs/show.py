"""`show`: everything about a program."""

from __future__ import annotations

import os

from taskmaster_common.config import LIKE_THE_DAEMON
from taskmaster_common.config.words import is_elsewhere, is_logger, value_files
from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmasterd.control.replies import MORE
from taskmasterd.control.verbs.views import explained
from taskmasterd.core.words.settings import default_keys, settings_view
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmaster_common.config import elsewhere
    from taskmasterd.control.call import Call
    from taskmasterd.control.context import Context
    from taskmasterd.control.rights import Sight
    from taskmasterd.control.verbs import newer as files
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import health
    from taskmasterd.processes.limits import in_force

    Newer = Mapping[Entry, tuple[str, ...]]
else:
    elsewhere = on_demand("taskmaster_common.config.elsewhere")
    files = on_demand("taskmasterd.control.verbs.newer")
    in_force = on_demand("taskmasterd.processes.limits.in_force")
    health = on_demand("taskmasterd.core.words.health")


USAGE = 2


def _shown(target: str) -> str:
    """Return where a stream goes: a path, the command of a logger, or where to read what goes elsewhere."""
    if is_logger(target):
        return elsewhere.shown(target)
    return elsewhere.where(target) if is_elsewhere(target) else target


def show(call: Call) -> Steps[None]:
    """Settings, last exits and log files of the named programs, or with --daemon what is known of the daemon. Raises RequestError."""
    if call.request.has("daemon") == bool(call.request.targets):
        raise RequestError("usage", "show needs a TARGET, or --daemon", USAGE)
    if call.request.has("daemon"):
        call.connection.send(_daemon(call.context))
        call.connection.end(end(0))
        return
    entries = yield from call.looked_at()
    values = call.request.has("env")
    if values:
        call.require_values()
    programs: dict[str, list[Entry]] = {}
    for entry in entries:
        programs.setdefault(entry.program, []).append(entry)
    newer: Newer = {}
    if any(entry.present.env_file or value_files(entry.present.env) for entry in entries):
        newer = yield from files.newer_files(call.context, entries)
    call.connection.pull(_programs(call, programs, newer, values=values))


def _programs(call: Call, programs: dict[str, list[Entry]], newer: Newer, *, values: bool) -> Iterator[dict[str, Any]]:
    for name, entries in programs.items():
        yield from _program(call, name, entries, newer, values=values)
    call.connection.end(end(0))


def _program(call: Call, name: str, entries: list[Entry], newer: Newer, *, values: bool) -> Iterator[dict[str, Any]]:
    """Yield one `program` object, after as many rests as it needs."""
    context, table, sight = call.context, call.context.supervisor.table, call.sight
    logs: dict[str, dict[str, str]] = {}
    processes: list[dict[str, Any]] = []
    ended: dict[str, float] = {}
    for entry in entries:
        logs[table.name(entry)] = {
            stream: _shown(context.performer.outputs.log_path(entry, stream)) for stream in ("stdout", "stderr")
        }
        processes.append({**explained(context, entry, sight), **_limits(context, entry)})
        if entry.process.end is not None:
            ended[table.name(entry)] = round(context.reactor.now() - entry.process.end.at, 3)
        yield MORE
    now = context.reactor.now()
    yield {
        "type": "program",
        "name": name,
        "settings": sight.settings(settings_view(entries[0].wanted, context.identity.signals, values=values)),
        "defaults": default_keys(entries[0].wanted, os.path.dirname(context.configuration.config.path)),
        "processes": processes,
        "ended": ended,
        "logs": logs,
        "newer": {
            table.name(entry): [sight.text(each) for each in newer[entry]] for entry in entries if entry in newer
        },
        "health": {table.name(entry): _story(entry, now, sight) for entry in entries if entry.health},
    }


def _limits(context: Context, entry: Entry) -> dict[str, Any]:
    """Return what a live process has of the limits that are written for it."""
    wanted, pid, instance = entry.newest.may_use, entry.process.pid, context.performer.instances.of(entry)
    if pid is None or instance is None or wanted == LIKE_THE_DAEMON:
        return {}
    return {"limits": in_force.in_force(wanted, pid, instance.group.cgroup)}


def _daemon(context: Context) -> dict[str, Any]:
    """Return what there is to know of the daemon itself. It looks for the root of control groups as the first program would."""
    groups, identity = context.performer.cgroups(), context.identity
    return {
        "type": "about",
        "pid": identity.pid,
        "version": identity.version,
        "uid": identity.owner,
        "socket": identity.socket,
        "config": context.configuration.config.path,
        "cgroup_root": groups.root.path or None,
        "cgroup_reason": groups.root.reason,
        "controllers": groups.controllers,
    }


def _story(entry: Entry, now: float, sight: Sight) -> dict[str, Any]:
    """Return what checks have found; what a check printed is output as that of a program is."""
    story = health.story_view(entry, now)
    return story if sight.reads(entry.program) else {**story, "output": []}


VERBS = {"show": show}

"""What several verbs say of the daemon and its processes."""

from __future__ import annotations

from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmasterd.core.words.view import process_view
from taskmasterd.output.last_words import MOST_WORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry


def process_object(context: Context, entry: Entry) -> dict[str, Any]:
    """Return the PROCESS object of an entry."""
    return process_view(context.supervisor.table, entry, context.reactor.now(), context.identity.signals)


def explained(context: Context, entry: Entry) -> dict[str, Any]:
    """Return the PROCESS object of an entry; one that is not as wanted has the last line of its stderr, read from a file."""
    view = process_object(context, entry)
    if not view["wanted"]:
        words = context.performer.outputs.last_words.lines(entry)
        view["stderr"] = words[-1][:MOST_WORD] if words else ""
    return view


def daemon_object(context: Context) -> dict[str, Any]:
    """Return the `daemon` object of the wire."""
    about, installed, current = context.identity, context.installed, context.configuration
    changed = installed.changed_lately()
    return {
        "type": "daemon",
        "version": about.version,
        "protocol": PROTOCOL_VERSION,
        "pid": about.pid,
        "uptime_s": round(context.reactor.now() - about.started, 3),
        "config": current.config.path,
        "socket": about.socket,
        "stopping": context.supervisor.stopping,
        "groups": {name: list(members) for name, members in context.supervisor.table.groups.items()},
        "installed_changed": changed,
        "installed_version": installed.version() if changed else about.version,
        "reloaded_s": None if current.reloaded_at is None else round(context.reactor.now() - current.reloaded_at, 3),
        "reload_problems": list(current.problems),
        "config_changed": current.changed_since_refused(),
        "warnings": warnings(context),
    }


def warnings(context: Context) -> list[str]:
    """Return what an administrator has to know of the daemon: state or history in trouble, programs of an earlier daemon, late health checks."""
    texts, checks = context.performer.occupants.warnings(), context.health.made
    troubles = [text for text in (context.state.trouble, context.log.history.trouble) if text]
    overdue = checks.overdue() if checks else ()
    if overdue:
        others = f" and {len(overdue) - 1} more" if len(overdue) > 1 else ""
        name = context.supervisor.table.name(overdue[0])
        texts = [*texts, f"the health check of {name}{others} waits for its turn for longer than its interval"]
    return [*troubles, *texts]

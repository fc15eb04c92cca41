"""What several verbs say of the daemon and its processes."""

from __future__ import annotations

from taskmaster_common.config.words import is_elsewhere
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmasterd.core.words.view import process_view
from taskmasterd.ondemand import on_demand
from taskmasterd.output.last_words import MOST_WORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.config import elsewhere
    from taskmasterd.alerts.rules import Alerts
    from taskmasterd.control.context import Context
    from taskmasterd.control.rights import Sight
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.words import overlays
else:
    elsewhere = on_demand("taskmaster_common.config.elsewhere")
    overlays = on_demand("taskmasterd.core.words.overlays")

MOST_EXPLAINED = 20
"""Processes of one reply whose last words are read."""
REFUSED = "the last reload was refused; users who may reload see why"
"""What stands for problems of a configuration: they can name any program."""


def process_object(context: Context, entry: Entry, sight: Sight) -> dict[str, Any]:
    """Return the PROCESS object of an entry as a client may see it."""
    return sight.process(whole_object(context, entry))


def _lost_at(context: Context, entry: Entry) -> str:
    """Return the address of the log daemon that takes nothing of a slot's output now, or ""."""
    outputs, output = context.performer.outputs, entry.present.output
    for stream, target in (("stdout", output.stdout), ("stderr", output.stderr)):
        if is_elsewhere(target) and outputs.loses(path := outputs.log_path(entry, stream)):
            return elsewhere.elsewhere_of(path).address
    return ""


def whole_object(context: Context, entry: Entry) -> dict[str, Any]:
    """Return the PROCESS object of an entry, which may name what does not exist for a client."""
    view = process_view(context.supervisor.table, entry, context.reactor.now(), context.identity.signals)
    if entry.wanted.sockets:
        view["sockets"] = context.sockets().view(entry)
    if entry.process.pid is not None and (address := _lost_at(context, entry)):
        view["detail"] = "; ".join(filter(None, (view["detail"], f"output is lost: cannot send to {address}")))
    return view


def explained(context: Context, entry: Entry, sight: Sight) -> dict[str, Any]:
    """Return the PROCESS object of an entry; one that is not as wanted has the last line of its stderr, read from a file."""
    view = process_object(context, entry, sight)
    if not view["wanted"] and sight.reads(entry.program):
        view["stderr"] = last_word(context, entry)
    return view


def last_word(context: Context, entry: Entry) -> str:
    """Return the last line that the last instance of an entry wrote to stderr, read from a file; "" for none."""
    words = context.performer.outputs.last_words.lines(entry)
    return words[-1][:MOST_WORD] if words else ""


def daemon_object(context: Context, sight: Sight) -> dict[str, Any]:
    """Return the `daemon` object of the wire; a client for whom some programs do not exist gets no text that could name one."""
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
        "groups": sight.groups(),
        **({"scaled": list(overlays.scaled_texts(sight.table()))} if context.supervisor.table.overlay else {}),
        "installed_changed": changed,
        "installed_version": installed.version() if changed else about.version,
        "reloaded_s": None if current.reloaded_at is None else round(context.reactor.now() - current.reloaded_at, 3),
        "reload_problems": [REFUSED] if sight.limited and current.problems else list(current.problems),
        "config_changed": current.changed_since_refused(),
        "warnings": warnings(context, sight),
        **({"alerts": waiting_alerts(made)} if (made := context.alerts.made) and not sight.limited else {}),
    }


def waiting_alerts(alerts: Alerts) -> dict[str, int]:
    """Return how many events wait, by rule."""
    return {row["rule"]: row["waiting"] for row in alerts.views()}


def warnings(context: Context, sight: Sight) -> list[str]:
    """Return what an administrator has to know of the daemon: state or history in trouble, programs of an earlier daemon, late health checks, lost overrides."""
    texts, checks = context.performer.occupants.warnings(), context.health.made
    troubles = [text for text in (context.state.trouble, context.log.history.trouble) if text]
    overdue = checks.overdue() if checks else ()
    if overdue:
        others = f" and {len(overdue) - 1} more" if len(overdue) > 1 else ""
        name = context.supervisor.table.name(overdue[0])
        texts = [*texts, f"the health check of {name}{others} waits for its turn for longer than its interval"]
    alerts, overlay = context.alerts.made, context.overlays.made
    texts = [
        *texts,
        *(alerts.warnings() if alerts else ()),
        *((overlay.trouble,) if overlay and overlay.trouble else ()),
    ]
    return [*troubles, *(() if sight.limited else texts)]

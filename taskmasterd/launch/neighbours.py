"""Describes another daemon that is in the way of this one: which places they share, and how to run both.

Used by the launcher only.
"""

from __future__ import annotations

import os

from taskmasterd.launch.claims import Holder
from taskmasterd.survival.disk.directory import StateDirectory
from taskmasterd.survival.holdings import LOG_DIR
from taskmasterd.system.paths.walk import PlantedError
from taskmasterd.system.procfs import boot_id
from taskmasterd.system.users import Account, ActingAs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KINDS = {"log_dir": "log directory", "logfile": "event log"}


def holder_of(places: Mapping[str, str | None], account: Account | None) -> Holder | None:
    """Return the daemon of this boot whose state file names this socket or pid file, or None."""
    directory, socket, pidfile = places["state_dir"], places["socket"], places["pidfile"]
    if not directory:
        return None
    with ActingAs(account):
        try:
            with StateDirectory(directory) as states:
                found = [left for left in states.found() if left.known.boot == boot_id()]
        except (OSError, PlantedError):
            return None
    real = os.path.realpath(pidfile) if pidfile else None
    for left in found:
        if left.known.socket == socket or (real is not None and left.known.pidfile == real):
            return Holder(left.pid, left.known.socket, left.config)
    return None


def refusal(reason: str, holder: Holder | None, config: str) -> str:
    """Return why a daemon with the configuration `config` does not start beside another one, and what to do."""
    lines = [reason]
    if holder and holder.config:
        lines.append(f"  It runs {holder.config} and listens at {holder.socket}.")
    if holder and holder.config == config:
        lines.append(f"  To apply what has changed in the file:  taskmasterctl -s {holder.socket} reload")
    else:
        lines.append(
            "  To run both, give this one a `socket`, a `log_dir` and a `logfile` of its own "
            "in its `taskmasterd:` section."
        )
    return "\n".join(lines)


def shared(keys: Sequence[str], holder: Holder, places: Mapping[str, str | None]) -> tuple[str, str]:
    """Return what this daemon would share with another one, and what to do."""
    things = " and ".join(f"the {KINDS[key]} {places[key]}" for key in keys)
    daemon = f"another daemon (pid {holder.pid or 'unknown'}"
    daemon += f", configuration {holder.config}, socket {holder.socket})" if holder.config else ")"
    words = " and ".join(f"a `{key}`" for key in keys)
    reason = "logs of programs with the same name would be mixed" if LOG_DIR in keys else "their lines would be mixed"
    return f"{daemon} has {things}: {reason}", f"give this one {words} of its own in its `taskmasterd:` section"

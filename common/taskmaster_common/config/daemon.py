"""The record of `taskmasterd:` and what the daemon knows of its keys.

Made by `python -m scripts.generate` from the table in `keys`; not edited by hand.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class DaemonConfig(Record):
    """The `taskmasterd:` entry. Paths are absolute; None means the default of the user who runs the daemon.

    `pidfile` None with a configured socket means the socket's path + ".pid". `roles` maps names to roles, as
    `schema.checks.roles` makes them and `core.access` reads them.
    """

    socket: str | None = None
    socket_mode: int | None = None
    socket_group: str | None = None
    roles: Mapping[str, Any] = {}
    pidfile: str | None = None
    logfile: str | None = None
    loglevel: str = "info"
    log_dir: str | None = None
    state_dir: str | None = None
    cgroup_root: str | None = None
    history: Mapping[str, Any] = {"size": 16_000_000, "age": 7_776_000.0}
    user: str | None = None
    umask: int = 0o022
    shutdown_timeout: float = 60.0
    exit_when: str = "never"


DAEMON_KEYS = DaemonConfig.fields_
"""The keys that a file may use, in the order of the reference."""

DAEMON_LIVE_KEYS = frozenset({"roles", "loglevel", "history", "shutdown_timeout", "exit_when"})
"""The keys that a reload applies; the others wait for the next start of the daemon."""

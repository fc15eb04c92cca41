"""This life of the daemon as data, for the next one of the same process (see `upgrade`), and whether it can be left now."""

from __future__ import annotations

from taskmasterd.survival.claims import CLAIMED
from taskmasterd.system.loop.signals import hold_back, release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmasterd.control.access import Door
    from taskmasterd.control.context import Parts
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.system.loop.signals import Signals
    from taskmasterd.telling.audience import Audience

HANDED_OVER = ("places", "nofile", "loglevel", "foreground", "pid1", "orphans", "path", "mark_key")
"""What the launcher has found out holds for as long as the process lives."""


class Life:
    """Knows all that an exec would lose. `launch` is the state with which the daemon began, `running` what it was launched with."""

    def __init__(
        self, launch: Mapping[str, Any], running: DaemonConfig, parts: Parts, audience: Audience, sinks: Sinks
    ) -> None:
        self._launch = {name: launch[name] for name in HANDED_OVER}
        self._locks = {name: launch["fds"].get(name) for name in ("pidfile", *CLAIMED)}
        self._running = running
        self._parts = parts
        self._audience = audience
        self._sinks = sinks
        self.door: Door | None = None
        self.guard: Guard | None = None
        self.signals: Signals | None = None

    def state(self) -> dict[str, Any]:
        """Return the state for the next life as it is now, for others to see whether they can read it; nothing is different."""
        return self._rows(looking=True)

    def _rows(self, *, looking: bool) -> dict[str, Any]:
        parts = self._parts
        return {
            **self._launch,
            "config": {
                "path": parts.reloader.config.path,
                "daemon": self._running.to_data(),
                "programs": [],
                "files": [],
            },
            "fds": {
                **self._locks,
                "listener": self.door.server.listener if self.door else None,
                "ready": None,
                "channel": self.guard.fd if self.guard else None,
            },
            "life": {
                "lines": [line.decode("ascii") for line in parts.journal.lines()],
                "pipes": [(pipe.inode, pipe.fd, pipe.path) for pipe in parts.performer.outputs.pipes],
                "handles": parts.performer.ends.adopted.handles(),
                "started": parts.about.started,
                "sequence": self._audience.sequence,
                "sinks": self._sinks.to_data(),
                "connections": self.door.server.connections_to_data(looking=looking) if self.door else [],
            },
        }

    def handed_over(self) -> tuple[dict[str, Any], list[int]]:
        """Return the whole state for the next life, and the descriptors that it names besides `fds`."""
        state = self._rows(looking=False)
        life = state["life"]
        fds = [fd for _, fd, _ in life["pipes"]] + [handle for _, handle in life["handles"]]
        fds += [row["fd"] for row in (*life["sinks"]["open"].values(), *life["connections"])]
        operations = [row["operation"] for row in life["connections"] if row["operation"]]
        fds += [reader["fd"] for operation in operations for _, reader in operation.get("open_logs", ())]
        return state, [fd for fd in fds if fd is not None and fd >= 0]

    def unsettled(self) -> str:
        """Return what is under way that an exec would lose, or ""."""
        parts = self._parts
        if parts.reloader.busy:
            return "the configuration is being read"
        if not parts.performer.settled:
            return "programs are being started or ended"
        return "" if self.guard is None or self.guard.idle else "the guardian has yet to be told something"

    def hold_signals(self) -> bool:
        """Block the signals that mean something; returns False where one has come and is still unheard.

        A signal that is blocked and pending outlives an exec, one that Python has noted does not (signal(7), execve(2)).
        """
        hold_back()
        return self.signals is None or not self.signals.unheard

    @staticmethod
    def release_signals() -> None:
        """Undo `hold_signals`."""
        release()

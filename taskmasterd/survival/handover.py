"""Hands the running daemon over to the code that it executes in its own place (see `upgrade`): as data, at a quiet moment."""

from __future__ import annotations

from taskmasterd.survival.claims import CLAIMED
from taskmasterd.survival.state import ProcessState
from taskmasterd.system.loop.signals import hold_back, release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmasterd.control.access import Door
    from taskmasterd.control.context import Parts
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.survival.disk.rows import Rows
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.survival.state import Handed
    from taskmasterd.system.loop.signals import Signals
    from taskmasterd.telling.audience import Audience


class Handover:
    """Knows all that an exec would lose. `handed` is what this daemon was handed, `running` what it was launched with."""

    def __init__(
        self,
        handed: Handed,
        running: DaemonConfig,
        parts: Parts,
        rows: Rows,
        audience: Audience,
        sinks: Sinks,
    ) -> None:
        self._handed = handed
        self._running = running
        self._parts = parts
        self._rows = rows
        self._audience = audience
        self._sinks = sinks
        self.door: Door | None = None
        self.guard: Guard | None = None
        self.signals: Signals | None = None

    def state(self) -> dict[str, Any]:
        """Return a snapshot without side effects; the upgrade check uses it to test whether the new code can read it."""
        return self._state(looking=True).to_data()

    def handed_over(self) -> tuple[dict[str, Any], list[int]]:
        """Return the state for the code that is executed now, and the descriptors that it names besides `fds`."""
        state = self._state(looking=False)
        return state.to_data(), state.life.descriptors() if state.life else []

    def _state(self, *, looking: bool) -> Handed:
        parts, fds = self._parts, self._handed.fds
        life = ProcessState(
            lines=tuple(line.decode("ascii") for line in self._rows.lines()),
            pipes=tuple((pipe.inode, pipe.fd, pipe.path) for pipe in parts.performer.outputs.pipes),
            handles=tuple(parts.performer.ends.adopted.handles()),
            started=parts.about.started,
            sequence=self._audience.sequence,
            sinks=self._sinks.to_data(),
            connections=tuple(self.door.server.connections_to_data(looking=looking)) if self.door else (),
        )
        config = {"path": parts.reloader.config.path, "daemon": self._running.to_data(), "programs": [], "files": []}
        return self._handed.replace(
            config=config,
            fds={
                **{name: fds.get(name) for name in ("pidfile", *CLAIMED)},
                "listener": self.door.server.listener if self.door else None,
                "ready": None,
                "channel": self.guard.fd if self.guard else None,
            },
            notes=(),
            formerly="",
            door=None,
            life=life,
        )

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

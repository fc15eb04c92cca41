"""Hands the running daemon over, as data, to the code that it executes in its own place at a quiet moment (see `upgrade`)."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.core.words.describe import names_text
from taskmasterd.survival.holdings import CLAIMED
from taskmasterd.survival.state import ProcessState
from taskmasterd.system.loop.signals import hold_back, release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmasterd.control.access import Access
    from taskmasterd.control.context import Context
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.ondemand import Made
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.probing.health import HealthChecks
    from taskmasterd.probing.hooks import Hooks
    from taskmasterd.probing.readiness import Readiness
    from taskmasterd.sockets.holder import ProgramSockets
    from taskmasterd.survival.disk.rows import Rows
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.survival.state import Handed
    from taskmasterd.telling.audience import Audience


class ProcessParts(Record):
    """The parts whose state depends on descriptors, or has no value after the process's end; `renewing` returns it."""

    audience: Audience
    sinks: Sinks
    access: Access
    guard: Guard | None
    readiness: Made[Readiness]
    health: Made[HealthChecks]
    hooks: Made[Hooks]
    keeping: Made[Keeping]
    sockets: Made[ProgramSockets]
    renewing: Callable[[], Iterable[Mapping[str, Any]]]


class Handover:
    """Collects all state that an exec would lose.

    `handed` is what this daemon was handed, `running` the configuration it was launched with; `unheard()` returns whether a
    signal was noted but not handled yet.
    """

    def __init__(
        self,
        handed: Handed,
        running: DaemonConfig,
        context: Context,
        rows: Rows,
        parts: ProcessParts,
        unheard: Callable[[], bool],
    ) -> None:
        self._handed = handed
        self._running = running
        self._context = context
        self._rows = rows
        self._parts = parts
        self._unheard = unheard

    def state(self) -> dict[str, Any]:
        """Return a snapshot without side effects; the upgrade check uses it to test whether the new code can read it."""
        return self._state(looking=True).to_data()

    def handed_over(self) -> tuple[dict[str, Any], list[int]]:
        """Return the state for the code that is executed next, and the descriptors that it names besides `fds`."""
        state = self._state(looking=False)
        return state.to_data(), state.life.descriptors() if state.life else []

    def _state(self, *, looking: bool) -> Handed:
        context, parts, fds = self._context, self._parts, self._handed.fds
        adopted = context.performer.ends.adopted.made
        if not looking:
            for pipe in context.performer.outputs.pipes:
                pipe.sink.hand_over()
        life = ProcessState(
            lines=tuple(line.decode("ascii") for line in self._rows.lines()),
            pipes=tuple((pipe.inode, pipe.fd, pipe.path) for pipe in context.performer.outputs.pipes),
            handles=tuple(adopted.handles()) if adopted else (),
            started=context.identity.started,
            sequence=parts.audience.sequence,
            sinks=parts.sinks.to_data(),
            connections=tuple(parts.access.connections_to_data(looking=looking)),
            announced=tuple(parts.readiness.made.to_data()) if parts.readiness.made else (),
            health=tuple(parts.health.made.to_data()) if parts.health.made else (),
            sockets=parts.sockets.made.open.handed_over() if parts.sockets.made else (),
            renewing=tuple(parts.renewing()),
            runs=tuple(context.schedules.made.runs.unwritten()) if context.schedules.made else (),
        )
        config = {
            "path": context.configuration.config.path,
            "daemon": self._running.to_data(),
            "programs": [],
            "files": [],
        }
        return self._handed.replace(
            config=config,
            fds={
                **{name: fds.get(name) for name in ("pidfile", *CLAIMED)},
                "listener": parts.access.listener,
                "ready": None,
                "channel": parts.guard.fd if parts.guard and parts.guard.pid else None,
                "keeper": parts.keeping.made.fd if parts.keeping.made else None,
            },
            notes=(),
            formerly="",
            door=None,
            life=life,
        )

    def unsettled(self) -> str:
        """Return what an exec at this moment would lose, as text, or ""."""
        context, guard = self._context, self._parts.guard
        if context.reloading.made and context.reloading.made.busy:
            return "the configuration is being read"
        if not context.performer.settled:
            name = context.supervisor.table.name
            named = names_text(sorted(map(name, context.performer.instances.unsettled)), ", ")
            return f"programs are being started or ended{named and f': {named}'}"
        if self._parts.hooks.made and self._parts.hooks.made.unsettled:
            return self._parts.hooks.made.unsettled
        if self._parts.keeping.made and not self._parts.keeping.made.at_rest():
            return "a message to the keeper is under way"
        return "" if guard is None or guard.idle else "a message to the guardian is under way"

    def hold_signals(self) -> bool:
        """Block the signals that the daemon handles; returns False if one was noted but not handled yet.

        A blocked, pending signal outlives an exec; one that Python has noted does not (signal(7), execve(2)).
        """
        hold_back()
        return not self._unheard()

    @staticmethod
    def release_signals() -> None:
        """Undo `hold_signals`."""
        release()

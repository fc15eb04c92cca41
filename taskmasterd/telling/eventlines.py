"""Lines about a process in its own formatted log: `log_events`."""

from __future__ import annotations

from taskmaster_common.text.lineformat import STARTED
from taskmasterd.core.process.events import Spawned
from taskmasterd.core.words.describe import end_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process


def line(name: str, before: Process, event: Event, after: Process, signals: Mapping[int, str]) -> str:
    """Return what happened to a process, if that was its start or its end; else ""."""
    if isinstance(event, Spawned):
        return f"{name}{STARTED}{after.pid})"
    if after.end is not None and after.end is not before.end:
        return f"{name} ended: {end_text(after.end, signals)}"
    return ""

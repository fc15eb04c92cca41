"""Whether a subscription tells possible lives: each change begins where the one before ended, on an edge of the theory.

Pure but for the thread at the end, which reads. The edges are those of taskmasterd/core/process/machine.py, written down again.
"""

from __future__ import annotations

import threading
from typing import Any

from tests.soak.wire import Gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.stage import Stage

EDGES = {
    "STOPPED": "STARTING EXITED",
    "EXITED": "STARTING STOPPED",
    "FATAL": "STARTING STOPPED",
    "BACKOFF": "STARTING STOPPED",
    "STARTING": "RUNNING STOPPING STOPPED BACKOFF FATAL",
    "RUNNING": "STOPPING STARTING BACKOFF EXITED FATAL",
    "STOPPING": "STARTING STOPPED BACKOFF EXITED FATAL",
}
ALIVE = ("STARTING", "RUNNING", "STOPPING")


class Image:
    """What a subscriber believes."""

    def __init__(self) -> None:
        self.changes = 0
        self.snapshots = 0
        self._states: dict[tuple[str, int], str] = {}
        self._shown: set[tuple[str, int]] = set()
        self._sequence: int | None = None
        self._missed = False

    def take(self, message: dict[str, Any]) -> Iterator[str]:
        """Take in an object; yields what is wrong with it."""
        kind = message["type"]
        if kind == "missed":
            self._missed = True
        elif kind == "snapshot":
            yield from self._begin(message)
        elif kind == "processes":
            for process in message["processes"]:
                # what is known from changes is newer than, or the same as, what a snapshot shows
                slot = process["program"], process["instance"]
                if slot not in self._states:
                    self._states[slot] = process["state"]
                    self._shown.add(slot)
        elif kind == "change":
            yield from self._change(message)

    def _begin(self, snapshot: dict[str, Any]) -> Iterator[str]:
        self.snapshots += 1
        if self._sequence is not None and not self._missed and snapshot["sequence"] < self._sequence:
            yield f"a snapshot of {snapshot['sequence']} after change {self._sequence}"
        if self._sequence is None or self._missed:
            self._states.clear()
            self._shown.clear()
            self._sequence = snapshot["sequence"]
            self._missed = False

    def _change(self, change: dict[str, Any]) -> Iterator[str]:
        self.changes += 1
        process, before, state = change["process"], change["before"], change["state"]
        slot = process["program"], process["instance"]
        known = self._states.get(slot, "STOPPED")
        if self._sequence is None or change["sequence"] != self._sequence + 1:
            yield f"change {change['sequence']} follows {self._sequence}"
        self._sequence = change["sequence"]
        # a snapshot may show a process in a newer state, and the change that led there follows all the same (protocol)
        if before != known and slot not in self._shown:
            yield f"{slot} was {known}, and is said to have been {before}: {change}"
        if state != before and state not in EDGES[before].split():
            yield f"{slot} cannot go from {before} to {state}: {change}"
        if process["pid"] is not None and state not in ALIVE:
            yield f"{slot} is {state} and has pid {process['pid']}"
        if state == "RUNNING" and process["pid"] is None:
            yield f"{slot} is RUNNING without a pid"
        self._shown.discard(slot)
        if change["removed"]:
            self._states.pop(slot, None)
        else:
            self._states[slot] = state


class Subscriber(threading.Thread):
    """Reads a subscription from the beginning to the end of a soak, over the calms too."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(name="subscriber", daemon=True)
        self.stage = stage
        self.image = Image()

    def run(self) -> None:
        """Read until the daemon ends."""
        try:
            with self.stage.connect() as wire:
                wire.patience(None)
                wire.send(b"subscribe\n")
                while True:
                    for problem in self.image.take(wire.read()):
                        self.stage.found(f"subscription: {problem}")
        except Gone:
            if not self.stage.over and not self.stage.daemon_may_vanish:
                self.stage.found("the subscription was ended")

"""What is alive of a slot, as data for a later daemon, and who remembers that."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from taskmasterd.core.process.events import Failure
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.pipe import LogPipe
    from taskmasterd.processes.members.groups import Group
    from taskmasterd.system.procfs import Survivor

    class Recorder(Protocol):
        """Remembers what a later daemon has to know."""

        def flush(self) -> None:
            """Write what has changed."""

        def changed(self, entry: Entry, /) -> None:
            """What is alive of a slot is different."""

        def spawning(self, entry: Entry, began: float, pipes: Sequence[int], /) -> None:
            """An instance is about to be spawned, which will hold these pipes."""

        def ends(self, entry: Entry, status: int, /) -> None:
            """The leader of a slot has ended, and is about to be reaped."""


class Instance:
    """What is alive of one slot, or was a moment ago. `birth`: `boot_seconds` before and after its spawn.

    `ended` is its leader's wait status, None while it lives.
    """

    __slots__ = ("birth", "ended", "entry", "failure", "group", "left", "pipes")

    def __init__(self, entry: Entry, group: Group, pipes: Sequence[LogPipe], birth: tuple[float, float]) -> None:
        self.entry = entry
        self.group = group
        self.pipes = pipes
        self.birth = birth
        self.failure: Failure | None = None
        self.left: Sequence[Survivor] = ()
        self.ended: int | None = None

    def to_data(self) -> dict[str, object]:
        """Return what a later daemon needs to take this instance over."""
        data: dict[str, object] = {"pid": self.group.pid, "birth": self.birth}
        pipes = [(pipe.inode, pipe.path) for pipe in self.pipes if not pipe.closed]
        if pipes:
            data["pipes"] = pipes
        if self.group.signalled:
            data["told"] = list(self.group.signalled)
        if self.group.sessions:
            data["sessions"] = list(self.group.sessions)
        if self.left:
            data["left"] = [(survivor.pid, survivor.started) for survivor in self.left]
        if self.ended is not None:
            data["ended"] = self.ended
        return data

"""The end of one log, as all streams see it that lead there."""

from __future__ import annotations

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.log.file import GoneError, LogFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from taskmaster_common.text.lineformat import LineOrigin
    from taskmasterd.output.log.opening import OpenLog

    Place = tuple[int, int, int]
    """Device, inode and length of a log; zeros for one that is no regular file."""

    class Writing(Protocol):
        """A stream that leads to a log."""

        def note_end(self) -> None:
            """Note where the log ends, which somebody else has written."""

        def tell(self, origin: LineOrigin, text: str, /) -> None:
            """Write a line of the daemon's own about an instance."""

        def finish(self) -> object:
            """Write what is left of the stream, and end with it."""


NOWHERE = (0, 0, 0)
SOMEBODY = object()
"""Whose line has begun at the end of a log where that is none of ours."""


class Tail:
    """Where the log ends, None while that is not known; the stream whose line has begun there, if any; the streams."""

    __slots__ = ("begun", "place", "streams")

    def __init__(self) -> None:
        self.place: Place | None = None
        self.begun: Writing | object | None = None
        self.streams: set[Writing] = set()

    def ends(self, place: Place | None, begun: Writing | object | None) -> None:
        """Note where the log ends, and whose line has begun there."""
        self.place, self.begun = place, begun


def place_of(log: OpenLog) -> Place:
    """Return where a log ends, zeros where that cannot be said."""
    try:
        target = log.target()
        return target.place() if isinstance(target, LogFile) else NOWHERE
    except GoneError:
        log.leave_deleted()
        return place_of(log)
    except (OSError, SystemFailure):
        return NOWHERE  # writing meets it again, and counts it


def let_rotate(log: OpenLog) -> None:
    """Let a log rotate if that is due."""
    target = log.regular_file
    if target is not None:
        try:
            target.turn()
        except (GoneError, OSError):
            return  # writing meets it again


def is_cut_off(log: OpenLog) -> bool:
    """Return whether a log ends within a line."""
    target = log.regular_file
    try:
        return target is not None and not target.ends_line()
    except (GoneError, OSError):
        return False

"""The channels of all slots whose instances announce something, and how they outlive the daemon.

A live upgrade hands them over, and a guardian keeps a second descriptor of each: nothing is missed then. Without one, a later
daemon opens the pipe again through the process that holds it, and binds the socket again at the same path.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure
from taskmasterd.fallbacks import SHORTAGES
from taskmasterd.probing.announced.line import ReadyLine, find_line
from taskmasterd.probing.announced.notify import NotifySocket, bind
from taskmasterd.processes.preparation import Announcement
from taskmasterd.system.loop.cmodules import keyed_hash, partial
from taskmasterd.system.paths.held import inode_of, unlink_own
from taskmasterd.system.spawner import SetupError, child_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.streams import Outputs
    from taskmasterd.probing.text.message import Message
    from taskmasterd.probing.text.result import Result
    from taskmasterd.system.loop.reactor import Reactor

    Owner = tuple[int, int] | None
    """uid and gid, None for the daemon's own."""

FD, NOTIFY = "fd", "notify"
FROM_START = "from_start"
"""What the data of a socket says if it is older than its instance: it has not been bound again for an earlier daemon's."""
MOST_NAME = 24
"""Characters of the program's name in that of its socket: a path has room for 107 bytes (unix(7))."""


class Channels:
    """At most one channel of each kind a slot. `socket` is the daemon's own, beside which those of the slots are.

    `heard(entry, message)` gets what comes on a socket, `line_read(entry, result)` what comes on a pipe.
    """

    def __init__(
        self,
        reactor: Reactor,
        outputs: Outputs,
        socket: str,
        heard: Callable[[Entry, Message], None],
        line_read: Callable[[Entry, Result], None],
    ) -> None:
        self._reactor = reactor
        self._outputs = outputs
        self._socket = socket
        self._heard = heard
        self._line_read = line_read
        self._open: dict[tuple[Entry, str], ReadyLine | NotifySocket] = {}

    def has(self, entry: Entry, kind: str) -> bool:
        """Return whether a slot has a channel of that kind."""
        return (entry, kind) in self._open

    def has_from_start(self, entry: Entry) -> bool:
        """Return whether a slot's socket is older than its instance, so that nothing can have gone to one before it."""
        channel = self._open.get((entry, NOTIFY))
        return isinstance(channel, NotifySocket) and bool(channel.to_data().get(FROM_START))

    def open_line(self, entry: Entry, number: int, owner: Owner) -> Announcement:
        """Make the pipe that the next instance of a slot has as descriptor `number`. Raises OSError."""
        read, write = child_pipe(owner)
        self._watch_line(entry, read, number)
        return Announcement(extra=(number, write))

    def open_socket(self, entry: Entry, owner: Owner) -> str:
        """Make the socket of the next instance of a slot and return its path. Raises SetupError, or OSError for a shortage."""
        try:
            self._listen(entry, {**bind(self._path(entry), owner), FROM_START: True})
        except SystemFailure as failure:
            if failure.errno in SHORTAGES:
                raise OSError(failure.errno, str(failure)) from None
            raise SetupError("notify", str(failure)) from None
        return self._path(entry)

    def find(self, entry: Entry, number: int) -> bool:
        """Open the pipe of an instance of an earlier daemon again; return False where nobody holds it any more."""
        fd = find_line(entry.process.pid or 0, number, {pipe.inode for pipe in self._outputs.pipes})
        if fd is None:
            return False
        self._watch_line(entry, fd, number)
        return True

    def bind(self, entry: Entry, owner: Owner) -> None:
        """Hear from now on what an instance says, also one of an earlier daemon. Raises SystemFailure."""
        self._listen(entry, bind(self._path(entry), owner))

    def clear(self, entry: Entry) -> None:
        """Remove the socket that an earlier daemon has left for an instance that is gone."""
        path = self._path(entry)
        unlink_own(path, inode_of(path))

    def close(self, entry: Entry) -> None:
        """Close the channels of a slot."""
        for kind in (FD, NOTIFY):
            channel = self._open.pop((entry, kind), None)
            if channel:
                channel.close()

    # -- a later daemon

    def to_data(self) -> list[dict[str, Any]]:
        """Return all channels with their descriptors."""
        return [channel.to_data() for channel in self._open.values() if channel.fd >= 0]

    def resume(self, entry: Entry | None, row: Mapping[str, Any]) -> None:
        """Go on with a channel of an earlier daemon; of what is gone by now, close it."""
        if entry is None or not entry.process.alive:
            if self._outputs.keeper:
                self._outputs.keeper.drop(os.fstat(row["fd"]).st_ino)
            os.close(row["fd"])
        elif row["kind"] == FD:
            self._watch_line(entry, row["fd"], row["number"])
        else:
            self._listen(entry, row)

    # -- inside

    def _watch_line(self, entry: Entry, fd: int, number: int) -> None:
        row = {"kind": FD, "program": entry.program, "index": entry.index, "number": number, "fd": fd}
        done = partial(self._line_read, entry)
        self._open[entry, FD] = ReadyLine(self._reactor, row, done, self._outputs.keeper)

    def _listen(self, entry: Entry, row: Mapping[str, Any]) -> None:
        row = {**row, "kind": NOTIFY, "program": entry.program, "index": entry.index}
        heard = partial(self._heard, entry)
        self._open[entry, NOTIFY] = NotifySocket(self._reactor, row, heard, self._outputs.keeper)

    def _path(self, entry: Entry) -> str:
        """Return the path of a slot's socket: the same in each life of the daemon, and another one beside another daemon."""
        whose = keyed_hash(b"", f"{self._socket}\0{entry.program}".encode("utf-8", "surrogateescape")).hex()[:8]
        return f"{os.path.dirname(self._socket)}/{entry.program[:MOST_NAME]}.{entry.index}.{whose}.notify"

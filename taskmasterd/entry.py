"""What a resident interpreter does: be the daemon, or only say whether this code could be it."""

from __future__ import annotations

import os
import sys

from taskmaster_common import __version__
from taskmaster_common.errors import TaskmasterError
from taskmasterd.daemon import Daemon
from taskmasterd.origin import NOTHING_KEPT, origin_of, read_state
from taskmasterd.system.held import inode_of_fd, unlink_own
from taskmasterd.system.lean import socket
from taskmasterd.system.logsink import LogSink
from taskmasterd.system.places import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def resident(state_fd: int, kept: str) -> int:
    """Be the daemon until it is told to stop; returns the exit code.

    `state_fd` holds the state as JSON, `kept` is the number of the descriptor with what the guardian has kept, or "-".
    """
    origin = origin_of(read_state(state_fd), kept)
    ready, places = origin.state["fds"]["ready"], origin.state["places"]
    try:
        daemon = Daemon(origin)
        daemon.begin(origin)
        signals = daemon.listen()
    except Exception as error:
        # main()'s broad except: the launcher waits for an answer, and nobody else would tell it
        text = str(error) if isinstance(error, TaskmasterError) else f"cannot start: {error!r}"
        if ready is not None:
            report(ready, 1, text)
        if origin.launched or origin.channel is None:  # otherwise they are the guardian's, who tries again
            unlink_own(places["socket"], origin.door)
            unlink_own(places["pidfile"], inode_of_fd(origin.state["fds"]["pidfile"]))
        if not isinstance(error, TaskmasterError):
            raise
        print(f"taskmasterd: {text}", file=sys.stderr)
        return 1
    del origin  # what was handed over is not needed for as long as the daemon lives
    return daemon.run(signals)


def check(state_fd: int) -> int:
    """Say whether this code could go on with the state on a descriptor; the last line begins with "ok" where it can."""
    state = read_state(state_fd)
    _stand_in(state)
    try:
        origin = origin_of(state, NOTHING_KEPT)
        daemon = Daemon(origin)
    except TaskmasterError as error:
        print(error)
        return 1
    for row in state["life"]["sinks"]["open"].values():
        LogSink(row["path"], 0, 0, None, print).inherit(row)
    daemon.door.server.restore(state["life"]["connections"], lambda _connection, _operation: None)
    print(f"ok {__version__}, {len(origin.saved.slots) if origin.saved else 0} processes")
    return 0


def _stand_in(state: dict[str, Any]) -> None:
    """Put descriptors that lead nowhere in the place of the daemon's, of which a check has inherited none.

    On these a whole daemon can be built, as after the exec; its loop is never run, and nobody notices.
    """
    null = os.open(os.devnull, os.O_RDWR)
    nobody, _other = (end.detach() for end in socket.socketpair())
    sockets = ("listener", "channel")
    state["fds"] = {name: fd and (os.dup(nobody) if name in sockets else null) for name, fd in state["fds"].items()}
    life = state["life"]
    life["pipes"] = [(inode, null, path) for inode, _fd, path in life["pipes"]]
    life["handles"] = [(pid, null) for pid, _handle in life["handles"]]
    for row in life["sinks"]["open"].values():
        row["fd"] = row["fd"] and null
    for row in life["connections"]:
        row["fd"] = os.dup(nobody)

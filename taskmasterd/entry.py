"""What a resident interpreter does: be the daemon, or only say whether this code could be it."""

from __future__ import annotations

import sys

from taskmaster_common import __version__
from taskmaster_common.errors import TaskmasterError
from taskmasterd.daemon import Daemon
from taskmasterd.origin import NOTHING_KEPT, origin_of
from taskmasterd.system.places import inode_of_fd, report, unlink_own


def resident(state_fd: int, kept: str) -> int:
    """Be the daemon until it is told to stop; returns the exit code.

    `state_fd` holds the state as JSON, `kept` is the number of the descriptor with what the guardian has kept, or "-".
    """
    origin = origin_of(state_fd, kept)
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
    try:
        origin = origin_of(state_fd, NOTHING_KEPT)
    except TaskmasterError as error:
        print(error)
        return 1
    print(f"ok {__version__}, {len(origin.saved.slots) if origin.saved else 0} processes")
    return 0

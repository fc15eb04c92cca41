"""The pipe on which a child writes."""

from __future__ import annotations

import os

from taskmasterd.system.spawner.spec import is_shortage


def child_pipe(owner: tuple[int, int] | None) -> tuple[int, int]:
    """Return (read end, child's end) of a pipe for output.

    If /proc allows it, the child's end is open for reading, too: then the child is the pipe's last reader, and can go on writing
    after the daemon's death. `owner` gets the pipe, so that a child of another user may open /dev/stdout. Raises OSError.
    """
    read, write = os.pipe()
    try:
        os.set_blocking(read, False)
        if owner:
            os.fchown(write, *owner)
        child = os.open(f"/proc/self/fd/{write}", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if not is_shortage(error):  # no /proc, or one that is closed to us
            return read, write
        os.close(read)
        os.close(write)
        raise
    os.close(write)
    return read, child

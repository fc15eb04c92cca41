"""The journal: a program gets a stream to journald of its own, so no byte passes the daemon.

Source: sd_journal_stream_fd(3), and the first lines of such a stream: identifier, unit, priority, whether lines begin with
their priority, and whether they are forwarded (syslog, kmsg, console).
"""

from __future__ import annotations

import os

from taskmaster_common.errors import system_reason
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.spawner import SetupError, is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.elsewhere import Elsewhere


def journal_stream(target: Elsewhere) -> int:
    """Return a descriptor of a new stream, for a child. Raises SetupError where there is no journal, or OSError for a shortage."""
    path = target.address.removeprefix("unix:")
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.setblocking(False)  # a journal that accepts nobody must not hold up the daemon
        stream.connect(path)
        head = f"{target.tag}\n\n{target.severity}\n1\n0\n0\n0\n".encode("utf-8", "surrogateescape")
        stream.send(head)
        stream.setblocking(True)
        return os.dup(stream.fileno())
    except OSError as error:
        if is_shortage(error):
            raise
        raise SetupError("journal", f"cannot reach the journal at {path}: {system_reason(error)}") from None
    finally:
        stream.close()

"""The C part of the module socket, as in `cmodules`; a daemon without clients does without it (0.16 MB)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
else:
    import _socket as socket

__all__ = ["accept", "socket"]


def accept(listener: socket.socket) -> socket.socket:
    """Return the next connection, close-on-exec. Raises OSError (accept(2))."""
    fd, _address = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - what the module's own accept calls
    return socket.socket(fileno=fd)

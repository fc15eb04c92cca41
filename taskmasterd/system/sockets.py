"""UNIX sockets, by the C part of the module `socket` alone.

The module itself makes enums of all its numbers and imports selectors: 0.3 MB resident and 3 ms at each start, for nothing
that the daemon needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
else:
    try:
        import _socket as socket
    except ImportError:
        import socket

__all__ = ["accept", "socket"]


def accept(listener: socket.socket) -> socket.socket:
    """Return the next connection, which no child inherits. Raises OSError (accept(2))."""
    fd, _address = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - what the module's own accept calls
    return socket.socket(fileno=fd)

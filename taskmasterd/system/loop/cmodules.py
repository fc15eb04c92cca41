"""The C parts of standard modules, for the processes that stay resident.

What Python wraps around them makes enums of all signals and socket options, and brings in enum, functools, collections and
selectors: 1.3 MB resident and 8 ms at each start, for nothing that the daemon needs (measured: 3.11). The types are the modules' own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from collections import deque
    from functools import partial
    from heapq import heapify, heappop, heappush
else:
    import _signal as signal
    import _socket as socket
    from _collections import deque
    from _functools import partial
    from _heapq import heapify, heappop, heappush

__all__ = ["accept", "deque", "heapify", "heappop", "heappush", "keyed_hash", "partial", "signal", "socket"]
HASH_BYTES = 16


def accept(listener: socket.socket) -> socket.socket:
    """Return the next connection, which no child inherits. Raises OSError (accept(2))."""
    fd, _address = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - what the module's own accept calls
    return socket.socket(fileno=fd)


def keyed_hash(key: bytes, text: bytes) -> bytes:
    """Return HASH_BYTES that nobody can compute who does not know the key.

    The package hashlib would load OpenSSL: 3 MB and more.
    """
    try:
        from _blake2 import blake2s  # noqa: PLC0415 - CPython may be built without it
    except ImportError:
        import hashlib  # noqa: PLC0415 - see above
        import hmac  # noqa: PLC0415

        return hmac.new(key, text, hashlib.sha256).digest()[:HASH_BYTES]
    return bytes(blake2s(text, key=key, digest_size=HASH_BYTES).digest())

"""The C parts of standard modules, for the processes that stay resident.

The Python modules around them make enums of all signals and socket options, and import enum, functools and collections: signal,
socket, collections, functools and heapq take 1.3 MB, their C parts 0.1 MB, and 8 ms less at each start. For the same reason
(MB in parentheses) resident code imports no json (1.2, see `jsontext`), dataclasses (2.8, see `records`), enum (0.8), typing
(1.8), re (1.1) or selectors (0.6). Measured as the growth of Private_Dirty in smaps_rollup at the import, by a bare interpreter
(-I -S, Python 3.11).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections import deque
    from functools import partial
    from heapq import heapify, heappop, heappush
else:
    import _signal as signal
    from _collections import deque
    from _functools import partial
    from _heapq import heapify, heappop, heappush

__all__ = ["deque", "heapify", "heappop", "heappush", "keyed_hash", "partial", "signal"]
HASH_BYTES = 16
"""Length of a keyed hash, bytes."""


def keyed_hash(key: bytes, text: bytes) -> bytes:
    """Return HASH_BYTES that only a holder of the key can compute.

    It uses CPython's C module, if that exists: hashlib loads OpenSSL, which takes 0.6 MB of private memory, and more shared.
    """
    try:
        from _blake2 import blake2s  # noqa: PLC0415 - CPython may be built without it
    except ImportError:
        import hashlib  # noqa: PLC0415 - see above
        import hmac  # noqa: PLC0415

        return hmac.new(key, text, hashlib.sha256).digest()[:HASH_BYTES]
    return bytes(blake2s(text, key=key, digest_size=HASH_BYTES).digest())

"""Writes text to the standard streams at once, without a buffer of Python's; says what no file may take the place of."""

from __future__ import annotations

import os
import stat
import time

from taskmaster_common.errors import SystemFailure, system_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Write = Callable[[Iterable[tuple[int, str]]], None]

OUT, ERR = 1, 2
NON_BLOCKING_PAUSE_S = 0.01
"""Pause before another try where a stream is non-blocking and full, seconds."""


def write(chunks: Iterable[tuple[int, str]]) -> None:
    """Write each text to its stream (OUT or ERR). Raises BrokenPipeError, SystemFailure; errors of stderr are ignored."""
    for stream, text in chunks:
        try:
            write_all(stream, text)
        except OSError as error:
            if stream == OUT:
                if isinstance(error, BrokenPipeError):
                    raise
                reason = system_reason(error)
                raise SystemFailure("write", "standard output", reason, error.errno or 0) from None


def write_all(descriptor: int, text: str) -> None:
    """Write a text to a descriptor. Raises OSError."""
    rest = memoryview(_encoded(text))
    while rest:
        rest = rest[_write_some(descriptor, rest) :]


def in_the_way(path: str) -> str:
    """Return why no file may be put in the place of `path`: a device, a FIFO, a socket or a directory, or a link to one; or ""."""
    try:
        kind = os.stat(path).st_mode
    except OSError:  # nothing, or a link that leads nowhere
        return ""
    return "" if stat.S_ISREG(kind) else "it is no regular file, and stays as it is"


def _write_some(stream: int, text: memoryview) -> int:
    try:
        return os.write(stream, text)
    except BlockingIOError:  # another process that shares the terminal made it non-blocking
        time.sleep(NON_BLOCKING_PAUSE_S)
        return 0


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that does not stand for a byte
        return text.encode("utf-8", "backslashreplace")

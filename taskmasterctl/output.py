"""Writes text to the client's standard streams at once, without a buffer of Python's."""

from __future__ import annotations

import os
import time

from taskmaster_common.errors import SystemFailure, system_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

OUT = 1
NON_BLOCKING_PAUSE_S = 0.01


def write(chunks: Iterable[tuple[int, str]]) -> None:
    """Write text to the streams at once. Raises BrokenPipeError, SystemFailure; a closed stderr is nobody's loss."""
    for stream, text in chunks:
        _write(stream, text)


def _write(stream: int, text: str) -> None:
    rest = memoryview(_encoded(text))
    try:
        while rest:
            rest = rest[_write_some(stream, rest) :]
    except OSError as error:
        if stream == OUT:
            if isinstance(error, BrokenPipeError):
                raise
            reason = system_reason(error)
            raise SystemFailure("write", "standard output", reason, error.errno or 0) from None


def _write_some(stream: int, text: memoryview) -> int:
    try:
        return os.write(stream, text)
    except BlockingIOError:  # somebody who shares the terminal has made it non-blocking
        time.sleep(NON_BLOCKING_PAUSE_S)
        return 0


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that no byte was made of
        return text.encode("utf-8", "backslashreplace")

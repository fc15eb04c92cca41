"""A log's sink by itself, without the daemon's `Sinks`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taskmasterd.output.ledger import Ledger
from taskmasterd.output.log.opening import OpenLog
from taskmasterd.output.sink import LogSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.output.safe.open import Owner


def lone_sink(
    path: str,
    max_bytes: int,
    backups: int,
    owner: Owner,
    say: Callable[[str], None],
    now: Callable[[], float] = time.monotonic,
) -> LogSink:
    """Return a sink that shares nothing with others; `say` hears what fails for now."""
    log = OpenLog(path, owner, Ledger(path, say, now))
    log.set_limits(max_bytes, backups)
    return LogSink(log)

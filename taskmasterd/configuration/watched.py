"""What -t asks the host about watched files: how many directories there are."""

from __future__ import annotations

import os
import time

from taskmasterd.renewal.watcher.patterns import DEFAULT_IGNORED, Patterns, root_and_pattern
from taskmasterd.renewal.watcher.trees import Filter, WatchedPlace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST = 10_001
"""Directories after which the count ends."""
MOST_S = 0.5
"""Time after which it ends, seconds: the configuration is read by someone who waits."""


class _EnoughError(Exception):
    """The count has come to its end."""


def directories(workingdir: str, watch: Mapping[str, Any]) -> int:
    """Return how many directories a value of `watch` means, MOST or fewer where there are more or the time is over."""
    found, until = 0, time.monotonic() + MOST_S

    def add(_tree: WatchedPlace, _relative: str, _path: str) -> None:
        nonlocal found
        found += 1
        if found >= MOST or time.monotonic() > until:
            raise _EnoughError

    ignored = (*watch["ignore"], *(DEFAULT_IGNORED if watch["default_ignores"] else ()))
    chosen = Filter(Patterns(watch["include"]), Patterns(ignored), lambda _path: False)
    try:
        for path in watch["paths"]:
            tree = WatchedPlace(*root_and_pattern(os.path.normpath(os.path.join(workingdir, path))), "", chosen)
            for _ in tree.walk("", add):
                pass
    except _EnoughError:
        pass
    return found

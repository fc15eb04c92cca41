"""Helpers of the tests about what programs read: the keeper of a daemon, its end and what it holds."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.daemon import Daemon, lives
from tests.support.wait import wait_until

NAME = "taskmasterkeep"


def keepers(daemon: Daemon) -> list[int]:
    """Return the pids of the daemon's keepers: one, or none."""
    return lives(daemon.socket, NAME)


def keeper_of(daemon: Daemon) -> int:
    """Return the pid of the daemon's keeper, once it has begun."""
    wait_until(lambda: len(keepers(daemon)) == 1)
    return keepers(daemon)[0]


def kill_keeper(daemon: Daemon) -> None:
    """Kill the keeper, and wait until it is gone."""
    pid = keeper_of(daemon)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in keepers(daemon))


def file_has(path: Path, content: bytes) -> None:
    """Wait until a file holds exactly this; fails with what it holds."""
    try:
        wait_until(lambda: path.exists() and path.read_bytes() == content)
    except AssertionError:
        raise AssertionError(f"{path} holds {path.read_bytes() if path.exists() else None!r}") from None

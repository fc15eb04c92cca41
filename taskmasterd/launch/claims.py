"""What a daemon claims for itself besides its socket: the directory of its programs' default logs, and its event log.

Two daemons that write and rotate the same logs lose each other's lines. So each locks a small file beside its logs, whatever
name leads there, and writes into it whose they are. Where no such file can be created, nothing keeps two daemons apart.
"""

from __future__ import annotations

import fcntl
import os
import time

from taskmaster_common.errors import SystemFailure, TaskmasterError
from taskmaster_common.jsontext import read_json, write_json
from taskmaster_common.records import Record
from taskmasterd.survival.holdings import give_back, lock_paths
from taskmasterd.system.paths.locks import LONGEST_TEXT, LockedError, lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmasterd.system.paths.locks import Owner

WAIT_S, PAUSE_S = 0.3, 0.02
"""Longest wait for a lock, and the pause between two tries, seconds: a look, or a child of a dying daemon, holds one briefly."""


class Holder(Record):
    """The daemon that holds what we need: its `pid`, `socket` and configuration, 0 and "" if unknown."""

    pid: int
    socket: str
    config: str


class ClaimedError(TaskmasterError):
    """Another daemon holds the places of these configuration `keys`; `holder` is the daemon of the first one."""

    def __init__(self, keys: tuple[str, ...], holder: Holder) -> None:
        super().__init__(holder)
        self.keys = keys
        self.holder = holder


def claim(places: Mapping[str, str | None], owner: Owner | None, mine: Holder) -> dict[str, int]:
    """Lock all places where that is possible; returns the descriptors by key. Raises ClaimedError, and then holds no lock."""
    held: dict[str, int] = {}
    taken: dict[str, Holder] = {}
    for key, path in lock_paths(places):
        try:
            held[key] = _lock(path, owner)
        except LockedError as locked:
            taken[key] = _holder_of(str(locked))
        except SystemFailure:  # a directory where we may not create files, or another user's file
            continue
    if taken:
        give_back(places, held)
        raise ClaimedError(tuple(taken), next(iter(taken.values())))
    text = write_json(mine.to_data()) + b"\n"
    for fd in held.values():
        os.ftruncate(fd, 0)
        os.pwrite(fd, text, 0)
    return held


def claimed_by_others(places: Mapping[str, str | None], socket: str) -> tuple[tuple[str, ...], Holder] | None:
    """Return the keys whose places a daemon at another socket holds, and that daemon; None if none does. Changes nothing."""
    found: dict[str, Holder] = {}
    for key, path in lock_paths(places):
        holder = _look(path)
        if holder and holder.socket != socket:
            found[key] = holder
    return (tuple(found), next(iter(found.values()))) if found else None


def _lock(path: str, owner: Owner | None) -> int:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            return lock_file(path, "lock", owner)
        except LockedError:
            if time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)


def _look(path: str) -> Holder | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder_of(os.pread(fd, LONGEST_TEXT, 0).decode("utf-8", "replace"))
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


def _holder_of(text: str) -> Holder:
    try:
        data = read_json(text)
        return Holder(int(data["pid"]), str(data["socket"]), str(data["config"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Holder(0, "", "")

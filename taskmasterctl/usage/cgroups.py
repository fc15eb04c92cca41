"""The control groups of programs, where programs have some of their own: then the kernel counts exactly. Source: cgroups(7)."""

from __future__ import annotations

import itertools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOUNT = "/sys/fs/cgroup"
MICROSECONDS = 1_000_000


class Cgroups:
    """The unified hierarchy at its mount point. `present` is false where the host has only the older ones, or none."""

    def __init__(self, mount: str = MOUNT) -> None:
        self._mount = mount
        self.present = os.path.exists(f"{mount}/cgroup.controllers")

    def memory(self, path: str) -> int | None:
        """Return the bytes of anonymous memory and swap of a group and of those below it, None if that is not counted."""
        numbers = self._numbers(f"{path}/memory.stat")
        if "anon" not in numbers:
            return None
        swap = self._read(f"{path}/memory.swap.current").strip()
        return numbers["anon"] + (int(swap) if swap.isdecimal() else 0)

    def cpu_s(self, path: str) -> float | None:
        """Return the seconds of processor time of a group and of those below it, None if nobody knows."""
        used = self._numbers(f"{path}/cpu.stat").get("usage_usec")
        return None if used is None else used / MICROSECONDS

    def pids(self, path: str) -> list[int]:
        """Return the processes of a group and of those below it."""
        found: list[int] = []
        for where, _below, _files in os.walk(self._mount + path):
            found += map(int, self._read(f"{where[len(self._mount) :]}/cgroup.procs").split())
        return found

    def _numbers(self, name: str) -> dict[str, int]:
        pairs = (line.split() for line in self._read(name).splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}

    def _read(self, name: str) -> str:
        try:
            with open(self._mount + name, encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:
            return ""


def exclusive(groups: Mapping[int, str], daemon: str) -> dict[int, str]:
    """Return the groups that are of one leader alone: neither the daemon's nor another leader's is the same, or below it.

    `groups` are those of the leaders, by pid. The root counts everybody, so it is nobody's.
    """
    taken = {pid: path for pid, path in groups.items() if path not in ("", "/", daemon) and not _holds(path, daemon)}
    ordered = sorted((path, pid) for pid, path in groups.items())
    shared: set[str] = set()
    for (path, _), (following, _) in itertools.pairwise(ordered):
        if following == path or _holds(path, following):
            shared.add(path)
    return {pid: path for pid, path in taken.items() if path not in shared}


def _holds(path: str, other: str) -> bool:
    """Return whether the group `other` is below the group `path`."""
    return other.startswith(path.rstrip("/") + "/")

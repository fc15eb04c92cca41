"""Paths whose names only the system makes: below /dev, and the descriptors of processes below /proc.

Pure text. What such a path leads to is never a file that somebody created there, whatever a link says at the moment.
"""

from __future__ import annotations

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
MAYBE_SYSTEM = ("/dev", "/proc")
"""Parts without which no path leads where only the system makes names, whatever else is in it."""


def normalised(path: str) -> str:
    """Return an absolute path without empty, `.` and `..` parts, as text alone: links are not looked at."""
    return "/" + "/".join(_parts(path))


def _parts(path: str) -> list[str]:
    """Return the parts of the normalised path."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def is_system_name(path: str) -> bool:
    """Return whether only the system makes names there: /dev/NAME, /dev/pts/N and descriptors, but not /dev/shm/NAME."""
    if path.startswith("/") and not any(part in path for part in MAYBE_SYSTEM):  # asked for each log at each start
        return False
    parts = _parts(path)
    match parts:
        case ["dev", _] | ["dev", "fd" | "pts", _]:
            return True
        case _:
            return _descriptor(parts) is not None


def own_descriptor(path: str, pid: int) -> int | None:
    """Return the number of the descriptor that a path means to the process `pid`, or None: a device, another process."""
    parts = _parts(path)
    match parts:
        case ["dev", name] if name in STREAMS:
            return STREAMS[name]
        case ["dev", "fd", number] if number.isdecimal():
            return int(number)
        case _:
            found = _descriptor(parts)
            return found[1] if found and found[0] in ("self", "thread-self", str(pid)) else None


def _descriptor(parts: list[str]) -> tuple[str, int] | None:
    """Return the process and the number of /proc/PROCESS/fd/N, the threads' spelling included."""
    match parts:
        case ["proc", process, "fd", number] | ["proc", process, "task", _, "fd", number]:
            return (process, int(number)) if number.isdecimal() else None
        case _:
            return None

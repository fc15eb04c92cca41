"""What the kernel says of a process in its log, for `why`; only root may read that. Source: Documentation/ABI/testing/dev-kmsg."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LOG = "/dev/kmsg"
MOST_RECORD = 8192
MOST_RECORDS = 100_000
MOST_LINES = 3


def kernel_lines(pids: Iterable[int], path: str = LOG) -> dict[int, list[str]]:
    """Return the last lines of the kernel's log about each of these processes; {} where it cannot be read."""
    found: dict[int, list[str]] = {pid: [] for pid in pids}
    if not found:
        return {}
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        for _ in range(MOST_RECORDS):
            try:
                record = os.read(fd, MOST_RECORD)
            except BrokenPipeError:  # it was overwritten meanwhile; the next one follows
                continue
            except OSError:
                break
            if not record:
                break
            text = record.partition(b";")[2].partition(b"\n")[0].decode("utf-8", "replace")
            for pid, lines in found.items():
                if is_about(text, pid):
                    lines.append(text)
                    del lines[:-MOST_LINES]
    finally:
        os.close(fd)
    return {pid: lines for pid, lines in found.items() if lines}


def is_about(text: str, pid: int) -> bool:
    """Return whether a line names a process as the kernel does: "python3[4711]: segfault at 0", "Killed process 4711 (x)"."""
    return f"[{pid}]: " in text or f"process {pid} (" in text or f"pid={pid}," in text

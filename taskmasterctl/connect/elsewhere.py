"""Finds a daemon of this user that listens at another path, by its pid file and the kernel's list of sockets.

The usual reason: XDG_RUNTIME_DIR is set in a login session, but not in cron or after su. It changes nothing and locks
nothing; it is imported only when no daemon was reached.
"""

from __future__ import annotations

import os

from taskmaster_common.paths import default_places
from taskmasterctl.visible import shell_quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_BYTES = 4 * 1024 * 1024
"""Most that is read of the kernel's list, bytes."""
LISTENING = 0x10000
"""Source: include/uapi/linux/net.h, __SO_ACCEPTCON, the flags that proc_net_unix shows; proc(5)."""


def own_daemon(tried: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return hints to this user's daemon if it listens at another path than those `tried`; () if none is found."""
    pid = _pid(default_places(os.geteuid(), environment).pidfile)
    found = [path for path in listening(pid) if path not in tried] if pid else []
    if not found:
        return ()
    path = found[0]
    runtime = environment.get("XDG_RUNTIME_DIR")
    why = f"is {runtime} here" if runtime else "is not set here"
    reason = f" (XDG_RUNTIME_DIR {why})" if os.geteuid() else ""
    return (
        f"Your daemon (pid {pid}) listens on another socket: {path}{reason}",
        f"Reach it:  taskmasterctl -s {shell_quoted(path)} status",
    )


def listening(pid: int) -> list[str]:
    """Return the paths of the UNIX sockets on which a process listens, without those by a descriptor of its own; [] without /proc."""
    try:
        held = _open_files(f"/proc/{pid}/fd")
        with open("/proc/net/unix", "rb") as file:
            lines = file.read(MOST_BYTES).splitlines()[1:]
    except OSError:
        return []
    rows = [line.split(None, 7) for line in lines]
    return [
        os.fsdecode(row[7])
        for row in rows
        if len(row) == 8
        and int(row[3], 16) & LISTENING
        and f"socket:[{row[6].decode()}]" in held
        and row[7].startswith(b"/")
        and not row[7].startswith(b"/proc/self/fd/")
    ]


def _open_files(directory: str) -> set[str]:
    """Return what the descriptors of a process lead to; it may close some meanwhile. Raises OSError."""
    found = set()
    for fd in os.listdir(directory):
        try:
            found.add(os.readlink(f"{directory}/{fd}"))
        except FileNotFoundError:  # closed since then
            continue
    return found


def _pid(pidfile: str) -> int:
    """Return the pid in a pid file if a daemon of ours has that pid, else 0."""
    try:
        descriptor = os.open(pidfile, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            first = os.read(descriptor, 32).split()[:1]
        finally:
            os.close(descriptor)
        pid = int(first[0]) if first and first[0].isdigit() else 0
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as comm:
            return pid if comm.read(64).startswith("taskmaster") else 0
    except OSError:
        return 0

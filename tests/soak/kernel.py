"""What the kernel says about the processes of one daemon. Source: proc(5)."""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from pathlib import Path
from typing import NamedTuple

Slot = tuple[str, int]
KEEPER = "taskmasterkeep"
"""Role of the process that holds descriptors of programs; it stays some seconds after the last of them."""


class Seen(NamedTuple):
    """A process as it was when it was looked at. `started` tells it from a later one with the same pid."""

    pid: int
    started: int
    state: str
    parent: int
    name: str

    @property
    def alive(self) -> bool:
        """Whether it is more than a zombie."""
        return self.state not in ("Z", "X")


def look(pid: int) -> Seen | None:
    """Return a process, None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Seen(pid, int(fields[19]), fields[0], int(fields[1]), name)


def still_alive(seen: Seen) -> bool:
    """Return whether that very process is alive."""
    now = look(seen.pid)
    return now is not None and now.started == seen.started and now.alive


BESIDE = (b"logger", b"alert")
"""Roles of processes that belong to a slot and are no part of its instances: they outlive them."""


def variables_of(pid: int) -> dict[bytes, bytes]:
    """Return the variables that a process was executed with, none where it has gone or may not be looked at."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return dict(word.partition(b"=")[::2] for word in words)


def slot_of(pid: int, socket: Path, role: bytes = b"") -> Slot | None:
    """Return whose the process is by the variables it carries; None where they name another daemon or nothing.

    With a `role` it is only about processes in that role, else about those that are no `BESIDE`.
    """
    variables = variables_of(pid)
    program, index = variables.get(b"TASKMASTER_PROGRAM"), variables.get(b"TASKMASTER_INSTANCE", b"")
    its = variables.get(b"TASKMASTER_ROLE", b"")
    if its != role if role else its in BESIDE:
        return None
    if variables.get(b"TASKMASTER_SOCKET") != os.fsencode(str(socket)) or program is None or not index.isdigit():
        return None
    return os.fsdecode(program), int(index)


def in_role(socket: Path, role: bytes) -> dict[Seen, Slot]:
    """Return every live process in a role of `BESIDE`, and for which slot it is there."""
    found: dict[Seen, Slot] = {}
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        slot = slot_of(int(entry), socket, role)
        seen = look(int(entry)) if slot else None
        if slot and seen and seen.alive:
            found[seen] = slot
    return found


def keeper_of(socket: Path) -> Seen | None:
    """Return the keeper of the daemon at a socket, or None."""
    seen = map(look, map(int, filter(str.isdecimal, os.listdir("/proc"))))
    keepers = [each for each in seen if each and each.alive and each.name == KEEPER]
    ours = os.fsencode(str(socket))
    return next((each for each in keepers if variables_of(each.pid).get(b"TASKMASTER_SOCKET") == ours), None)


def unread(pid: int) -> int:
    """Return how many bytes wait in the pipe that is the standard input of a process. Source: FIONREAD, pipe(7)."""
    with open(f"/proc/{pid}/fd/0", "rb", buffering=0) as pipe:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def marked(socket: Path) -> dict[Seen, Slot]:
    """Return every live process on this machine that carries the socket's name and a program's, and whose it is."""
    found: dict[Seen, Slot] = {}
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        slot = slot_of(int(entry), socket)
        seen = look(int(entry)) if slot else None
        if slot and seen and seen.alive:
            found[seen] = slot
    return found


def children(pid: int) -> list[Seen]:
    """Return the children of a process, zombies too."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [seen for seen in map(look, map(int, text.split())) if seen]


def descriptors(pid: int) -> list[str]:
    """Return what each descriptor of a process leads to."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return sorted(found)


class Size(NamedTuple):
    """What a process holds."""

    rss_kb: int
    fds: int
    threads: int
    cpu_s: float


def size(pid: int) -> Size:
    """Return what a process holds now."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    return Size(int(status["VmRSS"].split()[0]), fds, int(status["Threads"]), ticks / os.sysconf("SC_CLK_TCK"))

"""The descriptors that the launcher inherits: standard streams, the caller's open files, a piped configuration."""

from __future__ import annotations

import os
import stat
import sys

from taskmaster_common.schema import MAX_FILE, File

DESCRIPTORS = ("/dev/fd", "/proc/self/fd")
STANDARD = {"-": 0, "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def open_standard_streams() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr: otherwise the next opened file would get its number.

    The new descriptors are inheritable, so executed programs get the same three. Raises OSError.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            found = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is `fd`
            os.set_inheritable(found, True)
            setattr(sys, name, os.fdopen(found, "r" if fd == 0 else "w", closefd=False))


def close_inherited() -> None:
    """Close files that the caller left open: otherwise the daemon and its programs would hold a script's lock or pipe.

    Source: daemon(7), "SysV Daemons", step 1.
    """
    try:
        highest = max(map(int, os.listdir("/dev/fd")))
    except (OSError, ValueError):
        highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, highest + 1)


def descriptor_of(path: str) -> int | None:
    """Return the descriptor of this process that a path names, or None if it names a file."""
    if path in STANDARD:
        return STANDARD[path]
    directory, number = os.path.split(path)
    if not (number.isascii() and number.isdecimal()):
        return None
    ours = (*DESCRIPTORS, f"/proc/{os.getpid()}/fd")
    return int(number) if directory in ours or os.path.realpath(directory) in map(os.path.realpath, ours) else None


def read_descriptor(fd: int) -> File:
    """Read a descriptor to its end; return the content as a file. Raises OSError."""
    facts = os.fstat(fd)
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(0, "it is a directory")
    pieces: list[bytes] = []
    held = 0
    while piece := os.read(fd, min(1 << 20, MAX_FILE + 1 - held)):
        pieces.append(piece)
        held += len(piece)
        if held > MAX_FILE:
            raise OSError(0, f"it is larger than {MAX_FILE >> 20} MiB")
    return File(b"".join(pieces), 0o600, os.geteuid(), os.getegid(), facts.st_mtime_ns, held)

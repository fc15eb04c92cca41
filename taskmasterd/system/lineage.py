"""The tag that every descendant of a program inherits, whatever it does with its variables, its user or its session.

A tag is a pair of hard limits that limit nothing: RLIMIT_LOCKS has had no effect since Linux 2.4.25, and RLIMIT_RTTIME gets
more than a hundred thousand years. A process may lower a hard limit but not raise it again (getrlimit(2)), and the two add up
to a constant: to show another tag, a process would have to raise one of them, which takes CAP_SYS_RESOURCE. Any user may read
/proc/pid/limits, so a process that is not dumpable shows its tag, too. Strangers can give themselves any tag, so a tag counts
only among the daemon's own descendants.
"""

from __future__ import annotations

import resource

from taskmasterd.system.loop.cmodules import keyed_hash
from taskmasterd.system.procfs import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    Slot = tuple[str, int]

INDEX_BITS, TAG_BITS = 14, 61
LARGEST = (1 << TAG_BITS) - 1
FLOOR = 1 << 62
"""Lowest value of both limits; with a tag added it fits into 63 bits."""
LIMITS = ((10, b"Max file locks"), (15, b"Max realtime timeout"))
"""Number and name of RLIMIT_LOCKS and RLIMIT_RTTIME. Source: asm-generic/resource.h, fs/proc/base.c."""
HARD_AT = 47
"""Column of the hard limit in a line of /proc/pid/limits."""
BROKEN = -1
"""Stands for a tag that its process has changed, so that its owner is unknown."""


class Lineage:
    """Makes tags and reads them. A daemon that already has such limits (as another daemon's program) uses no tags."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        try:
            hard = [resource.getrlimit(number)[1] for number, _name in LIMITS]
        except OSError:  # a filter of system calls
            hard = []
        self.usable = hasattr(resource, "prlimit") and hard == [resource.RLIM_INFINITY] * len(LIMITS)

    def family(self, program: str) -> int:
        """Return the part that the tags of all instances of a program have in common."""
        hashed = keyed_hash(self._key, b"tag\0" + program.encode())
        return int.from_bytes(hashed[:8], "little") & (LARGEST >> INDEX_BITS)

    def tag(self, slot: Slot) -> int | None:
        """Return the tag of a slot, None if this daemon uses no tags."""
        return self.family(slot[0]) << INDEX_BITS | slot[1] & (1 << INDEX_BITS) - 1 if self.usable else None

    def of(self, pid: int) -> int | None:
        """Return the tag of a process, BROKEN if the process has changed it, None without one."""
        return tag_of(pid) if self.usable else None


def family_of(tag: int) -> int:
    """Return the part of a tag that all instances of its program have in common."""
    return tag >> INDEX_BITS


def put_tag(tag: int, pid: int = 0) -> None:
    """Give a process, or this one, a tag that it and its descendants keep. If the system refuses, it gets none."""
    for (number, _name), value in zip(LIMITS, (FLOOR + tag, FLOOR + LARGEST - tag)):
        try:
            resource.prlimit(pid, number, (value, value))
        except (OSError, ValueError):
            return


def tag_of(pid: int) -> int | None:
    """Return the tag in the limits of a process, BROKEN or None, as `Lineage.of`."""
    text = read(f"/proc/{pid}/limits")
    found = [_hard_limit(text, name) for _number, name in LIMITS]
    if found == [None, None]:
        return None
    locks, rttime = (FLOOR + LARGEST if value is None else value for value in found)
    return locks - FLOOR if locks + rttime == 2 * FLOOR + LARGEST and locks >= FLOOR else BROKEN


def _hard_limit(text: bytes, name: bytes) -> int | None:
    """Return a hard limit, None if it is unlimited or not shown."""
    start = text.find(name)
    words = text[start + HARD_AT : start + HARD_AT + 20].split() if start >= 0 else []
    return int(words[0]) if words and words[0].isdigit() else None

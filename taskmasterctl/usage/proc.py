"""All processes of this host, as /proc shows them. Source: proc(5).

What is gone or refused is left out; the callers show "-" for it, never 0.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROC = "/proc"
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CHUNK = 65_536
PSS_AGE = 30
"""Most samples for which a process's share of memory counts as it was, while its resident size stays the same."""
SHOWN_BYTES = 4096
"""Most bytes of a command line that are read."""


class Row:
    """One process. `cpu_s` is the processor time of it and of the children that it has waited for, `started` in clock ticks.

    It begins with what decides to whom it belongs. `rss` is in bytes; `threads` is 0 where nobody knows the number. No Record:
    thousands of them are made in each second.
    """

    __slots__ = ("cpu_s", "parent", "rss", "session", "started", "threads")

    def __init__(self, parent: int, session: int, cpu_s: float, started: int, rss: int, threads: int) -> None:
        self.parent = parent
        self.session = session
        self.cpu_s = cpu_s
        self.started = started
        self.rss = rss
        self.threads = threads


class ProcSource:
    """Reads /proc, or what stands at `root` in its place."""

    least_s = 0.0
    """Shortest pause between two samples that this source allows, seconds."""

    def __init__(self, root: str = PROC) -> None:
        self._root = root
        self._pss: dict[int, tuple[int, int, int, int]] = {}

    def everybody(self) -> dict[int, Row]:
        """Return every process that is visible, zombies included: they hold the time that nobody has waited for yet."""
        found: dict[int, Row] = {}
        for name in os.listdir(self._root):
            if name.isdecimal():
                text = self._read(f"{name}/stat")
                fields = text[text.rfind(b")") + 2 :].split()
                if len(fields) > 21:
                    found[int(name)] = _row(fields)
        known = self._pss
        self._pss = {pid: known[pid] for pid in known.keys() & found.keys()}
        return found

    def memory(self, pid: int, row: Row) -> int:
        """Return the bytes that a process uses: its proportional share, or where that is refused what it shares with no file.

        The share of a page that several processes have is that page divided by their number: so copies of a forking server do
        not count many times. Reading it costs more than all the rest, so it is read again when the resident size has changed.
        """
        started, rss, age, share = self._pss.get(pid, (-1, -1, 0, 0))
        if (started, rss) != (row.started, row.rss) or age >= PSS_AGE:
            share, age = self._share(pid), pid % PSS_AGE if started < 0 else 0
        self._pss[pid] = (row.started, row.rss, age + 1, share)
        return share

    def _share(self, pid: int) -> int:
        _, found, rest = self._read(f"{pid}/smaps_rollup").partition(b"\nPss:")
        if found:
            return int(rest.split(None, 1)[0]) * 1024
        pages = self._read(f"{pid}/statm").split()
        return (int(pages[1]) - int(pages[2])) * PAGE if len(pages) > 2 else 0

    def descriptors(self, pid: int) -> int | None:
        """Return the number of open descriptors, None where it is refused."""
        try:
            return len(os.listdir(f"{self._root}/{pid}/fd"))
        except OSError:
            return None

    def storage(self, pid: int) -> int | None:
        """Return the bytes that a process has read from and written to storage, None where it is refused."""
        lines = dict(line.split(b": ") for line in self._read(f"{pid}/io").splitlines() if b": " in line)
        if b"read_bytes" not in lines:
            return None
        return int(lines[b"read_bytes"]) + int(lines.get(b"write_bytes", b"0"))

    def command(self, pid: int) -> str:
        """Return the command line, blanks between its words; the name in brackets where there is none; "" if it is gone."""
        words = self._read(f"{pid}/cmdline", SHOWN_BYTES)
        if words.strip(b"\0"):
            return words.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "surrogateescape")
        name = self._read(f"{pid}/comm").decode("utf-8", "surrogateescape").strip()
        return f"[{name}]" if name else ""

    def cgroup(self, pid: int) -> str:
        """Return the path of a process's group in the unified hierarchy, "" where there is none. Source: cgroups(7)."""
        lines = self._read(f"{pid}/cgroup").decode("utf-8", "surrogateescape").splitlines()
        return next((line[3:] for line in lines if line.startswith("0::")), "")

    def _read(self, name: str, most: int = CHUNK) -> bytes:
        try:
            fd = os.open(f"{self._root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(fd, most)
        except OSError:
            return b""
        finally:
            os.close(fd)


def _row(fields: list[bytes]) -> Row:
    """Return a process from the fields of its stat, from the third one of proc(5) on."""
    used = int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
    return Row(
        int(fields[1]), int(fields[3]), used / TICKS_PER_S, int(fields[19]), int(fields[21]) * PAGE, int(fields[17])
    )


def boot_time(root: str = PROC) -> int:
    """Return when this host was booted, Unix time in seconds; 0 if nobody knows."""
    try:
        with open(f"{root}/stat", "rb") as file:
            words = file.read().partition(b"\nbtime ")[2].split(None, 1)
    except OSError:
        return 0
    return int(words[0]) if words else 0


def members(rows: Mapping[int, Row], leaders: Mapping[int, object]) -> dict[int, list[int]]:
    """Return what belongs to each leader that is there: what is below it, what is in its session, and what is below that.

    The list begins with the leader.
    """
    below: dict[int, list[int]] = {}
    together: dict[int, list[int]] = {}
    for pid, row in rows.items():
        below.setdefault(row.parent, []).append(pid)
        if row.session in leaders and pid != row.session:
            together.setdefault(row.session, []).append(pid)
    found: dict[int, list[int]] = {}
    for leader in leaders:
        if leader not in rows:
            continue
        tree = [leader]
        seen = {leader}
        for pid in tree:
            for each in (*below.get(pid, ()), *(together.get(leader, ()) if pid == leader else ())):
                if each not in seen and (each not in leaders or each == leader):
                    seen.add(each)
                    tree.append(each)
        found[leader] = tree
    return found


def in_order(leader: int, pids: Iterable[int], rows: Mapping[int, Row]) -> list[int]:
    """Return the processes of a leader, each followed by what is below it; what has left its parent is below the leader."""
    known = set(pids)
    below: dict[int, list[int]] = {}
    for pid in sorted(known - {leader}):
        parent = rows[pid].parent
        below.setdefault(parent if parent in known else leader, []).append(pid)
    found: list[int] = []
    waiting = [leader]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += reversed(below.get(pid, ()))
    return found

"""All processes of this host, as `ps` lists them: where there is no /proc."""

from __future__ import annotations

import subprocess

from taskmasterctl.usage.proc import Row

COMMAND = ("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "time=", "-o", "rss=", "-o", "args=")
"""Source: POSIX, XCU, ps; rss is in every ps of today. The group stands for the session, which POSIX cannot show."""
COLUMNS = 6
TIMEOUT_S = 10.0


class PsSource:
    """Runs `ps` once a sample. What it cannot know is None or 0: descriptors, threads, storage."""

    least_s = 2.0
    """Shortest pause between two samples, seconds: each of them is a process."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._lines: dict[int, str] = {}

    def everybody(self) -> dict[int, Row]:
        """Return every process; {} if there is no `ps`."""
        try:
            done = subprocess.run(  # noqa: S603 - the words are ours
                self._command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        found: dict[int, Row] = {}
        for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
            cells = line.split(None, COLUMNS - 1)
            try:
                pid, parent, group, rss = int(cells[0]), int(cells[1]), int(cells[2]), int(cells[4]) * 1024
                found[pid] = Row(parent, group, seconds(cells[3]), 0, rss, 0)
            except (ValueError, IndexError):
                continue
            self._lines[pid] = cells[5] if len(cells) == COLUMNS else ""
        return found

    def memory(self, pid: int, row: Row) -> int:
        """Return the resident size: nobody knows how much of it is shared."""
        del pid
        return row.rss

    def descriptors(self, pid: int) -> int | None:
        """Return None."""
        del pid
        return None

    def storage(self, pid: int) -> int | None:
        """Return None."""
        del pid
        return None

    def command(self, pid: int) -> str:
        """Return the command line of the last look."""
        return self._lines.get(pid, "")

    def cgroup(self, pid: int) -> str:
        """Return "": there are no control groups."""
        del pid
        return ""


def seconds(text: str) -> float:
    """Return a time of ps, `[DD-]HH:MM:SS` or `MM:SS.CC`, in seconds. Raises ValueError for anything else."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total + (int(days) * 86_400 if days else 0)

"""A local copy of the process table, fed by the messages of a subscription. Pure: the clock is an argument.

It is complete (`known`) from the end of the first snapshot on, and keeps its state when the connection is lost.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Message = Mapping[str, Any]
    Key = tuple[str, int]

NOTABLE_STATES = ("STARTING", "BACKOFF", "STOPPING", "FATAL", "EXITED", "STOPPED")
"""The states that the summary counts besides RUNNING, in its order."""


class Mirror:
    """The processes in the daemon's order, each as its last PROCESS object."""

    def __init__(self) -> None:
        self.daemon: Message = {}
        self.known = False
        self._processes: dict[Key, Message] = {}
        self._seen_at: dict[Key, float] = {}
        self._daemon_seen_at = 0.0
        self._arriving: dict[Key, Message] | None = None
        self._awaited = 0

    def __len__(self) -> int:
        return len(self._processes)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._processes.values())

    def take(self, message: Message, now: float) -> bool:
        """Take one message, `now` in monotonic seconds; return whether the table is complete and this message changed it."""
        kind = message["type"]
        if kind == "daemon":
            self.daemon, self._daemon_seen_at = message, now
        elif kind == "upgraded":
            self.daemon = {**self.daemon, "version": message["version"], "pid": message["pid"]}
        elif kind == "snapshot":
            self._arriving, self._awaited = {}, message["count"]
            return self._complete(now)
        elif kind == "processes" and self._arriving is not None:
            self._arriving.update((key_of(each), each) for each in message["processes"])
            return self._complete(now)
        elif kind == "change":
            self._change(message, now)
            return self.known
        return False

    def _complete(self, now: float) -> bool:
        """Replace the table by the arriving snapshot once all of it is there."""
        if self._arriving is None or len(self._arriving) < self._awaited:
            return False
        self._processes, self._arriving = self._arriving, None
        self._seen_at = dict.fromkeys(self._processes, now)
        self.known = True
        return True

    def _change(self, message: Message, now: float) -> None:
        process = message["process"]
        key = key_of(process)
        if message.get("removed"):
            self._processes.pop(key, None)
            self._seen_at.pop(key, None)
        else:
            self._processes[key] = process
            self._seen_at[key] = now

    def table(self, now: float) -> list[dict[str, Any]]:
        """Return every process, its uptime and the time since its last restart as of `now`."""
        rows: list[dict[str, Any]] = []
        for key, process in self._processes.items():
            row = dict(process)
            for name in ("uptime_s", "restarted_s"):
                if row.get(name) is not None:
                    row[name] += now - self._seen_at[key]
            rows.append(row)
        return rows

    def daemon_uptime_s(self, now: float) -> float:
        """Return the uptime of the daemon as of `now`, seconds."""
        return float(self.daemon.get("uptime_s") or 0) + now - self._daemon_seen_at

    def counts(self) -> tuple[int, list[tuple[str, int]]]:
        """Return the number of RUNNING processes, and (state, number) for each other state that occurs."""
        states = [process["state"] for process in self._processes.values()]
        return states.count("RUNNING"), [(each, states.count(each)) for each in NOTABLE_STATES if each in states]

    def programs(self) -> dict[str, list[Message]]:
        """Return the processes of each program."""
        found: dict[str, list[Message]] = {}
        for (program, _instance), process in self._processes.items():
            found.setdefault(program, []).append(process)
        return found


def key_of(process: Message) -> Key:
    """Return the key of a process: program and instance. Its displayed name may change."""
    return process["program"], process["instance"]


def notable(change: Message) -> bool:
    """Return whether a change is more than one of pid, reason or name: of state, phase or health, or a removal."""
    phase = change["process"].get("phase", "")
    return bool(
        change["before"] != change["state"]
        or change.get("before_phase", phase) != phase
        or change.get("removed")
        or new_verdict(change)
    )


def new_verdict(change: Message) -> str:
    """Return the verdict of health checks if they have come to another one about a process whose state stays, or ""."""
    verdict = (change["process"].get("health") or {}).get("verdict", "")
    stays = change["before"] == change["state"]
    return str(verdict) if stays and change.get("before_health", verdict) != verdict else ""


def unexpected(change: Message) -> bool:
    """Return whether nobody asked for a change: trouble, or the recovery from it."""
    before, state, process = change["before"], change["state"], change["process"]
    end: Message = process.get("exit") or {}
    if change.get("removed"):
        return False
    if before == state:
        verdict = new_verdict(change)
        return verdict == "unhealthy" or (verdict == "healthy" and change.get("before_health") == "unhealthy")
    if state in ("BACKOFF", "FATAL"):
        return True
    if change.get("before_phase") == "blocked" or (before == "STOPPING" and process.get("phase") == "held"):
        return bool(state == "STARTING")
    if state == "RUNNING":
        return bool(process.get("restarts"))
    return before == "RUNNING" and process.get("pid") is None and not end.get("expected", True)

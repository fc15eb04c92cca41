"""The words for what happens, in the history and wherever somebody chooses among events. Pure; never loaded by an idle daemon."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

OF_PROCESSES = (
    *("started", "ready", "running", "exited", "failed", "backoff", "fatal", "done"),
    *("signalled", "stopping", "killed", "lost", "stuck", "stopped", "adopted"),
    *("unhealthy", "healthy", "waiting", "blocked", "missed", "skipped", "recycled", "refused", "attach", "rolled"),
    *("disabled", "enabled", "scaled", "watch"),
)
"""What happens to a process, or, from `rolled` on, to the processes of a program."""
OF_DAEMON = (
    *(
        "daemon-start",
        "daemon-stop",
        "crashed",
        "upgrade",
        "reload",
        "reload-failed",
        "operator",
        "denied",
        "log-trouble",
        "alert-failed",
    ),
)
"""What happens to the daemon itself. `reload` is also about a program, `operator` and `denied` may be about some."""
EVENTS = (*OF_PROCESSES, *OF_DAEMON)
LOST = "lost"
"""The kernel has killed some processes of an instance at `limits.memory`; the instance goes on."""
CRASH, OOM, TROUBLE, RECOVERED = "crash", "oom", "trouble", "recovered"
GROUPS = (CRASH, OOM, TROUBLE, RECOVERED)
"""Words for several events: `crash` is an unexpected `exited`; `oom` means that the kernel killed because memory was short; `recovered`
ends the last trouble of a process."""
TROUBLES = frozenset({"fatal", "unhealthy", "stuck", "blocked", "log-trouble", "reload-failed", "crashed"})
"""Events that are trouble, unless they say that one is `over`."""


SKIPPED, SKIPS = "skipped", 3
"""The event of a run that is left out, and how many of them in a row are trouble."""


def groups_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words for several events that a record of the history belongs to by itself."""
    word = record["event"]
    if is_oom(record):
        return (OOM, CRASH, TROUBLE) if word == "exited" else (OOM, TROUBLE)
    if word == "exited":
        return () if record.get("expected") else (CRASH, TROUBLE)
    return (TROUBLE,) if (word in TROUBLES and not record.get("over")) or is_skipping(record) else ()


def is_skipping(record: Mapping[str, Any]) -> bool:
    """Return whether a record says that runs of a schedule are left out one after the other."""
    return record["event"] == SKIPPED and int(record.get("count", 0)) >= SKIPS


def is_oom(record: Mapping[str, Any]) -> bool:
    """Return whether a record says that the kernel killed because memory was short: a leader, or other processes of an instance."""
    word = record["event"]
    return word == LOST or (word in ("exited", "failed") and bool(record.get("memory")) and not record.get("expected"))

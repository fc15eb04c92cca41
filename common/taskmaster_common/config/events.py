"""The words for what happens, in the history and wherever somebody chooses among events. Never loaded by an idle daemon."""

from __future__ import annotations

OF_PROCESSES = (
    *("started", "ready", "running", "exited", "failed", "backoff", "fatal", "done"),
    *("stopping", "killed", "stuck", "stopped", "adopted"),
    *("unhealthy", "healthy", "waiting", "blocked", "rolled"),
)
"""What happens to a process, or, `rolled`, to the processes of a program."""
OF_DAEMON = (
    *("daemon-start", "daemon-stop", "crashed", "upgrade", "reload", "reload-failed", "operator", "log-trouble"),
)
"""What happens to the daemon itself. `reload` and `operator` have names of programs, too."""
EVENTS = (*OF_PROCESSES, *OF_DAEMON)

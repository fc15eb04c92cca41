"""The seven process states, supervisor's less UNKNOWN. Every process has exactly one at every moment.

The values are the words that users see. `STOPPING` means that something of the process is alive and has to go;
in STOPPED, BACKOFF, EXITED and FATAL nothing of it is alive.
"""

from __future__ import annotations

import enum


class ProcessState(enum.Enum):
    """One word of the table in the specification, section 3."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"


STOPPED = ProcessState.STOPPED
STARTING = ProcessState.STARTING
RUNNING = ProcessState.RUNNING
BACKOFF = ProcessState.BACKOFF
STOPPING = ProcessState.STOPPING
EXITED = ProcessState.EXITED
FATAL = ProcessState.FATAL

DOWN_STATES = frozenset({STOPPED, EXITED, FATAL})
"""Nothing is alive and nothing will happen by itself."""

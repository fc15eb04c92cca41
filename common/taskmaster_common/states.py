"""The seven process states, supervisor's less UNKNOWN. Every process has exactly one at every moment.

A state is the word that users see. `STOPPING` means that something of the process is alive and has to go; in STOPPED, BACKOFF,
EXITED and FATAL nothing of it is alive.

Words and no enum: the type checker proves a `match` over them complete just as well, and the module `enum` with what it imports
is 0.9 MB resident in the daemon and 5 ms at each start (measured: 3.11).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal

    ProcessState = Literal["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL"]
    """One word of the table in the specification, section 3."""
else:
    ProcessState = str

STOPPED: Final = "STOPPED"
STARTING: Final = "STARTING"
RUNNING: Final = "RUNNING"
BACKOFF: Final = "BACKOFF"
STOPPING: Final = "STOPPING"
EXITED: Final = "EXITED"
FATAL: Final = "FATAL"

STATES: tuple[ProcessState, ...] = (STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL)

DOWN_STATES: frozenset[ProcessState] = frozenset({STOPPED, EXITED, FATAL})
"""Nothing is alive and nothing will happen by itself."""

"""One request and what its verb works with."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.core.programs.selection import selecting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.telling.audience import Audience

UNKNOWN_WHEN_LOOKING = 4
UNKNOWN_WHEN_ACTING = 5


class DaemonActions(Record):
    """What a verb can have the daemon itself do.

    `stop(by, connection)` begins the orderly stop and answers the connection, if one is given, at its end. `reopen()` opens
    all log files again. `upgrade(connection)` executes the installed code; it raises RequestError where this cannot begin.
    `audience` has the subscribers.
    """

    stop: Callable[[str, Connection | None], None]
    reopen: Callable[[], None]
    upgrade: Callable[[Connection], None]
    audience: Audience


class Call(Record):
    """One request of one client. A verb is a function of this; it answers through the connection."""

    context: Context
    daemon: DaemonActions
    connection: Connection
    request: Request

    @property
    def by(self) -> str:
        """Who asks, in the words of the event log."""
        return f"uid {self.connection.peer.uid}"

    def looked_at(self, *default: str) -> Steps[tuple[Entry, ...]]:
        """Return the entries of the targets, or of `default` where there are none. Raises RequestError "unknown-name"."""
        return selecting(self.context.supervisor.table, self.request.targets or default, UNKNOWN_WHEN_LOOKING)

"""One request and what its verb works with."""

from __future__ import annotations

from taskmaster_common.commands.table import ADMIN, LOOK, OPERATE, access_of, at_least, command
from taskmaster_common.errors import RequestError
from taskmaster_common.records import Record
from taskmasterd.control.rights import NO_PERMISSION
from taskmasterd.core.programs.selection import selecting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.control.rights import Sight
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

    @property
    def said(self) -> str:
        """The request in short, with the flags that need a higher level than the verb."""
        verb = command(self.request.verb)
        more = [
            flag.name for flag in verb.flags if self.request.has(flag.key) and flag.access not in (LOOK, verb.access)
        ]
        return " ".join((verb.name, *more))

    def note(self) -> None:
        """Write who asks, where the request changes something or shows what is secret; reading the event log adds nothing to it."""
        if at_least(access_of(self.request), OPERATE) and not self.request.has("daemon"):
            self.context.audit().asked(self.connection.peer, self.request)

    @property
    def sight(self) -> Sight:
        """What exists for the client, and what he may do now."""
        return self.context.judge().sight(self.connection.peer, self.connection.access)

    @property
    def sees_values(self) -> bool:
        """Whether values of env may be shown to the client: to root, the daemon's user, and who is admin by a role."""
        uid, sight = self.connection.peer.uid, self.sight
        return uid in (0, self.context.identity.owner) or (sight.rights is not None and sight.may(ADMIN))

    def require_values(self) -> None:
        """Raise RequestError "permission" unless values of env may be shown to the client."""
        if not self.sees_values:
            raise RequestError(
                "permission", "values of env are shown to root and the daemon's user only", NO_PERMISSION
            )

    def looked_at(self, *default: str) -> Steps[tuple[Entry, ...]]:
        """Return the entries of the targets, or of `default` where there are none. Raises RequestError, as `chosen` does."""
        return self.chosen(self.request.targets or default, UNKNOWN_WHEN_LOOKING, named=bool(self.request.targets))

    def chosen(self, targets: Sequence[str], unknown_exit: int, *, named: bool = True) -> Steps[tuple[Entry, ...]]:
        """Return the entries that these targets mean for the client; nothing may be done before.

        Raises RequestError "unknown-name" for what does not exist, or not for him, and "permission" where he has not the level
        that the request needs on each of them; of what he has not `named` himself the others are left out. A stream goes on
        only as long as he has it.
        """
        sight, request = self.sight, self.request
        yield from sight.prepared()
        entries = yield from selecting(sight.table(), targets, unknown_exit)
        level, sight = access_of(request), self.sight  # the steps take their time, and a reload may have changed roles
        if not named:
            entries = tuple(entry for entry in entries if sight.may(level, entry.program)) or entries
        sight.require_for(level, request.verb, entries)
        if sight.rights is not None:
            self.connection.claim = (level, tuple(dict.fromkeys(entry.program for entry in entries)))
            if level != ADMIN:
                self.note()
        return entries

"""`upgrade`: execute the installed code."""

from __future__ import annotations

from taskmaster_common.protocol import end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.control.call import Call


def upgrade(call: Call) -> None:
    """Begin; where it succeeds, the new code answers (`resume`)."""
    call.daemon.upgrade(call.connection)


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Say that the upgrade is done."""
    context = call.context
    call.connection.send(
        {
            "type": "upgraded",
            "before": data["before"],
            "version": context.identity.version,
            "pid": context.identity.pid,
            "seconds": round(context.reactor.now() - data["at"], 4),
        }
    )
    call.connection.end(end(0))


VERBS = {"upgrade": upgrade}

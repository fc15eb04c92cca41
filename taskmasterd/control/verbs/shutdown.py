"""`shutdown`: the orderly stop."""

from __future__ import annotations

from taskmaster_common.protocol import end
from taskmasterd.control.verbs.views import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.control.call import Call


def shutdown(call: Call) -> None:
    """Stop everything and the daemon; the `end` comes when all is gone, with --no-wait at once."""
    for text in warnings(call.context, call.sight):
        call.connection.send({"type": "warning", "text": text})
    if call.request.has("no_wait"):
        call.daemon.stop(call.by, None)
        call.connection.end(end(0))
    else:
        call.daemon.stop(call.by, call.connection)


VERBS = {"shutdown": shutdown}

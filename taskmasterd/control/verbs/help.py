"""`help`: the texts of the command table, for those who type by hand."""

from __future__ import annotations

from taskmaster_common.commands.help import help_text
from taskmaster_common.protocol import end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.control.call import Call


def show_help(call: Call) -> None:
    """All verbs, or everything about one."""
    text = help_text("".join(call.request.targets))
    call.connection.send({"type": "text", "text": text})
    call.connection.end(end(0))


VERBS = {"help": show_help}

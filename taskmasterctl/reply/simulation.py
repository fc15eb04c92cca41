"""The answer of `simulate`. No I/O."""

from __future__ import annotations

from taskmaster_common.text.formats import after_text
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.asjson import SCHEMA, json_line
from taskmasterctl.reply.astext import TextReply
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Chunks, Message, Reply
    from taskmasterctl.reply.render import Look

ASCII = str.maketrans({"\u2192": "->", "\u2013": "-"})


def simulation_reply(request: Request, look: Look, *, as_json: bool) -> Reply:
    """Return the reply that shows the answer to `simulate`."""
    return JsonSimulation(request, look) if as_json else SimulationReply(request, look)


class SimulationReply(TextReply):
    """A line for each thing that would happen: `+0.20 exit 1 \u2192 BACKOFF, retry 1 of 3 in 0.45\u20130.55s`."""

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] != "simulated":
            return super().take(message)
        lines = [f"{after_text(each['at']):<8} {clean(each['text'])}\n" for each in message["events"]]
        text = "".join(lines)
        return [(OUT, text if self._look.utf8 else text.translate(ASCII))]


class JsonSimulation(TextReply):
    """The same as one document."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._events: list[Any] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "simulated":
            self._events += message["events"]
            return []
        errors = [chunk for chunk in super().take(message) if chunk[0] == ERR]
        if message["type"] != "end":
            return errors
        rest = {key: value for key, value in message.items() if key != "type"}
        document = {"schema": SCHEMA, "verb": "simulate", "events": self._events, **rest}
        return [(OUT, json_line(document)), *errors]

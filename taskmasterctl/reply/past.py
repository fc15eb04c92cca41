"""The answers of `events` and `why`, as text or as JSON. No I/O."""

from __future__ import annotations

from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.events import event_line, missed_text
from taskmasterctl.reply.replies import SCHEMA, JsonLines, JsonReply, TextReply, json_line
from taskmasterctl.reply.why import stories_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.render import Look
    from taskmasterctl.reply.replies import Chunks, Message, Reply


def past_reply(request: Request, look: Look, *, as_json: bool) -> Reply:
    """Return the reply that shows the answer to a request for `events` or `why`."""
    if request.verb == "events":
        events = EventsReply(request, look)
        return JsonEvents(events) if as_json else events
    stories = WhyReply(request, look)
    return JsonReply(request, stories) if as_json else stories


class EventsReply(TextReply):
    """What happened, a line for each event."""

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "events":
            return [(OUT, event_line(event, self._look)) for event in message["events"]]
        if message["type"] == "missed":
            return [(ERR, missed_text(message))]
        return super().take(message)


class JsonEvents(JsonLines):
    """Events for programs: each is one line of JSON."""

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] != "events":
            return super().take(message)
        return [(OUT, json_line({"schema": SCHEMA, "type": "event", **event})) for event in message["events"]]


class WhyReply(TextReply):
    """Stories of processes, shown when all are there."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._stories: list[Message] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "why":
            self._stories += message["why"]
            return []
        if message["type"] != "end" or message.get("error"):
            return super().take(message)
        text = stories_text(self._stories, self._look, brief=not self._request.targets)
        return [(OUT, text), *super().take(message)]

"""The answers of `events`, `why` and `runs`, as text or as JSON. No I/O."""

from __future__ import annotations

from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.asjson import SCHEMA, JsonLines, JsonReply, json_line
from taskmasterctl.reply.astext import TextReply
from taskmasterctl.reply.events import event_line, missed_text
from taskmasterctl.reply.runs import runs_table, runs_text
from taskmasterctl.reply.why import stories_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Chunks, Message, Reply
    from taskmasterctl.reply.render import Look


def past_reply(request: Request, look: Look, *, as_json: bool) -> Reply:
    """Return the reply that shows the answer to a request for `events`, `why` or `runs`."""
    if request.verb == "runs":
        runs = RunsReply(request, look)
        return JsonRuns(request, runs) if as_json else runs
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


class RunsReply(TextReply):
    """Schedules and their runs, shown when all are there."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._slots: list[Message] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "runs":
            self._slots.append(message)
            return []
        if message["type"] != "end" or message.get("error"):
            return super().take(message)
        text = (runs_text if self._request.targets else runs_table)(self._slots, self._look)
        return [(OUT, text), *super().take(message)]


class JsonRuns(JsonReply):
    """Schedules and their runs for programs: one document."""

    def __init__(self, request: Request, text: TextReply) -> None:
        super().__init__(request, text)
        self._document["runs"] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] != "runs":
            return super().take(message)
        self._document["runs"].append({key: value for key, value in message.items() if key != "type"})
        return []

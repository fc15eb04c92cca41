"""An answer for programs: one document, or a line of JSON for each message. No I/O."""

from __future__ import annotations

from taskmasterctl.output import ERR, OUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Chunks, Message, TextReply

SCHEMA = 1
"""Version of the documents that --json prints; it rises when a field changes its meaning or is removed."""

LISTS = {
    "processes": "processes",
    "program": "programs",
    "pid": "pids",
    "result": "results",
    "problem": "problems",
    "warning": "warnings",
    "signal": "signals",
    "check": "checks",
    "why": "why",
    "alert": "alerts",
    "said": "dialogue",
    "override": "overrides",
}
"""The list of the document that collects the messages of a type."""

ALWAYS = {
    "status": ("processes",),
    "show": ("programs",),
    "pid": ("pids",),
    **dict.fromkeys(("start", "stop", "restart", "signal", "wait"), ("results",)),
    **dict.fromkeys(("disable", "enable", "overrides", "scale"), ("overrides",)),
    "deps": ("roots", "edges"),
    "health": ("processes",),
    "check": ("checks",),
    "why": ("why",),
    "reload": ("results", "problems", "warnings"),
    "alert": ("alerts",),
}
"""The lists that the document of a verb always has, also if empty."""


def json_line(document: Message) -> str:
    """Return a document as one line."""
    import json  # noqa: PLC0415 - a third of the client's start, for --json only

    return json.dumps(document) + "\n"


class JsonReply:
    """An answer for programs: one document on one line, at the end. Warnings, progress and errors go to stderr as text, too."""

    def __init__(self, request: Request, text: TextReply) -> None:
        self._request = request
        self._text = text
        self._document: Message = {"schema": SCHEMA, "verb": request.verb}
        for name in ALWAYS.get(request.verb, ()):
            self._document[name] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        chunks = [chunk for chunk in self._text.take(message) if chunk[0] == ERR]
        kind = message["type"]
        body = {key: value for key, value in message.items() if key != "type"}
        if kind == "end":
            return [(OUT, json_line({**self._document, **body})), *chunks]
        if kind in ("daemon", "client", "about"):
            self._document[kind] = body
        elif kind in ("help", "upgraded", "shutdown"):
            self._document.update(body)
        elif kind == "plan":
            self._add_plan(body)
        elif kind == "deps":
            for name in ALWAYS["deps"]:
                self._document[name].extend(body.get(name) or ())
        elif kind in LISTS:
            self._document.setdefault(LISTS[kind], []).extend(self._entries(kind, body))
        return chunks

    def _entries(self, kind: str, body: Message) -> list[Any]:
        if kind == "processes":
            failed_only = self._request.has("failed")
            return [each for each in body["processes"] if not failed_only or not each.get("wanted", True)]
        if kind == "why":
            return list(body["why"])
        return [body["text"] if kind in ("problem", "warning") else body]

    def _add_plan(self, body: Message) -> None:
        plan = self._document.setdefault("plan", {})
        for key, value in body.items():
            known = plan.get(key)
            if isinstance(value, list) and isinstance(known, list):
                known.extend(value)
            else:
                plan[key] = value or known if isinstance(value, bool) else value


class JsonLines:
    """An endless answer for programs: each message is one line of JSON."""

    def __init__(self, text: TextReply) -> None:
        self._text = text

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        chunks = [chunk for chunk in self._text.take(message) if chunk[0] == ERR]
        return [(OUT, json_line({"schema": SCHEMA, **message})), *chunks]

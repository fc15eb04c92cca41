"""Answers: which message is shown when, on which stream, as text or as JSON. No I/O.

A reply takes the messages one by one and returns chunks: a stream (OUT or ERR) and the text for it. Answers go to OUT;
warnings, progress and errors go to ERR. `end` is the last message. The client makes an `end` itself for its own errors, so
that they look like those of the daemon, as text and as JSON.
"""

from __future__ import annotations

from taskmasterctl.reply.astext import TextReply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Reply
    from taskmasterctl.reply.render import Look

OWN_FORMS = ("alert", "logs", "deps", "health", "check")
"""The verbs whose answers `byverb` shows."""


def reply_for(request: Request, look: Look, *, as_json: bool) -> Reply:
    """Return the reply that shows the answer to a request."""
    text = _text_reply(request, look)
    if not as_json:
        return text
    from taskmasterctl.reply.asjson import JsonLines, JsonReply  # noqa: PLC0415 - only --json needs it

    return JsonLines(text) if request.verb == "logs" else JsonReply(request, text)


def _text_reply(request: Request, look: Look) -> TextReply:
    if request.verb not in OWN_FORMS:
        return TextReply(request, look)
    from taskmasterctl.reply.byverb import BY_VERB  # noqa: PLC0415 - only these verbs need it

    return BY_VERB[request.verb](request, look)


def is_endless(request: Request) -> bool:
    """Return whether the answer goes on until the client or the daemon ends it."""
    return request.has("follow") or request.has("watch") or request.verb == "subscribe"

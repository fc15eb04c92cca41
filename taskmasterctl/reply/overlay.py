"""The answers of `disable`, `enable`, `overrides` and `scale`. No I/O."""

from __future__ import annotations

from taskmasterctl.output import OUT
from taskmasterctl.reply.asjson import JsonReply
from taskmasterctl.reply.astext import TextReply
from taskmasterctl.reply.render import columns
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Chunks, Message, Reply
    from taskmasterctl.reply.render import Look

VERBS = ("disable", "enable", "overrides", "scale")
HEAD = ("PROGRAM", "WHAT", "BY", "SINCE", "REASON")
STALE = "not in the configuration"


def overlay_reply(request: Request, look: Look, *, as_json: bool) -> Reply:
    """Return the reply that shows the answer to a request for one of VERBS."""
    text = OverlayReply(request, look)
    return JsonReply(request, text) if as_json else text


class OverlayReply(TextReply):
    """What operators have laid over the file: a line for each program that was changed, or a table of all."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._rows: list[tuple[str, ...]] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "override":
            return self._took(message)
        if message["type"] != "end" or message.get("error") or self._request.verb != "overrides" or self._look.quiet:
            return super().take(message)
        lines = columns([HEAD, *self._rows]) if self._rows else ["nothing is laid over the configuration"]
        return [(OUT, "\n".join(lines) + "\n"), *super().take(message)]

    def _took(self, message: Message) -> Chunks:
        if self._request.verb == "overrides":
            self._rows += self._table_rows(message)
            return []
        return [] if self._look.quiet else [(OUT, f"{self._changed_text(message)}\n")]

    def _changed_text(self, message: Message) -> str:
        """Return what has changed: "web disabled; 1 instance goes on until it is stopped"."""
        name, up = clean(message["name"]), message.get("up", 0)
        if self._request.verb == "scale":
            scale = message.get("scale")
            file = f" (file: {clean(scale['file'])})" if scale else ", as in the file"
            return f"{name} scaled to {clean(message['count'])}{file}"
        if message["enabled"]:
            return f"{name} enabled"
        if not up or self._request.has("now"):
            return f"{name} disabled"
        goes = "1 instance goes" if up == 1 else f"{clean(up)} instances go"
        return (
            f"{name} disabled; {goes} on until it is stopped"
            if up == 1
            else f"{name} disabled; {goes} on until they are stopped"
        )

    def _table_rows(self, message: Message) -> list[tuple[str, ...]]:
        name, rows = clean(message["name"]), list[tuple[str, ...]]()
        if "enabled" in message:
            reasons = [clean(message["reason"])] if message.get("reason") else []
            reasons += [STALE] if message.get("stale") else []
            what = "enabled" if message["enabled"] else "disabled"
            rows.append((name, what, self._by(message), self._since(message), "; ".join(reasons) or "-"))
        scale = message.get("scale")
        if scale:
            what = f"scaled to {clean(scale['count'])} (file: {clean(scale['file'])})"
            rows.append((name, what, self._by(scale), self._since(scale), "-"))
        return rows

    def _by(self, fields: Message) -> str:
        return with_names(clean(fields["by"]), self._look.user_name, short=True)

    def _since(self, fields: Message) -> str:
        return self._look.at(fields["at"])[:19] if self._look.at else clean(round(fields["at"]))

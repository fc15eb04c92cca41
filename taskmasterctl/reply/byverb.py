"""Answers for people of verbs that have a form of their own: alerts, output, health, the tree of dependencies. No I/O."""

from __future__ import annotations

from taskmaster_common.text.patterns import is_pattern
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.astext import TextReply
from taskmasterctl.reply.logtext import LogText, Merged
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.astext import Chunks, Message
    from taskmasterctl.reply.render import Look


SECONDS = len("10:02:31")


class AlertReply(TextReply):
    """The rules of alerts, shown when all are there, or what one of them has said to a server."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._lists = not request.targets or request.targets[0] == "list"
        self._rules: list[Message] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        from taskmasterctl.reply.alerts import alert_text, rules_table  # noqa: PLC0415 - only `alert` needs it

        if message["type"] == "alert" and self._lists:
            self._rules.append(message)
            return []
        if message["type"] in ("alert", "said"):
            return [] if self._look.quiet else [(OUT, alert_text(message, self._request))]
        if message["type"] == "end" and self._rules and not self._look.quiet:
            return [(OUT, rules_table(self._rules, self._look)), *super().take(message)]
        return super().take(message)


class LogReply(TextReply):
    """The output of programs: byte for byte unless it goes to a terminal, with names if several programs may write."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._log = LogText(self._named, harmless=look.terminal and not request.has("raw"), colour=look.colour)
        self._merged = Merged() if request.has("merge") else None

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        kind = message["type"]
        if kind == "output" and self._merged:
            self._merged.take(message["name"], message["text"])
            return []
        if kind == "end" and self._merged:
            whole = "".join(self._log.take(name, line) for name, line in self._merged.lines())
            return [*_out(whole + self._log.flush()), *super().take(message)]
        if kind == "output":
            stamp = self._about(message["at"]) if "at" in message else ""
            return _out(self._log.take(message["name"], message["text"], stamp))
        if kind == "missed":
            name = clean(message["name"])
            text = f"{clean(message.get('bytes', 0))} bytes were not shown: they came faster than they were read"
            return [*_out(self._log.flush()), (ERR, f"taskmasterctl: {name}: {text}\n")]
        return (_out(self._log.flush()) if kind == "end" else []) + super().take(message)

    def _about(self, at: float | None) -> str:
        """Return about when lines were written, which ~ says: the time, with the date if that is not today's."""
        if at is None or self._look.at is None or self._look.wall is None:
            return "~? "
        date, _, clock = self._look.at(at).partition(" ")
        today = self._look.wall(0.0).partition(" ")[0]
        return f"~{clock[:SECONDS]} " if date == today else f"~{date} {clock[:SECONDS]} "

    def _named(self, name: str) -> bool:
        """Return whether lines begin with the name: not if the request can mean one process only."""
        targets = self._request.targets
        if len(targets) != 1 or is_pattern(targets[0]):
            return not self._request.has("daemon")
        return ":" in name and ":" not in targets[0]


class HealthReply(TextReply):
    """Verdicts, shown when all are there, or what checks have found, each as it comes."""

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        from taskmasterctl.reply.health import check_text, health_text  # noqa: PLC0415 - only these verbs need it

        chunks = super().take(message)
        if message["type"] == "check" and not (self._look.quiet and message.get("ok")):
            chunks.append((OUT if message.get("ok") else ERR, check_text(message)))
        elif message["type"] == "end" and self._processes and not self._look.quiet:
            chunks.append((OUT, health_text(self._processes, self._look)))
        return chunks


class DepsReply(TextReply):
    """The tree of dependencies. It is drawn when all edges are there."""

    def __init__(self, request: Request, look: Look) -> None:
        super().__init__(request, look)
        self._edges: list[Message] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "deps":
            self._edges.append(message)
            return []
        if message["type"] != "end" or not self._edges:
            return super().take(message)
        from taskmasterctl.reply.tree import deps_text  # noqa: PLC0415 - only `deps` needs it

        return [(OUT, deps_text(self._edges, self._request, self._look)), *super().take(message)]


def _out(text: str) -> Chunks:
    return [(OUT, text)] if text else []


BY_VERB: Mapping[str, type[TextReply]] = {
    "alert": AlertReply,
    "logs": LogReply,
    "deps": DepsReply,
    "health": HealthReply,
    "check": HealthReply,
}

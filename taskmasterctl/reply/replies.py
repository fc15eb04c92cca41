"""Answers: which message is shown when, on which stream, as text or as JSON. No I/O.

A reply takes the messages one by one and returns chunks: a stream (OUT or ERR) and the text for it. Answers go to OUT;
warnings, progress and errors go to ERR. `end` is the last message. The client makes an `end` itself for its own errors, so
that they look like those of the daemon, as text and as JSON.
"""

from __future__ import annotations

from taskmaster_common import __version__
from taskmaster_common.text.patterns import is_pattern
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.logtext import LogText, Merged
from taskmasterctl.reply.render import Look, error_text, refusal_text, status_table, warning_text
from taskmasterctl.reply.versions import about_text, age_text, client_text, daemon_text
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean, clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmaster_common.commands.table import Request

    Chunks = list[tuple[int, str]]
    Message = dict[str, Any]

    class Reply(Protocol):
        """Turns the messages of one answer into text."""

        def take(self, message: Message) -> Chunks:
            """Return the text to show after this message."""
            ...


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


def reply_for(request: Request, look: Look, *, as_json: bool) -> Reply:
    """Return the reply that shows the answer to a request."""
    text = REPLIES.get(request.verb, TextReply)(request, look)
    if not as_json:
        return text
    return JsonLines(text) if request.verb == "logs" else JsonReply(request, text)


def is_endless(request: Request) -> bool:
    """Return whether the answer goes on until the client or the daemon ends it."""
    return request.has("follow") or request.has("watch") or request.verb == "subscribe"


class TextReply:
    """An answer for people. Tables are kept until `end`: columns are as wide as their widest cell."""

    def __init__(self, request: Request, look: Look) -> None:
        self._request = request
        self._look = look
        self._processes: list[Message] = []
        self._pids: list[Message] = []
        self._plan: list[Message] = []
        self._progress: dict[str, str] = {}
        self._programs = 0
        self._scaled: list[str] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message; a message of an unknown type shows nothing."""
        kind = message["type"]
        chunks = self._planned() if kind != "plan" else []
        show = self._shows.get(kind)
        return chunks + show(self, message) if show else chunks

    def _take_daemon(self, message: Message) -> Chunks:
        if self._request.verb == "version":
            age = age_text(message, __version__, self._look.command)
            return [(OUT, daemon_text(message)), *([(ERR, warning_text(age))] if age else [])]
        if self._request.verb == "pid":
            return [(OUT, f"{clean(message['pid'])}\n")]
        notes: Chunks = []
        self._scaled = [str(text) for text in message.get("scaled") or ()]
        if self._look.quiet:
            return notes
        if message.get("stopping"):
            notes.append((ERR, "taskmasterctl: the daemon is being shut down\n"))
        if message.get("reload_problems"):
            from taskmasterctl.reply.plans import refused_text  # noqa: PLC0415 - only after a refused reload

            notes.append((ERR, refused_text(message, self._look)))
        age = age_text(message, __version__, self._look.command)
        notes += [(ERR, warning_text(clean(text))) for text in (*message.get("warnings", ()), *((age,) if age else ()))]
        return notes

    def _take_help(self, message: Message) -> Chunks:
        return [(OUT, "\n".join(clean_lines(message["text"])))]

    def _take_signal(self, message: Message) -> Chunks:
        return [(OUT, f"{clean(message['number']):>2} {clean(message['name'])}\n")]

    def _take_processes(self, message: Message) -> Chunks:
        failed_only = self._request.has("failed")
        self._processes += [each for each in message["processes"] if not failed_only or not each.get("wanted", True)]
        return []

    def _take_program(self, message: Message) -> Chunks:
        from taskmasterctl.reply.show import show_text  # noqa: PLC0415 - only `show` needs it

        self._programs += 1
        return [(OUT, ("\n" if self._programs > 1 else "") + show_text(message, self._look))]

    def _take_pid(self, message: Message) -> Chunks:
        self._pids.append(message)
        return []

    def _take_progress(self, message: Message) -> Chunks:
        name, text = clean(message.get("name", "")), clean(message.get("text", ""))
        text = with_names(text, self._look.user_name)
        beat = message.get("heartbeat") and not self._look.watched
        if self._look.quiet or beat or not text or self._progress.get(name) == text:
            return []
        self._progress[name] = text
        return [(ERR, f"{name}: {text}\n" if name else f"{text}\n")]

    def _take_result(self, message: Message) -> Chunks:
        from taskmasterctl.reply.results import failed_text, success_text  # noqa: PLC0415 - `status` does without it

        if not message.get("ok"):
            return [(ERR, failed_text(message, self._request.verb, self._look, self._request.text("for", "up")))]
        return [] if self._look.quiet else [(OUT, success_text(message, self._request.verb))]

    def _take_upgraded(self, message: Message) -> Chunks:
        from taskmasterctl.reply.results import upgraded_text  # noqa: PLC0415 - `status` does without it

        return [] if self._look.quiet else [(OUT, upgraded_text(message))]

    def _take_shutdown(self, message: Message) -> Chunks:
        from taskmasterctl.reply.results import shutdown_text  # noqa: PLC0415 - `status` does without it

        return [] if self._look.quiet else [(OUT, shutdown_text(message))]

    def _take_plan(self, message: Message) -> Chunks:
        self._plan.append(message)
        return []

    def _take_problem(self, message: Message) -> Chunks:
        return [(ERR, "\n".join(clean_lines(message["text"])) + "\n")]

    def _take_warning(self, message: Message) -> Chunks:
        return [(ERR, warning_text(message["text"]))]

    def _take_text(self, message: Message) -> Chunks:
        return [(OUT, "\n".join(clean_lines(message["text"])) + "\n")]

    def _take_end(self, message: Message) -> Chunks:
        error = message.get("error")
        chunks: Chunks = []
        if self._request.verb == "shutdown" and self._request.has("no_wait") and not error and not self._look.quiet:
            chunks.append((OUT, "shutdown requested\n"))
        if self._request.verb == "status" and not error and not self._look.quiet:
            chunks.append((OUT, status_table(self._processes, self._look)))
            chunks += [(OUT, with_names(f"{clean(text)}\n", self._look.user_name)) for text in self._scaled]
        chunks += self._pids_shown()
        if error:
            chunks.append((ERR, refusal_text(error, self._look)))
        return chunks

    def _planned(self) -> Chunks:
        """Return the plan after its last message."""
        plans, self._plan = self._plan, []
        if not plans or self._look.quiet:
            return []
        from taskmasterctl.reply.plans import plan_text  # noqa: PLC0415 - only a reload needs it

        programs = [program for plan in plans for program in plan["programs"]]
        keys, live = [[key for plan in plans for key in plan.get(kind) or ()] for kind in ("daemon_keys", "live_keys")]
        groups_changed = any(plan.get("groups_changed") for plan in plans)
        alerts = [change for plan in plans for change in plan.get("alerts") or ()]
        return [(OUT, plan_text(programs, keys, live, groups_changed=groups_changed, alerts=alerts))]

    def _pids_shown(self) -> Chunks:
        """Return the pids; a single one without its name, for use in command lines."""
        if len(self._pids) == 1:
            name, pid = clean(self._pids[0]["name"]), self._pids[0]["pid"]
            return [(OUT, f"{clean(pid)}\n") if pid is not None else (ERR, error_text(f"{name} is not running"))]
        return [
            (OUT, f"{clean(each['name'])} {'-' if each['pid'] is None else clean(each['pid'])}\n")
            for each in self._pids
        ]

    _shows: Mapping[str, Callable[[Any, Message], Chunks]] = {
        "daemon": _take_daemon,
        "client": lambda _reply, message: [(OUT, client_text(message))],
        "help": _take_help,
        "signal": _take_signal,
        "processes": _take_processes,
        "program": _take_program,
        "about": lambda _reply, message: [(OUT, about_text(message))],
        "pid": _take_pid,
        "progress": _take_progress,
        "result": _take_result,
        "upgraded": _take_upgraded,
        "shutdown": _take_shutdown,
        "plan": _take_plan,
        "problem": _take_problem,
        "warning": _take_warning,
        "text": _take_text,
        "end": _take_end,
    }


class AlertReply(TextReply):
    """The rules of alerts, and what one of them has said to a server."""

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] not in ("alert", "said"):
            return super().take(message)
        from taskmasterctl.reply.alerts import alert_text  # noqa: PLC0415 - only `alert` needs it

        return [] if self._look.quiet else [(OUT, alert_text(message, self._request, self._look))]


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
            return _out(self._log.take(message["name"], message["text"]))
        if kind == "missed":
            name = clean(message["name"])
            text = f"{clean(message.get('bytes', 0))} bytes were not shown: they came faster than they were read"
            return [*_out(self._log.flush()), (ERR, f"taskmasterctl: {name}: {text}\n")]
        return (_out(self._log.flush()) if kind == "end" else []) + super().take(message)

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


REPLIES: Mapping[str, type[TextReply]] = {
    "alert": AlertReply,
    "logs": LogReply,
    "deps": DepsReply,
    "health": HealthReply,
    "check": HealthReply,
}

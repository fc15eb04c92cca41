"""An answer for people: which message is shown when, on which stream, as text. No I/O.

Tables, plans and pids are kept until all of them are there: columns are as wide as their widest cell.
"""

from __future__ import annotations

from taskmaster_common import __version__
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.render import Look, error_text, refusal_text, status_table, warning_text
from taskmasterctl.reply.versions import about_text, age_text, client_text, daemon_text
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean, clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.bulk import Bulk

    Chunks = list[tuple[int, str]]
    Message = dict[str, Any]

    class Reply(Protocol):
        """Turns the messages of one answer into text."""

        def take(self, message: Message) -> Chunks:
            """Return the text to show after this message."""
            ...


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
        self._bulk: Bulk | None = None

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
        held = self._bulk.flush() if self._bulk and message.get("heartbeat") else ""
        chunks = [(OUT, held)] if held and not self._look.quiet else []
        beat = message.get("heartbeat") and not self._look.watched
        if self._look.quiet or beat or not text or self._progress.get(name) == text:
            return chunks
        self._progress[name] = text
        return [*chunks, (ERR, f"{name}: {text}\n" if name else f"{text}\n")]

    def _take_result(self, message: Message) -> Chunks:
        from taskmasterctl.reply.bulk import Bulk  # noqa: PLC0415 - `status` does without it
        from taskmasterctl.reply.results import failed_text  # noqa: PLC0415 - `status` does without it

        verb, goal = self._request.verb, self._request.text("for", "up")
        self._bulk = self._bulk or Bulk(verb, goal)
        lines = self._bulk.take(message)
        chunks = [(OUT, lines)] if lines and not self._look.quiet else []
        return chunks if message.get("ok") else [*chunks, (ERR, failed_text(message, verb, self._look, goal))]

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

    def _scaled_shown(self) -> list[str]:
        """Return the lines of scaled programs; if names were asked for, only of these."""
        shown = {str(process.get("program")) for process in self._processes} | set(self._request.targets)
        return [text for text in self._scaled if not self._request.targets or text.partition(":")[0] in shown]

    def _take_end(self, message: Message) -> Chunks:
        error = message.get("error")
        results = self._bulk.end() if self._bulk else ""
        chunks: Chunks = [(OUT, results)] if results and not self._look.quiet else []
        if self._request.verb == "shutdown" and self._request.has("no_wait") and not error and not self._look.quiet:
            chunks.append((OUT, "shutdown requested\n"))
        if self._request.verb == "status" and not error and not self._look.quiet:
            chunks.append((OUT, status_table(self._processes, self._look)))
            chunks += [(OUT, with_names(f"{clean(text)}\n", self._look.user_name)) for text in self._scaled_shown()]
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

        return [(OUT, plan_text(plans, self._look, wide=self._request.has("wide")))]

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

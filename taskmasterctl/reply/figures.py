"""Answers with what processes use, which the daemon does not know: the client adds it. No I/O: looking is a callable."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from taskmasterctl.reply.astext import Chunks, Reply

    Message = dict[str, Any]


class WithUsage:
    """Holds the processes back until all are there, and adds processor and memory to each.

    `measure(processes, pid of the daemon)` takes its time.
    """

    def __init__(self, reply: Reply, measure: Callable[[list[Message], int], object]) -> None:
        self._reply = reply
        self._measure = measure
        self._held: list[Message] = []
        self._daemon = 0

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        kind = message["type"]
        if kind == "processes":
            self._held.append(message)
            return []
        if kind == "daemon":
            self._daemon = message["pid"]
        held, self._held = (self._held, []) if kind == "end" else ([], self._held)
        if held:
            self._measure([process for each in held for process in each["processes"]], self._daemon)
        return [chunk for each in (*held, message) for chunk in self._reply.take(each)]


class WithTree:
    """Adds the processes of each program. `tree_of(pids of leaders)` returns them."""

    def __init__(self, reply: Reply, tree_of: Callable[[Iterable[int]], list[Message]]) -> None:
        self._reply = reply
        self._tree_of = tree_of

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "program":
            leaders = [each["pid"] for each in message["processes"] if each.get("pid") is not None]
            message = {**message, "tree": self._tree_of(leaders)}
        return self._reply.take(message)


class Status:
    """Takes the answer to `status`; what goes wrong is for another reply."""

    def __init__(self, errors: Reply) -> None:
        self._errors = errors
        self.daemon: Message = {}
        self.processes: list[Message] = []

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message: errors and warnings of the conversation."""
        kind = message["type"]
        if kind == "daemon":
            self.daemon = message
        elif kind == "processes":
            self.processes += message["processes"]
        elif kind == "warning" or (kind == "end" and message.get("error")):
            return self._errors.take(message)
        return []


class WithKernel:
    """Adds what the kernel says of the processes that a story is about. `lines_of(pids)` returns it, by pid."""

    def __init__(self, reply: Reply, lines_of: Callable[[Iterable[int]], dict[int, list[str]]]) -> None:
        self._reply = reply
        self._lines_of = lines_of

    def take(self, message: Message) -> Chunks:
        """Return the text to show after this message."""
        if message["type"] == "why":
            found = self._lines_of([pid for story in message["why"] for pid in story.get("pids") or ()])
            for story in message["why"]:
                said = [line for pid in story.get("pids") or () for line in found.get(pid, ())]
                story.update({"kernel": said} if said else {})
        return self._reply.take(message)

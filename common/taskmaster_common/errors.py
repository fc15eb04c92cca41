"""The errors of both programs: whose fault it was is in the type.

A child's expected failures (a missing binary, an exit before `starttime`) are events, not exceptions.
Text is lower case and reads "cannot <verb> <object>: <reason>".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class TaskmasterError(Exception):
    """Base of everything that the two programs raise on purpose."""


class ConfigError(TaskmasterError):
    """The configuration cannot be used.

    `problems` are finished lines of text, each `file:line:column: error: place: reason` and
    optionally the source line below it; there is at least one. `public` are the same without source lines and without
    values of env, for those who may not see them.
    """

    def __init__(self, problems: tuple[str, ...], public: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.public = public or problems


class RequestError(TaskmasterError):
    """The client asked for something that cannot be done; nothing was changed.

    `code` is the stable word of the wire ("unknown-verb", "unknown-name", ...; the list is in
    `protocol`), `exit_code` what taskmasterctl exits with, `hints` are next steps, one line each, `fields` what the code has
    besides.
    """

    def __init__(
        self,
        code: str,
        message: str,
        exit_code: int,
        hints: tuple[str, ...] = (),
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.exit_code = exit_code
        self.hints = hints
        self.fields = fields or {}


class ProtocolError(TaskmasterError):
    """The other side broke the grammar of the wire; the connection is of no further use."""


class SystemFailure(TaskmasterError):
    """The operating system refused something that the program itself needs.

    `op` is a verb phrase ("open log file"), `target` what it was done to, `errno` the number (0 where there is none).
    """

    def __init__(self, op: str, target: str, reason: str, errno: int = 0) -> None:
        super().__init__(f"cannot {op} {target}: {reason}")
        self.op = op
        self.target = target
        self.reason = reason
        self.errno = errno


class BugError(TaskmasterError):
    """Something happened that cannot: an event in a state that cannot see it. Never caught to go on silently."""


def system_reason(error: OSError) -> str:
    """Return what the system says, as the last part of a message."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def shortened(text: str, most: int) -> str:
    """Return `text` in at most `most` characters: its beginning, and how long it was where something is missing."""
    if len(text) <= most:
        return text
    note = f"... ({len(text)} characters)"
    return text[: max(0, most - len(note))] + note

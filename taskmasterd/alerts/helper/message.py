"""One message to deliver, and how a delivery fails."""

from __future__ import annotations

import shlex
import signal

from taskmaster_common.paths import socket_candidates
from taskmaster_common.records import Record
from taskmasterd.alerts.helper.protocol import HIDDEN
from taskmasterd.core.words import alerts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

MOST_REASON = 200
SIGNALS = {int(number): number.name.removeprefix("SIG") for number in signal.Signals}


def command_for(socket: str, uid: int) -> str:
    """Return how the client is called for the daemon of that socket and user: with -s where it would not look there by itself.

    Where it looks is that of a login of the daemon's user, not of the daemon, which may have an environment of its own.
    """
    usual = socket_candidates(uid, {"XDG_RUNTIME_DIR": f"/run/user/{uid}"})
    return alerts.CLIENT if socket in ("", *usual) else f"{alerts.CLIENT} -s {alerts.printable(shlex.quote(socket))}"


class Undelivered(Exception):
    """A delivery that failed. `final`: it will not do better; `after`: the server said when; `certificate`: it was not trusted."""

    def __init__(
        self, text: str, *, final: bool = False, after: float | None = None, certificate: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.final = final
        self.after = after
        self.certificate = certificate


class Envelope(Record):
    """What all messages of a run have in common; `say(line)` adds to the dialogue, where somebody reads it.

    `stories` are those of `why`, by name; `command` is how the client is called.
    """

    rule: str
    kind: str
    destination: Mapping[str, Any]
    host: str
    timeout: float
    pid: int
    say: Callable[[str], None]
    stories: Mapping[str, Any] = {}
    command: str = alerts.CLIENT

    @property
    def domain(self) -> str:
        """The host's name as a part of addresses: letters, digits, dots and hyphens."""
        return (
            "".join(each if each.isascii() and (each.isalnum() or each in ".-") else "-" for each in self.host).strip(
                ".-"
            )
            or "localhost"
        )


class Notice(Record):
    """One message: its id, when it was begun (seconds since 1970), its events, and what it has not."""

    id: str
    at: float
    events: tuple[Mapping[str, Any], ...]
    left_out: int = 0
    lost: int = 0

    def subject(self, order: Envelope) -> str:
        """Return its subject."""
        return alerts.subject(order.host, self.events, self.left_out, self.lost, SIGNALS)

    def text(self, order: Envelope) -> str:
        """Return its text."""
        return alerts.text(order.rule, self.events, self.left_out, self.lost, SIGNALS, order.command, order.stories)

    @property
    def troubled(self) -> list[str]:
        """The processes whose trouble it tells."""
        return [str(event["name"]) for event in self.events if event["name"] and alerts.is_trouble(event)]

    def in_short(self) -> str:
        """Return its events as lines."""
        return alerts.in_short(self.events, self.left_out, self.lost, SIGNALS)

    @property
    def first(self) -> Mapping[str, Any]:
        """Its first event, or one that says nothing."""
        return self.events[0] if self.events else {"event": "", "name": ""}


class Secrets:
    """Texts that nobody may see."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, *texts: str) -> None:
        """Hide these from now on."""
        self._texts = sorted({*self._texts, *(text for text in texts if text)}, key=len, reverse=True)

    def hidden(self, text: str) -> str:
        """Return one printable line of the text, without secrets."""
        for secret in self._texts:
            text = text.replace(secret, HIDDEN)
        return alerts.printable(" ".join(text.split()))

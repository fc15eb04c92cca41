"""Writes who asked for what: each request that changes something, each refusal, each client who was not let in.

What a line says of the client comes from the kernel: uid and pid from the socket, the login from /proc. What the client chooses
himself, the name of his command and SSH_CONNECTION, stands in quotes: it is a claim. A text that was sent to a program never
comes here.
"""

from __future__ import annotations

from taskmaster_common.errors import shortened
from taskmasterd.system import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmaster_common.errors import RequestError
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.peers import Peer
    from taskmasterd.telling.eventlog import EventLog

MOST_CHARACTERS = 1000
"""Characters of a request in the event log."""
MOST_TARGETS, MOST_NAME = 20, 200
"""Targets of a request in the history, and characters of each."""
MOST_CLAIMED = 200
"""Characters of a claim."""
REFUSALS = 10
"""Refusals of one uid that are written within a minute; the others are counted."""
MINUTE_S = 60.0
MOST_UIDS = 1000
"""Most uids whose refusals are counted apart; root of a user namespace may have thousands."""
OTHERS = -1


class Audit:
    """Writes to the event log. `owner` is the daemon's uid."""

    def __init__(self, reactor: Reactor, log: EventLog, owner: int) -> None:
        self._reactor = reactor
        self._log = log
        self._owner = owner
        self._refused: dict[int, int] = {}
        self._last: tuple[Peer, dict[str, Any]] | None = None

    def asked(self, peer: Peer, request: Request) -> None:
        """Write a request, before it is carried out."""
        who = self._who(peer)
        self._log.note("", "operator", **_named(request), by=who)
        self._log.write("info", f"request from {who_text(who)}: {_asked(request)}")

    def refused(self, peer: Peer, request: Request, error: RequestError) -> None:
        """Write that a client may not do what he asked for."""
        if self._is_to_be_said(peer.uid):
            who, levels = self._who(peer), error.fields
            why = f"needs {levels['needs']}, has {levels['has'] or 'no role'}" if levels else error.message
            self._log.note("", "denied", **_named(request), reason=why, by=who)
            self._log.write("warning", f"refused to {who_text(who)}: {_asked(request)}: {why}")

    def turned_away(self, peer: Peer, why: str) -> None:
        """Write that somebody was not let in."""
        if self._is_to_be_said(peer.uid):
            who = self._who(peer)
            self._log.note("", "denied", reason=why, by=who)
            self._log.write("warning", f"client refused: {who_text(who)}: {why}")

    def _is_to_be_said(self, uid: int) -> bool:
        """Count a refusal; return whether it is one of the first of its uid within a minute."""
        if not self._refused:
            self._reactor.call_later(MINUTE_S, self._minute_is_over)
        key = uid if uid in self._refused or len(self._refused) < MOST_UIDS else OTHERS
        count = self._refused[key] = self._refused.get(key, 0) + 1
        return count <= REFUSALS

    def _minute_is_over(self) -> None:
        refused, self._refused = self._refused, {}
        for uid, count in refused.items():
            if count > REFUSALS:
                whose = "other users" if uid == OTHERS else f"uid {uid}"
                text = f"refused {count - REFUSALS} more requests of {whose} within a minute"
                self._log.note("", "denied", reason=text, by={"uid": uid} if uid != OTHERS else None)
                self._log.write("warning", text)

    def _who(self, peer: Peer) -> dict[str, Any]:
        """Return what is known of a client: uid and pid, and, while his process is there, login, command and where he comes from.

        Only of who could stop the daemon anyway the variables are read: their owner can block a reader for ever.
        """
        if self._last and self._last[0] is peer:  # a connection may carry thousands of requests
            return self._last[1]
        who: dict[str, Any] = {"uid": peer.uid, "pid": peer.pid}
        try:
            who |= self._seen(peer)
        except OSError:  # no descriptor is left to look with: what the kernel has said is written all the same
            return who
        self._last = (peer, who)
        return who

    def _seen(self, peer: Peer) -> dict[str, Any]:
        """Return what /proc says of a client's process. Raises OSError."""
        if peer.pid <= 0 or procfs.owner_of(peer.pid) != peer.uid:
            return {}
        trusted = peer.uid in (0, self._owner)
        found = {
            "login": procfs.login_of(peer.pid),
            "command": procfs.command_of(peer.pid)[:MOST_CLAIMED] or None,
            "from": (_claimed_origin(procfs.variables_of(peer.pid)) if trusted else "") or None,
        }
        return {name: value for name, value in found.items() if value is not None}


def _named(request: Request) -> dict[str, Any]:
    """Return the fields of a record that say what was asked for."""
    targets = [shortened(each, MOST_NAME) for each in _targets(request)[:MOST_TARGETS]]
    flags = _flags(request)[:MOST_TARGETS]
    return {"verb": request.verb, "targets": targets, **({"flags": flags} if flags else {})}


def _asked(request: Request) -> str:
    """Return the verb, its flags and its targets as they were asked for: `reload --dry-run` is no reload."""
    return shortened(" ".join((request.verb, *_flags(request), *_targets(request))), MOST_CHARACTERS)


def _flags(request: Request) -> list[str]:
    return [_flag(key, value) for key, value in request.flags.items() if value is not False]


def _flag(key: str, value: str | bool) -> str:
    """Return a flag as it may be typed. A value is one word, or stands in quotes, so that it cannot look like another flag."""
    name = f"--{key.replace('_', '-')}"
    if not isinstance(value, str):
        return name
    word = shortened(value, MOST_NAME)
    plain = word.isascii() and word.isprintable() and not any(c in word for c in " '\"\\")
    return f"{name}={word if plain else claim(word)}"


def _targets(request: Request) -> tuple[str, ...]:
    """Return what a request is about: what follows the name of `send` by hand is a text for a program."""
    return request.targets[:1] if request.verb == "send" else request.targets


def _claimed_origin(variables: bytes) -> str:
    """Return the value of SSH_CONNECTION among a process's variables, "" without one. Source: ssh(1), ENVIRONMENT."""
    for variable in variables.split(b"\0"):
        if variable.startswith(b"SSH_CONNECTION="):
            return variable.partition(b"=")[2].decode("utf-8", "backslashreplace")[:MOST_CLAIMED]
    return ""


def who_text(who: dict[str, Any]) -> str:
    """Return a client in words: `uid 0 (login uid 1000), pid 4711 "taskmasterctl" from "10.0.0.5 50122 10.0.0.1 22"`."""
    login = f" (login uid {who['login']})" if "login" in who else ""
    command = f" {claim(who['command'])}" if "command" in who else ""
    came = f" from {claim(who['from'])}" if "from" in who else ""
    return f"uid {who['uid']}{login}, pid {who['pid']}{command}{came}"


def claim(text: str) -> str:
    """Return what a client says of himself, in quotes that it cannot close, on one line."""
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.replace("\\", "\\\\"))
    return '"' + escaped.replace('"', '\\"') + '"'

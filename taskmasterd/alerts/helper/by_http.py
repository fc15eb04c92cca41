"""Delivers by an HTTP request. A redirect is not followed: where it leads is nobody's choice."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from taskmaster_common import __version__
from taskmaster_common.config.alerts.places import shown_url, url_problem
from taskmasterd.alerts.helper.message import Envelope, Notice, Secrets, Undelivered
from taskmasterd.alerts.helper.protocol import HIDDEN
from taskmasterd.alerts.helper.secret import SecretError, read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_SENT = 64 * 1024
"""Most bytes of a request's body."""
MOST_READ = 4096
"""Most bytes read of a response's body."""
AGAIN = (408, 425, 429)
"""Statuses of a client's error after which a later try may do better. Source: RFC 9110, 15.5; RFC 8470; RFC 6585."""
LONGEST_WAIT_S = 86_400.0
TYPES = {"json": "application/json", "slack": "application/json", "text": "text/plain; charset=utf-8"}


def body_of(message: Notice, order: Envelope) -> tuple[bytes, str]:
    """Return the request's body, at most MOST_SENT bytes, and its media type. Events that do not fit are counted as lost."""
    events, lost = list(message.events), message.lost
    while True:
        body, kind = _body(message.replace(events=tuple(events), lost=lost), order)
        if len(body) <= MOST_SENT or not events:
            return body[:MOST_SENT], kind
        gone = max(1, len(events) // 10)
        del events[:gone]
        lost += gone


def _body(message: Notice, order: Envelope) -> tuple[bytes, str]:
    place, text = order.destination, message.in_short()
    whole = {
        "host": order.host,
        "rule": order.rule,
        "id": message.id,
        "text": text,
        "events": list(message.events),
        **({"left_out": message.left_out} if message.left_out else {}),
        **({"lost": message.lost} if message.lost else {}),
    }
    if "body" in place:
        return _filled(place["body"], message, order, json.dumps(whole)), _type_of(place["body"])
    form = place.get("format", "json")
    if form == "text":
        return f"{text}\n".encode("utf-8", "backslashreplace"), TYPES["text"]
    said = {"text": escaped(f"[{order.host}] {text}")} if form == "slack" else whole
    return json.dumps(said).encode(), TYPES[form]


def escaped(text: str) -> str:
    """Return a text in which nothing is a link or a mention. Source: Slack, formatting text for app surfaces, escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _type_of(template: str) -> str:
    return TYPES["json"] if template.lstrip().startswith("{") else TYPES["text"]


def _filled(template: str, message: Notice, order: Envelope, whole: str) -> bytes:
    """Return a template with its placeholders filled in, each once: what is filled in is not looked at again."""
    first = message.first
    values = {
        "text": message.in_short(), "host": order.host, "name": str(first["name"]), "event": str(first["event"]), "json": whole,
    }  # fmt: skip
    escape = template.lstrip().startswith("{")
    pieces: list[str] = []
    rest = template
    while rest:
        before, brace, after = rest.partition("{")
        word, closed, behind = after.partition("}")
        if brace and closed and word in values:
            value = values[word]
            pieces += [before, json.dumps(value)[1:-1] if escape else value]
            rest = behind
        else:
            pieces += [before, brace]
            rest = after
    return "".join(pieces).encode("utf-8", "backslashreplace")


def deliver(message: Notice, order: Envelope, secrets: Secrets) -> None:
    """Deliver one message. Raises Undelivered."""
    place = order.destination
    url = place["url"] if "url" in place else _url_in(place["url_file"])
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    secrets.add(url, *((path,) if path != "/" else ()))
    headers = {**place.get("headers", {})}
    for name, file in place.get("header_files", {}).items():
        headers[name] = read_secret(file)
        secrets.add(headers[name])
    body, kind = body_of(message, order)
    given = {name.lower() for name in headers}
    usual = {"Content-Type": kind, "User-Agent": f"taskmasterd/{__version__}"}
    headers |= {name: value for name, value in usual.items() if name.lower() not in given}
    headers["X-Taskmaster-Id"] = message.id
    method = place.get("method", "POST")
    order.say(f"> {method} {shown_url(url)}/{HIDDEN if path != '/' else ''}")
    shown = {name: HIDDEN if name in place.get("header_files", {}) else value for name, value in headers.items()}
    for name, value in shown.items():
        order.say(f"> {name}: {value}")
    try:
        status, reason, retry = _ask(parts, place, order, (method, path, body, headers))
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(f"its certificate is not trusted: {error.verify_message}", certificate=True) from None
    except http.client.HTTPException as error:  # its text may quote what was sent
        raise Undelivered(f"{shown_url(url)}: {type(error).__name__}") from None
    order.say(f"< {status} {reason}")
    _judge(status, reason, retry)


def _url_in(path: str) -> str:
    url = read_secret(path)
    if problem := url_problem(url):
        raise SecretError(f"{path}: {problem}")
    return url


def _ask(
    parts: Any, place: Mapping[str, Any], order: Envelope, request: tuple[str, str, bytes, Mapping[str, str]]
) -> tuple[int, str, str]:
    method, path, body, headers = request
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if "ca" in place:
            try:
                context.load_verify_locations(place["ca"])
            except (OSError, ssl.SSLError) as error:
                raise Undelivered(f"cannot use {place['ca']}: {error}") from None
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=order.timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=order.timeout)
    try:
        connection.request(method, path, body, {name: value.encode("utf-8") for name, value in headers.items()})
        response = connection.getresponse()
        response.read(MOST_READ)
        return response.status, response.reason, response.headers.get("Retry-After", "")
    finally:
        connection.close()


def _judge(status: int, reason: str, retry: str) -> None:
    """Raise Undelivered unless the status means success."""
    if 200 <= status < 300:
        return
    text = f"{status} {reason}".strip()
    if 300 <= status < 400:
        raise Undelivered(f"{text}: a redirect is not followed", final=True)
    final = 400 <= status < 500 and status not in AGAIN
    raise Undelivered(text, final=final, after=None if final else seconds_of(retry, time.time()))


def seconds_of(retry: str, now: float) -> float | None:
    """Return the seconds that a Retry-After means, None without one. Source: RFC 9110, 10.2.3."""
    if retry.isascii() and retry.isdecimal() and len(retry) < 10:
        return min(float(retry), LONGEST_WAIT_S)
    try:
        return min(max(0.0, parsedate_to_datetime(retry).timestamp() - now), LONGEST_WAIT_S)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None

"""The destinations of an alert rule: `cmd`, `mail`, `http` and `syslog`, as plain data.

cmd     {"cmd": [words], "shell": true}
mail    {"to": [...], "from", "host", "port", "server" (as shown), "tls": "starttls|on|off", "auth": {"user", "password_file"}, "ca"}
        or {"to": [...], "from", "sendmail": true or a path}
http    {"url" or "url_file", "format" or "body", "method", "headers", "header_files", "ca"}
syslog  {"to": "udp:host:port", "facility", "tag"}
"""

from __future__ import annotations

from taskmaster_common.config.alerts.places import host_and_port, is_loopback, url_problem
from taskmaster_common.schema.nodes import MAPPING
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.alerts.parts import line_of, parts_of, path_of, several_of
from taskmaster_common.schema.values.scalars import (
    FALSE_WORDS,
    TRUE_WORDS,
    boolean_of,
    elements_of,
    expect,
    expect_map,
    not_one_of,
    text_of,
)
from taskmaster_common.schema.values.split import words_of
from taskmaster_common.text.syslog import FACILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

FORMATS = ("json", "slack", "text")
STARTTLS, TLS_ON, TLS_OFF = TLS = ("starttls", "on", "off")
METHODS = ("POST", "PUT", "PATCH")
SMTP, SMTPS = 25, 465
SYSLOG_PORT = 514
LOG_FACILITIES = tuple(name for name in FACILITIES if name not in ("ntp", "security", "console", "solaris-cron"))
"""Names of facilities. Source: syslog(3)."""
MOST_TAG = 32
"""Most characters of a tag. Source: RFC 3164, 4.1.3."""
MOST_ADDRESS = 254
IN_NAMES = "!#$%&'*+-.^_`|~"
"""What a header's name may have besides letters and digits. Source: RFC 9110, 5.6.2."""
FRAMING = ("content-length", "transfer-encoding", "host", "connection", "x-taskmaster-id")
"""Headers that are not the rule's to write."""


# -- cmd


def alert_command_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return the command: words, or a map of `cmd` and `shell`."""
    if node.kind != MAPPING:
        return {"cmd": words_of(node, context, key, shell=False)}
    shell = "shell" in node.entries and boolean_of(node.entries["shell"][1], context, key)

    def words(value: Node, context: Decoding, key: Key) -> list[str]:
        return words_of(value, context, key, shell=shell)

    found = parts_of(node, context, key, {"cmd": words, "shell": boolean_of})
    if "cmd" not in found:
        raise ValueError("cmd is missing: the command to run")
    return {"cmd": found["cmd"], **({"shell": True} if shell else {})}


# -- mail


def mail_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return where a mail goes, and by which server."""
    expect_map(node, "mail: {to: …}")
    found = parts_of(node, context, key, MAIL)
    if "to" not in found:
        raise ValueError("to is missing: who gets the mail")
    insecure = found.pop("insecure", False)
    if "sendmail" in found:
        server = [name for name in ("server", "tls", "auth", "ca") if name in found]
        if server:
            raise ValueError(f"sendmail knows its server itself; remove {server[0]}, or sendmail")
        if found["sendmail"]:
            return found
        del found["sendmail"]
    host, port = found.pop("server", ("localhost", SMTP))
    usual = TLS_ON if port == SMTPS else TLS_OFF if is_loopback(host) and "auth" not in found else STARTTLS
    tls = found.setdefault("tls", usual)
    if tls == TLS_OFF and "auth" in found:
        raise ValueError("auth: a password is never sent without TLS; write tls: starttls or tls: on")
    if tls == TLS_OFF and not is_loopback(host) and not insecure:
        raise ValueError(
            f"tls: off to {host} can be read by everybody on the way; write insecure: true if that is meant"
        )
    if tls == TLS_OFF and "ca" in found:
        raise ValueError("ca has no effect with tls: off")
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {**found, "host": host, "port": port, "server": shown}


def _address(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    local, at, domain = text.rpartition("@")
    good = all(character.isprintable() and character not in ' <>()[]",;:\\' for character in text)
    if not (at and local and domain and good and "@" not in local and len(text) <= MOST_ADDRESS and text.isascii()):
        raise ValueError(f"{quoted(text)} is not a mail address such as ops@example.org")
    return text


def _addresses(node: Node, context: Decoding, key: Key) -> list[str]:
    return several_of(node, context, key, _address)


def _server(node: Node, context: Decoding, key: Key) -> tuple[str, int]:
    text = text_of(node, context, key)
    if "://" in text or "/" in text:
        raise ValueError(f"{quoted(text)} is not a server such as mail.example.org:587")
    return host_and_port(text, SMTP)


def _tls(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text.lower() in TRUE_WORDS + FALSE_WORDS:
        return TLS_ON if text.lower() in TRUE_WORDS else TLS_OFF
    if text not in TLS:
        raise ValueError(not_one_of(text, TLS))
    return text


def _auth(node: Node, context: Decoding, key: Key) -> dict[str, str]:
    instead = {"password": "a password in the configuration is known to all who read it; write password_file: PATH"}
    found = parts_of(node, context, key, {"user": line_of, "password_file": path_of}, instead)
    missing = [name for name in ("user", "password_file") if name not in found]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return found


def _sendmail(node: Node, context: Decoding, key: Key) -> bool | str:
    text = text_of(node, context, key)
    if text.lower() in TRUE_WORDS + FALSE_WORDS:
        return text.lower() in TRUE_WORDS
    return path_of(node, context, key)


MAIL = {
    "to": _addresses,
    "from": _address,
    "server": _server,
    "tls": _tls,
    "auth": _auth,
    "ca": path_of,
    "insecure": boolean_of,
    "sendmail": _sendmail,
}


# -- http


def http_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return what an HTTP request is made of."""
    expect_map(node, "http: {url: …}")
    found = parts_of(node, context, key, HTTP)
    if ("url" in found) == ("url_file" in found):
        raise ValueError("write one of url and url_file, the file that holds the URL")
    if "format" in found and "body" in found:
        raise ValueError("body is the whole text; remove format")
    both = {name.lower() for name in found.get("headers", ())} & {
        name.lower() for name in found.get("header_files", ())
    }
    if both:
        raise ValueError(f"the header {quoted(min(both))} is in headers and in header_files")
    return found


def _url(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if problem := url_problem(text):
        raise ValueError(problem)
    return text


def _choice(words: tuple[str, ...]) -> Any:
    def decode(node: Node, context: Decoding, key: Key) -> str:
        text = text_of(node, context, key)
        if text not in words:
            raise ValueError(not_one_of(text, words))
        return text

    return decode


def _headers(decode: Any) -> Any:
    def headers(node: Node, context: Decoding, key: Key) -> dict[str, str]:
        expect(node, MAPPING)
        for name in node.entries:
            if not name or not all(each in IN_NAMES or (each.isascii() and each.isalnum()) for each in name):
                raise ValueError(f"{quoted(name)} cannot be the name of a header")
            if name.lower() in FRAMING:
                raise ValueError(f"the header {name} is written by taskmasterd itself")
        values = elements_of([value for _, value in node.entries.values()], context, key, decode)
        return dict(zip(node.entries, values))

    return headers


HTTP: Mapping[str, Any] = {
    "url": _url,
    "url_file": path_of,
    "format": _choice(FORMATS),
    "method": _choice(METHODS),
    "headers": _headers(line_of),
    "header_files": _headers(path_of),
    "body": text_of,
    "ca": path_of,
}


# -- syslog


def syslog_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return where datagrams or lines for a log daemon go."""
    if node.kind != MAPPING:
        return {"to": _log_daemon(node, context, key)}
    found = parts_of(node, context, key, {"to": _log_daemon, "facility": _choice(LOG_FACILITIES), "tag": _tag})
    if "to" not in found:
        raise ValueError("to is missing: unix:/dev/log, udp:HOST:PORT or tcp:HOST:PORT")
    return found


def _log_daemon(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    way, _, rest = text.partition(":")
    if way == "unix" and rest.startswith("/") and len(rest) <= 107:
        return text
    if way not in ("udp", "tcp"):
        raise ValueError(f"{quoted(text)} is not unix:/PATH, udp:HOST:PORT or tcp:HOST:PORT")
    host, port = host_and_port(rest, SYSLOG_PORT)
    return f"{way}:[{host}]:{port}" if ":" in host else f"{way}:{host}:{port}"


def _tag(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not 0 < len(text) <= MOST_TAG or not all(each.isascii() and (each.isalnum() or each in "._-/") for each in text):
        raise ValueError(f"{quoted(text)} is not 1 to {MOST_TAG} letters, digits, '.', '_', '-' or '/'")
    return text

"""Hosts, ports and URLs as an alert's destination has them. Pure; the decoder and the helper that delivers use the same."""

from __future__ import annotations

MOST_PORT = 65_535
MOST_SHOWN = 60
LOOPBACK = ("localhost", "::1", "ip6-localhost")


def host_and_port(text: str, port: int) -> tuple[str, int]:
    """Return host and port of `host`, `host:25`, `[::1]:25`; `port` is the one that is meant without. Raises ValueError."""
    host, colon, digits = text, "", ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, digits = rest[:1], rest[1:]
        if not bracket or (rest and colon != ":"):
            raise ValueError(f'"{text[:MOST_SHOWN]}" is no host and port')
    elif text.count(":") < 2:
        host, colon, digits = text.partition(":")
    if not host or not all(character.isalnum() or character in ".-_:%" for character in host) or not host.isascii():
        raise ValueError(f'"{host[:MOST_SHOWN]}" is no name or address of a host')
    if colon:
        port = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 6 else 0
    if not 1 <= port <= MOST_PORT:
        raise ValueError(f'"{text[:MOST_SHOWN]}" has no port from 1 to {MOST_PORT}')
    return host, port


def is_loopback(host: str) -> bool:
    """Return whether a name or address means this host."""
    return host.lower() in LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdecimal())


def url_problem(text: str) -> str:
    """Return why `text` is no URL for an alert, or ""; the reason does not repeat it, as it may be a secret."""
    scheme, separator, rest = text.partition("://")
    authority = authority_of(text)
    if not separator or scheme.lower() not in ("http", "https") or not authority:
        return "it is no URL that begins with https:// or http:// and a host"
    if not rest.isascii() or not rest.isprintable() or " " in rest:
        return "a URL has printable ASCII characters and no blanks"
    if "@" in authority:
        return "a password belongs into header_files (Authorization), not into the URL"
    try:
        host_and_port(authority, 443)
    except ValueError as error:
        return str(error)
    return ""


def authority_of(url: str) -> str:
    """Return host and port of a URL as they are written."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]


def shown_url(url: str) -> str:
    """Return scheme and host of a URL: the rest may be a secret."""
    return f"{url.partition('://')[0]}://{authority_of(url).rpartition('@')[2]}"

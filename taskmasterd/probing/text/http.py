"""The request of an http probe, and the status in the answer: as much of HTTP/1.1 as a probe needs (RFC 9112)."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.probing.text.address import LOCALHOST, inet_addresses, unix_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskmasterd.probing.text.address import Address

SCHEME, UNIX = "http://", "unix:"
MOST_READ = 4096
"""Most bytes to read of an answer."""
USUAL = range(200, 400)


class HttpRequest(Record):
    """Where to connect to, what to send, and which statuses of an answer mean success."""

    addresses: tuple[Address, ...]
    sent: bytes
    statuses: frozenset[int] | range = USUAL

    def verdict(self, status: int) -> tuple[bool, str]:
        """Return whether a status means success, and that status in words."""
        return status in self.statuses, f"http {status}"


def http_request(url: str, statuses: Iterable[int] = (), headers: Mapping[str, str] | None = None) -> HttpRequest:
    """Return the request for "http://HOST[:PORT][/PATH]" or "unix:SOCKET[:/PATH]"; without `statuses` 200 to 399 will do.

    Raises ValueError with the reason for anything else.
    """
    if url.startswith(UNIX):
        path, colon, rest = url[len(UNIX) :].partition(":/")
        addresses, host, target = unix_address(path), LOCALHOST, "/" + rest if colon else "/"
        if not path.startswith("/"):
            raise ValueError(f'"{url}" names no absolute path of a socket')
    elif url.startswith(SCHEME):
        authority, slash, rest = url[len(SCHEME) :].partition("/")
        host, query, more = authority.partition("?")
        target = "/" + query + more + slash + rest if query else "/" + rest
        addresses = _addresses(host)
    else:
        raise ValueError(f'"{url}" begins neither with http:// nor with unix:; for https use exec: curl ...')
    target = target.partition("#")[0]
    if not _is_graphic(target):
        raise ValueError(f'"{url}" holds a character that a URL may not hold; write it as %XX')
    lines = {"host": f"Host: {host}", "agent": "User-Agent: taskmasterd", "accept": "Accept: */*"}
    for name, value in (headers or {}).items():
        if not _is_graphic(name) or ":" in name or not value.isprintable():
            raise ValueError(f'"{name}: {value}" is no header')
        lines[name.lower()] = f"{name}: {value}"
    head = "\r\n".join((f"GET {target} HTTP/1.1", *lines.values(), "Connection: close", "", ""))
    chosen = frozenset(statuses)
    return HttpRequest(addresses, head.encode(), chosen or USUAL)


def _addresses(authority: str) -> tuple[Address, ...]:
    if "@" in authority:
        raise ValueError("a URL cannot carry a user here; send it as a header")
    end = authority.rfind(":")
    has_port = end > authority.rfind("]")
    return inet_addresses(authority[:end], authority[end + 1 :]) if has_port else inet_addresses(authority, "80")


def _is_graphic(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def status_in(answer: bytes) -> int | None:
    """Return the status of an answer, None while its first line is incomplete. Raises ValueError if it is no answer of HTTP."""
    line, newline, _ = answer[:MOST_READ].partition(b"\n")
    version, _, rest = line.partition(b" ")
    begins = b"HTTP/1.".startswith(line[:7]) or line.startswith(b"HTTP/1.")
    if not begins or (not newline and len(answer) >= MOST_READ):
        raise ValueError("the answer is no HTTP")
    if not newline:
        return None
    code = rest[:3]
    if not (version[7:].isdigit() and len(code) == 3 and code.isdigit() and rest[3:4] in (b"", b" ", b"\r")):
        raise ValueError("the answer is no HTTP")
    return int(code)

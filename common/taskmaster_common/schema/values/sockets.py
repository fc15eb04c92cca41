"""`sockets` -> the sockets of a program in the order of the file, and `stdin` -> what it reads.

Addresses are numeric, since a resolver can block: `127.0.0.1:8000`, `[::1]:80`, `:80` (all addresses), `localhost:80` (both
loopbacks), `/path` or `unix:/path`, `@abstract`; with `udp:` before an address of the network.
"""

from __future__ import annotations

import ipaddress

from taskmaster_common.config import DISCARD, INSTANCE
from taskmaster_common.config.sockets import LOCALHOST, UDP, UNIX, Socket
from taskmaster_common.config.words import FROM_SOCKET
from taskmaster_common.schema.nodes import MAPPING, SCALAR
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.surroundings import absolute
from taskmaster_common.schema.values.scalars import (
    WrongElementError,
    WrongElementsError,
    count_of,
    element_at,
    elements_of,
    expect,
    limits_of,
    not_one_of,
    text_of,
)
from taskmaster_common.text.units import parse_umask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

MOST = 64
"""Most sockets of a program: their numbers end below those that a child needs for itself."""
MOST_NAME = 60
MOST_BACKLOG = 65_535
MOST_PORT = 65_535
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
MEANT = {"address": "listen", "bind": "listen", "path": "listen", "host": "listen", "port": "listen", "owner": "user"}


def sockets_of(node: Node, context: Decoding, key: Key) -> tuple[Socket, ...]:
    """Return all sockets. Raises WrongElementsError with each wrong one."""
    expect(node, MAPPING)
    if len(node.entries) > MOST:
        raise ValueError(f"has {len(node.entries)} sockets; at most {MOST} are allowed")
    wrong = [
        WrongElementError(written, problem)
        for name, (written, _) in node.entries.items()
        if (problem := name_problem(name))
    ]
    if wrong:
        raise WrongElementsError(wrong)
    found: list[Socket] = []
    for name, (_, value) in node.entries.items():
        try:
            found.append(element_at(name, value, context, key, _socket).replace(name=name))
        except WrongElementsError as error:
            wrong += error.elements
    if wrong:
        raise WrongElementsError(wrong)
    return tuple(found)


def name_problem(name: str) -> str:
    """Return why a socket cannot have this name, or "": it is part of `${SOCKET_name}` and of LISTEN_FDNAMES."""
    if not name or len(name) > MOST_NAME or not _LETTERS.issuperset(name):
        return f"{quoted(name)} cannot be the name of a socket; use 1 to {MOST_NAME} letters, digits or _"
    return ""


def _socket(node: Node, context: Decoding, key: Key) -> Socket:
    if node.kind != MAPPING:
        return Socket("", listen_of(node, context, key))
    values = limits_of(node, context, key, NAMED, MEANT)
    if "listen" not in values:
        raise ValueError("listen is missing: the address")
    found = Socket("", **values)
    needless = [name for name in ("mode", "user", "group") if name in values]
    if needless and not found.is_file:
        raise ValueError(f"{' and '.join(needless)}: only the path of a UNIX socket has these")
    if "backlog" in values and found.listen.startswith(UDP):
        raise ValueError("backlog: a UDP socket has no queue of clients")
    return found


def listen_of(node: Node, context: Decoding, key: Key) -> str:
    """Return an address as `Socket.listen` has it. Raises ValueError with the reason."""
    text = text_of(node, context, key)
    if text.startswith(UNIX):
        path = text[len(UNIX) :]
        if path.startswith("@"):
            raise ValueError(f"{quoted(text)} would be a file; for an abstract address write {path}")
        if not path or path.startswith("//"):
            raise ValueError(f"{quoted(text)} has no path; write unix:/run/web.sock")
        return _path(path, context)
    if text.startswith("@"):
        if text == "@":
            raise ValueError("an abstract address has a name after the @")
        return text
    if text.startswith(UDP):
        return UDP + inet_of(text[len(UDP) :], text)
    if "://" in text or text.startswith("tcp:"):
        bare = text.rpartition("/")[2] if "://" in text else text[len("tcp:") :]
        raise ValueError(f"{quoted(text)} is not an address; write it without what it begins with: {bare}")
    if "/" in text:
        return _path(text, context)
    return inet_of(text, text)


def _path(text: str, context: Decoding) -> str:
    if text.rpartition("/")[2] in ("", ".", ".."):
        raise ValueError(f"{quoted(text)} is a directory; write the path of a file in it")
    return absolute(context.directory, text)


def inet_of(text: str, whole: str) -> str:
    """Return HOST:PORT with both in their usual form; messages quote the `whole` address. Raises ValueError with the reason."""
    host, colon, port = text.rpartition(":")
    if not colon:
        known = f"write 127.0.0.1:{text} or :{text}" if text.isdecimal() else f"write HOST:PORT, or ./{text} for a path"
        raise ValueError(f"{quoted(whole)} is not an address; {known}")
    return f"{_host(host, whole)}:{_port(port, whole)}"


def _port(port: str, whole: str) -> str:
    digits = port.replace(INSTANCE, "")
    if not (digits.isascii() and digits.isdecimal()) and not (INSTANCE in port and not digits):
        raise ValueError(f"{quoted(whole)} has no port: a number from 1 to {MOST_PORT} after the last colon")
    if INSTANCE in port:
        return port  # `checks.sockets` looks at that of each instance
    if not 1 <= int(digits[:6]) <= MOST_PORT or len(digits) > 5:
        raise ValueError(f"{quoted(whole)}: the port is not between 1 and {MOST_PORT}")
    return str(int(digits))


def _host(host: str, whole: str) -> str:
    if host in ("", LOCALHOST) or INSTANCE in host:
        return host
    if host == "*":
        raise ValueError(f"{quoted(whole)}: for all addresses write :PORT, for those of IPv4 0.0.0.0:PORT")
    in_brackets = host[:1] == "[" and host[-1:] == "]"
    try:
        found = ipaddress.ip_address(host[1:-1] if in_brackets else host)
    except ValueError:
        raise ValueError(
            f"{quoted(whole)}: {quoted(host)} is neither a numeric address nor localhost; names are not looked up"
        ) from None
    if found.version == 6 and not in_brackets:
        raise ValueError(f"{quoted(whole)}: an IPv6 address stands in brackets: [{found}]:PORT")
    if found.version == 4 and in_brackets:
        raise ValueError(f"{quoted(whole)}: only an IPv6 address stands in brackets")
    if found.version == 6 and found.is_unspecified:
        return ""  # one socket serves IPv4, too, so the two ways to write it are one address
    return f"[{found}]" if found.version == 6 else str(found)


def _backlog(node: Node, context: Decoding, key: Key) -> int:
    return count_of(node, context, key, MOST_BACKLOG)


def _mode(node: Node, context: Decoding, key: Key) -> int:
    return parse_umask(text_of(node, context, key))


def _account(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text or "\t" in text:
        raise ValueError("a name has at least one character")
    return text


DECODERS: Mapping[str, Decoder] = {
    "listen": listen_of,
    "backlog": _backlog,
    "mode": _mode,
    "user": _account,
    "group": _account,
}


def _named(name: str, decode: Decoder) -> Decoder:
    return lambda node, context, key: element_at(name, node, context, key, decode)


NAMED = {name: _named(name, decode) for name, decode in DECODERS.items()}
"""The same, which say where a wrong value is."""


def input_of(node: Node, context: Decoding, key: Key) -> str:
    """Return one of the key's words, a path, or FROM_SOCKET and the name of a socket."""
    if node.kind == MAPPING:
        if [*node.entries] != ["socket"]:
            raise ValueError("expected null, pipe, a path or {socket: NAME}, not another mapping")
        return FROM_SOCKET + elements_of([node.entries["socket"][1]], context, key, text_of)[0]
    expect(node, SCALAR)
    if node.is_empty():
        raise ValueError("has no value; write null for an empty input, or remove the line")
    if node.is_null():
        return DISCARD
    text = text_of(node, context, key)
    if text in key.words:
        return text
    if "/" not in text:
        raise ValueError(f"{not_one_of(text, key.words)}; a path has a slash, such as ./FILE")
    return absolute(context.directory, text)

"""Where a probe connects to: numeric addresses, `localhost` and sockets in the file system. Names need a resolver, so none here."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.system.loop.sockets import socket

LOCALHOST = "localhost"
LOOPBACK = ("127.0.0.1", "::1")
"""What `localhost` stands for: a server may listen on only one of the two, and either will do."""


class Address(Record):
    """A family of socket(2), and the address in the form that this family takes."""

    family: int
    address: tuple[str, int] | str


def tcp_addresses(text: str) -> tuple[Address, ...]:
    """Return the addresses in "PORT" (of 127.0.0.1), "HOST:PORT" or "[HOST]:PORT". Raises ValueError with the reason."""
    host, _, port = text.rpartition(":")
    return inet_addresses(host or LOOPBACK[0], port)


def unix_address(path: str) -> tuple[Address, ...]:
    """Return the address of a socket in the file system."""
    return (Address(socket.AF_UNIX, path),)


def inet_addresses(host: str, port: str) -> tuple[Address, ...]:
    """Return the addresses of a numeric host, perhaps in brackets, or of `localhost`. Raises ValueError with the reason."""
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if not 0 < number < 65_536:
        raise ValueError(f'"{port}" is no port')
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    hosts = LOOPBACK if bare == LOCALHOST else (bare,)
    return tuple(Address(_family(each), (each, number)) for each in hosts)


def _family(host: str) -> int:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    raise ValueError(f'"{host}" is neither a numeric address nor localhost; for a name use exec: curl ...')

"""Listening sockets as values of a program: a row of texts for each, in the order of their descriptors. Pure.

What a change of a socket restarts is apart from what is applied at once, so the two are two fields of a program: `sockets` has
names, owners and addresses, `socket_options` queues and modes, where they are not the usual ones.
"""

from __future__ import annotations

from taskmaster_common.config.words import FROM_SOCKET, INSTANCE, for_instance
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

BACKLOG = 4096
"""Usual length of the queue of clients that nobody has accepted yet."""
MODE = 0o666
"""Usual mode of the file of a UNIX socket: who may connect is for its directory, or for the server."""
FIRST_FD = 3
"""Number of the first socket in a program. Source: sd_listen_fds(3)."""
UDP, UNIX = "udp:", "unix:"
LOCALHOST = "localhost"
LOOPBACKS = ("127.0.0.1", "[::1]")


class Socket(Record):
    """One socket of a program. `listen` is its address as `schema.values.sockets` has it; `user` and `group` "" are the daemon's."""

    name: str
    listen: str
    user: str = ""
    group: str = ""
    backlog: int = BACKLOG
    mode: int = MODE

    def row(self) -> str:
        """Return its text in `sockets`."""
        return f"{self.name}\t{self.user}\t{self.group}\t{self.listen}"

    def options(self) -> str:
        """Return its text in `socket_options`, "" if all is as usual."""
        return "" if (self.backlog, self.mode) == (BACKLOG, MODE) else f"{self.name} {self.backlog} {self.mode:o}"

    def addresses(self, index: int) -> tuple[str, ...]:
        """Return the addresses at which an instance listens, one for each descriptor."""
        listen = for_instance(self.listen, index)
        kind, rest = (UDP, listen[len(UDP) :]) if listen.startswith(UDP) else ("", listen)
        host, colon, port = rest.rpartition(":")
        return tuple(f"{kind}{each}:{port}" for each in LOOPBACKS) if colon and host == LOCALHOST else (listen,)

    @property
    def varies(self) -> bool:
        """Whether each instance has an address of its own."""
        return INSTANCE in self.listen

    @property
    def is_file(self) -> bool:
        """Whether it has a path, and so an owner and a mode."""
        return self.listen.startswith("/")


def socket_rows(sockets: Iterable[Socket]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return sockets as the fields `sockets` and `socket_options` of a program."""
    every = tuple(sockets)
    return tuple(each.row() for each in every), tuple(filter(None, (each.options() for each in every)))


def sockets_of(rows: Sequence[str], options: Sequence[str] = ()) -> tuple[Socket, ...]:
    """Return the sockets that `socket_rows` was made from."""
    more: dict[str, tuple[int, int]] = {}
    for text in options:
        name, length, bits = text.split(" ")
        more[name] = (int(length), int(bits, 8))
    found: list[Socket] = []
    for row in rows:
        name, user, group, listen = row.split("\t", 3)
        backlog, mode = more.get(name, (BACKLOG, MODE))
        found.append(Socket(name, listen, user, group, backlog, mode))
    return tuple(found)


def descriptors(sockets: Iterable[Socket]) -> dict[str, int]:
    """Return the number of each socket's first descriptor in the program."""
    found: dict[str, int] = {}
    at = FIRST_FD
    for each in sockets:
        found[each.name] = at
        at += len(each.addresses(0))
    return found


def variable(name: str) -> str:
    """Return the variable of `cmd` that stands for the number of a socket."""
    return f"SOCKET_{name}"


def socket_on_stdin(stdin: str) -> str:
    """Return the name of the socket that is descriptor 0, "" for none."""
    return stdin[len(FROM_SOCKET) :] if stdin.startswith(FROM_SOCKET) else ""


def written_sockets(rows: Sequence[str], options: Sequence[str]) -> Mapping[str, Any]:
    """Return sockets as one writes them in the file: the address, or a map where a socket says more."""
    found: dict[str, Any] = {}
    for each in sockets_of(rows, options):
        more: dict[str, Any] = {} if each.backlog == BACKLOG else {"backlog": each.backlog}
        more |= {} if each.mode == MODE else {"mode": f"{each.mode:04o}"}
        more |= {name: text for name, text in (("user", each.user), ("group", each.group)) if text}
        found[each.name] = {"listen": each.listen, **more} if more else each.listen
    return found

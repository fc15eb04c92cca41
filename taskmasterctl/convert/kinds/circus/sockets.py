"""`[socket:x]` of circus -> `sockets` of the programs that use it. Pure.

Source: circus/sockets.py and circus/config.py of circus 0.19: names are in lower case, a mask is a decimal number, 8 without one,
and what a watcher gets are the numbers in its command, and its `stdin_socket`.
"""

from __future__ import annotations

import ipaddress
import re

from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import Ini, IniOption, Section

OPTIONS: dict[str, str] = {
    "host": "listen",
    "port": "listen",
    "path": "listen",
    "family": "listen",
    "type": "listen",
    "umask": "mode",
    "backlog": "backlog",
    "blocking": "",
    "replace": "",
    "so_reuseport": "",
    "interface": "",
    "proto": "",
}
"""Options of `[socket:x]`, and where they go within a socket of `sockets`. docs/coming-from/circus.md is checked against it."""
LOST = {
    "so_reuseport": ("all instances share one queue", "numprocs: with one port each"),
    "interface": ("a socket is not bound to an interface", "the address of the interface as host"),
    "proto": ("a socket has the usual protocol of its type", ""),
}
FALSE = ("false", "no", "off", "0", "", "none")
BACKLOG = 2048
UMASK = 8
MOST_PORT = 65_535
MOST_BACKLOG = 65_535
DESCRIPTORS = "whose sockets begin at descriptor 3, with LISTEN_FDS and SOCKET_NAME in the environment"
BLOCKING = "whose sockets are blocking here (there they are not, unless blocking is set)"


class CircusSockets:
    """The sockets of all files, by their names in lower case."""

    def __init__(self, ini: Ini, outcome: Draft) -> None:
        self._outcome = outcome
        self._sections = {name.lower(): section for name, section in ini.named("socket:")}
        self._values: dict[str, dict[str, Any]] = {}
        self._reasons: dict[str, str] = {}
        self._users: dict[str, Block] = {}
        self._called = _names_here(self._sections)
        for name, section in self._sections.items():
            try:
                self._values[name] = self._own(_values(section), section)
            except LookupError as error:
                self._reasons[name] = str(error.args[0])
            except ValueError as error:
                outcome.report.refuse(section.place(), str(error))

    def _own(self, values: dict[str, Any], section: Section) -> dict[str, Any]:
        """Return a socket whose address no other one has. Raises as `_values`."""
        other = next((name for name, each in self._values.items() if each["listen"] == values["listen"]), "")
        if other and "so_reuseport" in section.options:
            raise LookupError(f"[socket:{other}] has this address, too")
        if other:
            raise ValueError(f"[socket:{other}] has this address, too")
        return values

    def __contains__(self, name: str) -> bool:
        """Return whether there is a section of this name."""
        return name.lower() in self._sections

    def reason(self, name: str) -> str:
        """Return why nothing here can listen at this socket, or ""."""
        return self._reasons.get(name.lower(), "")

    def give(self, name: str, block: Block) -> str:
        """Add the socket to a program; return what it is called there."""
        called = self._called.get(name.lower(), name)
        values = self._values.get(name.lower())
        if values is not None:
            sockets = block.keys.setdefault("sockets", {})
            sockets[called] = values if len(values) > 1 else values["listen"]
            self._outcome.report.note(DESCRIPTORS, block.name)
            if "blocking" not in self._sections[name.lower()].options:
                self._outcome.report.note(BLOCKING, block.name)
        self._users.setdefault(name.lower(), block)
        return called

    def report(self) -> None:
        """Report the options of all sockets."""
        for name, section in self._sections.items():
            for option in section.options.values():
                self._report(name, section, option)

    def _report(self, name: str, section: Section, option: IniOption) -> None:
        place, block = section.place(option), self._users.get(name)
        value = option.value.strip().lower()
        if block is None:
            self._outcome.ignore(place, "no watcher uses this socket")
        elif name in self._reasons:
            self._outcome.drop(place, self._reasons[name], "let the program open its own", on=block)
        elif option.name in LOST and value not in FALSE:
            self._outcome.drop(place, *LOST[option.name], on=block, key="sockets")
        elif option.name == "blocking" and value in FALSE:
            self._outcome.change(
                place, "sockets are blocking", "the program can say otherwise", on=block, key="sockets"
            )
        elif option.name in OPTIONS:
            self._outcome.carried()
        else:
            self._outcome.ignore(place, "circus does not know this option of a socket either", on=block)


def _names_here(names: Iterable[str]) -> dict[str, str]:
    """Return what each socket is called here, where a name is part of a variable's."""
    found: dict[str, str] = {}
    for name in names:
        bare = re.sub(r"[^A-Za-z0-9_]", "_", name)[:50] or "_"
        free = (each for each in (bare, *(f"{bare}_{number}" for number in range(2, len(found) + 3))))
        found[name] = next(each for each in free if each not in found.values())
    return found


def _values(section: Section) -> dict[str, Any]:
    """Return a socket as Taskmaster writes it. Raises LookupError for what there is not, ValueError for what circus refuses."""

    def given(name: str, otherwise: str = "") -> str:
        option = section.options.get(name)
        return option.value.strip() if option is not None else otherwise

    family, kind = given("family", "AF_INET").upper(), given("type", "SOCK_STREAM").upper()
    if family not in ("AF_INET", "AF_INET6", "AF_UNIX"):
        raise ValueError("family is AF_INET, AF_INET6 or AF_UNIX")
    backlog = _whole(given("backlog", str(BACKLOG)), "backlog")
    if not 0 <= backlog <= MOST_BACKLOG:
        raise LookupError(f"a backlog is between 0 and {MOST_BACKLOG}")
    path = given("path")
    if "(circus." in "".join(option.value.lower() for option in section.options.values()):
        raise LookupError("variables in a socket are known only where circusd runs")
    if kind not in ("SOCK_STREAM", "SOCK_DGRAM") or (kind == "SOCK_DGRAM" and path):
        raise LookupError(f"no socket of the type {kind}{' with a path' if path else ''}")
    if path:
        return _unix(path, backlog, _whole(given("umask", str(UMASK)), "umask"))
    if family == "AF_UNIX":
        raise ValueError("a socket of AF_UNIX has a path")
    listen = _inet(given("host", "localhost"), _whole(given("port", "8080"), "port"), family)
    return {"listen": f"udp:{listen}"} if kind == "SOCK_DGRAM" else {"listen": listen, "backlog": backlog}


def _unix(path: str, backlog: int, umask: int) -> dict[str, Any]:
    if len(path.encode("utf-8", "surrogateescape")) > MAX_SOCKET_PATH:
        raise ValueError(f"the path of a socket has at most {MAX_SOCKET_PATH} bytes")
    mode = Plain(f"{0o777 & ~umask:04o}")
    return {"listen": literal(path if "/" in path else f"./{path}"), "backlog": backlog, "mode": mode}


def _inet(host: str, port: int, family: str) -> str:
    if host == "localhost":
        host = "::1" if family == "AF_INET6" else "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise LookupError(
            "the daemon listens at numeric addresses, localhost and paths alone: it looks up no name"
        ) from None
    if not 1 <= port <= MOST_PORT:
        raise LookupError("a port is between 1 and 65535, and not any one")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _whole(text: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{name}: not a whole number")
    return int(text)

"""`[fcgi-program:x]`: its socket -> `sockets`, and `stdin`, which is that socket. Pure.

Source: supervisor's documentation, [fcgi-program:x]: mode 0700 and the program's user where nothing else is said, IPv4 alone.
"""

from __future__ import annotations

import ipaddress
import re

from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmasterctl.convert.kinds.supervisor.values import has_variable, octal, whole
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import MARK, rendered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.convert.kinds.supervisor.expand import Names
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import IniOption, Section

SOCKET_OPTIONS = ("socket", "socket_owner", "socket_mode", "socket_backlog")
NAME = "fcgi"
"""What the socket is called here; it has no name there."""
MODE = Plain("0700")
MOST_PORT = 65_535
MOST_BACKLOG = 65_535
UNIX = "unix://"
DESCRIPTOR = "whose socket is descriptor 3 as well, with LISTEN_FDS and SOCKET_fcgi in the environment"
_TCP = re.compile(rf"tcp://([^\s:]+):([0-9]+|{MARK}[^{MARK}]+{MARK})")


class FcgiSocket:
    """The options of the socket of one fcgi-program; `taken` has those of the others by their addresses."""

    def __init__(self, section: Section, names: Names, outcome: Draft, taken: dict[str, Any]) -> None:
        self._section = section
        self._names = names
        self._outcome = outcome
        self._taken = taken
        self._only_paths: list[IniOption] = []

    def convert(self, blocks: Sequence[Block]) -> None:
        """Set `sockets` and `stdin` of the programs that the section has become, which share the socket."""
        option = self._section.options.get("socket")
        if option is None:
            self._outcome.report.refuse(self._section.place(), "an fcgi-program has a socket")
            return
        try:
            values = self._values(blocks[0] if blocks else None)
            listen = self._listen(self._names.expanded(option).strip(), values)
        except ValueError as error:
            self._outcome.report.refuse(self._section.place(option), str(error))
            return
        if not listen:
            text = "the daemon listens at numeric addresses, localhost and paths alone: it looks up no name"
            self._lose(option, blocks, text)
            return
        values = {"listen": rendered(listen), **values}
        if self._taken.setdefault(listen, values) != values:
            self._lose(option, blocks, "another program listens there with other options")
            return
        for block in blocks:
            block.set("sockets", {NAME: values if len(values) > 1 else values["listen"]})
            block.set("stdin", {"socket": NAME})
            for comment in option.comments:
                block.remark(comment, "sockets")
        self._outcome.carried(sum(name in self._section.options for name in SOCKET_OPTIONS))
        self._outcome.report.note(DESCRIPTOR, blocks[0].name if blocks else "")

    def _values(self, block: Block | None) -> dict[str, Any]:
        """Return what the options besides the address say. Raises ValueError for the socket as a whole."""
        values: dict[str, Any] = {}
        owner, mode, backlog = (self._section.options.get(name) for name in SOCKET_OPTIONS[1:])
        if backlog is not None:
            length = whole(self._names.expanded(backlog))
            if isinstance(length, int) and not 1 <= length <= MOST_BACKLOG:
                raise ValueError(f"socket_backlog is between 1 and {MOST_BACKLOG}")
            values["backlog"] = length
        self._only_paths = [each for each in (owner, mode) if each is not None]
        if owner is not None:
            user, _, group = rendered(self._names.expanded(owner).strip()).partition(":")
            values |= {"user": user} | ({"group": group} if group else {})
        elif block is not None and "user" in block.keys:
            values["user"] = block.keys["user"]
        values["mode"] = _mode(self._names.expanded(mode)) if mode is not None else MODE
        return values

    def _listen(self, text: str, values: dict[str, Any]) -> str:
        """Return the address, "" for one that nothing here can listen at. Raises ValueError for what supervisor refuses."""
        if text.startswith(UNIX):
            path = text[len(UNIX) :]
            if not path.startswith(("/", MARK)):
                raise ValueError("the path of a socket begins with a slash")
            if not has_variable(path) and len(path.encode("utf-8", "surrogateescape")) > MAX_SOCKET_PATH:
                raise ValueError(f"the path of a socket has at most {MAX_SOCKET_PATH} bytes")
            return path
        found = _TCP.fullmatch(text)
        if found is None:
            if text.startswith(MARK):
                return ""
            raise ValueError("neither unix:///PATH nor tcp://HOST:PORT")
        if self._only_paths:
            raise ValueError("socket_owner and socket_mode are for the path of a UNIX socket")
        for name in ("user", "mode"):
            values.pop(name, None)
        if found[2].isdecimal() and int(found[2][:6]) > MOST_PORT:
            raise ValueError(f"a port is at most {MOST_PORT}")
        return _inet(found[1], found[2])

    def _lose(self, option: IniOption, blocks: Sequence[Block], text: str) -> None:
        instead = "sockets: {fcgi: ADDRESS:PORT} and stdin: {socket: fcgi}"
        for block in blocks:
            if block is blocks[0]:
                self._outcome.drop(self._section.place(option), text, instead, on=block)
                self._drop_others(block)
            self._outcome.kill(block)

    def _drop_others(self, block: Block) -> None:
        for name in SOCKET_OPTIONS[1:]:
            if name in self._section.options:
                self._outcome.drop(self._section.place(self._section.options[name]), "belongs to the socket", on=block)


def _mode(text: str) -> Any:
    """Return a mode in four digits. Raises ValueError."""
    value = octal(text)
    return value if has_variable(text) else Plain(f"{int(value, 8):04o}")


def _inet(host: str, port: str) -> str:
    """Return HOST:PORT, "" where the host is a name or the port any one."""
    host = "127.0.0.1" if host == "localhost" else host  # there are no sockets of IPv6 there
    if not has_variable(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return ""
    return "" if port.isdecimal() and int(port) == 0 else f"{host}:{port}"

"""Opens the sockets on which programs are to listen, each by the text of its address. It knows no programs.

The file of a UNIX socket has its rights before anybody can connect, replaces a stale one, and never one on which somebody answers
or that is no socket. What belongs to whom is judged by inode. Source: unix(7), ip(7), ipv6(7).
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.records import Record
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.paths.bound import bind_path
from taskmasterd.system.paths.held import Held
from taskmasterd.system.paths.rights import set_rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.paths.held import Inode

OP = "create socket"
UDP = "udp:"
ASIDE = ".taskmaster-new"
"""Ends the name of a file that is about to replace a stale one."""
MOST_PATH = 107
"""Longest path of a socket, bytes. Source: unix(7)."""
REASONS = {errno.EADDRINUSE: "address in use", errno.EADDRNOTAVAIL: "this host has no such address"}


class FileRights(Record):
    """Mode and owner of the file of a UNIX socket, None for the daemon's own."""

    mode: int
    uid: int | None = None
    gid: int | None = None


class NewListener(Record):
    """A listening socket: a descriptor, and of a UNIX socket the inode of its file."""

    fd: int
    inode: Inode | None = None


def open_listener(address: str, backlog: int, rights: FileRights) -> NewListener:
    """Bind and listen. Raises OSError, and SystemFailure for a path that cannot be used."""
    made = socket.socket(*_kind(address))
    try:
        inode = _bind(made, address, backlog, rights)
    except BaseException:
        made.close()
        raise
    return NewListener(made.detach(), inode)


def is_file(address: str) -> bool:
    """Return whether an address is a path."""
    return address.startswith("/")


def _kind(address: str) -> tuple[int, int]:
    """Return family and type for socket(2)."""
    if address.startswith(("/", "@")):
        return socket.AF_UNIX, socket.SOCK_STREAM
    udp = address.startswith(UDP)
    family = socket.AF_INET6 if address[len(UDP) if udp else 0 :].startswith(("[", ":")) else socket.AF_INET
    return family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM


def _bind(made: socket.socket, address: str, backlog: int, rights: FileRights) -> Inode | None:
    if is_file(address):
        return _bind_file(made, address, backlog, rights)
    if address.startswith("@"):
        made.bind("\0" + address[1:])
    else:
        _bind_inet(made, address)
    if made.type == socket.SOCK_STREAM:
        made.listen(backlog)
    return None


def _bind_inet(made: socket.socket, address: str) -> None:
    host, _, port = address.removeprefix(UDP).rpartition(":")
    if made.type == socket.SOCK_STREAM:  # of UDP it would let anybody else who sets it take the port, too
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not host:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind((host.strip("[]") or "::", int(port)))


# -- files


def _bind_file(made: socket.socket, path: str, backlog: int, rights: FileRights) -> Inode:
    with Held(path, OP) as held:
        name = bind_path(held, OP)
        suffix = _make_room(held, name)
        umask = os.umask(0o177)
        try:
            made.bind(name + suffix)
        finally:
            os.umask(umask)
        inode = None
        try:
            inode = set_rights(held, OP, rights.mode, uid=rights.uid, gid=rights.gid, suffix=suffix)
            made.listen(backlog)
            if suffix:
                _stale(held)  # somebody may have begun to listen there meanwhile
                held.replace(suffix)
        except BaseException:
            if suffix or (inode and held.inode == inode):
                held.discard(suffix)
            raise
        return inode


def _make_room(held: Held, name: str) -> str:
    """Return what follows `name`, by which bind(2) goes, in that of the new file: nothing, or ASIDE if it is to replace a stale one.

    Where that name would be too long the stale one goes first.
    """
    held.discard(ASIDE)
    if not _stale(held):
        return ""
    if len(os.fsencode(name + ASIDE)) <= MOST_PATH:
        return ASIDE
    held.unlink()
    return ""


def _stale(held: Held) -> bool:
    """Return whether there is a socket on which nobody answers, False for no file. Raises OSError, SystemFailure for any other file."""
    found = held.status()
    if found is None:
        return False
    if not stat.S_ISSOCK(found.st_mode):
        raise SystemFailure(OP, held.path, "something that is not a socket is there", errno.EEXIST)
    if answers(held.address if len(os.fsencode(held.address)) <= MOST_PATH else held.path):
        raise OSError(errno.EADDRINUSE, REASONS[errno.EADDRINUSE])
    return True


def answers(path: str) -> bool:
    """Return whether somebody listens at a path. Waits for nobody: who has no room for more clients answers, too."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)
        probe.connect(path)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno == errno.EPROTOTYPE:  # a socket of another type, whose owner we cannot ask
            return True
        if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
            return False
        raise
    finally:
        probe.close()
    return True


def inode_at(path: str) -> Inode | None:
    """Return the inode at a path, None if there is nothing, or nothing that can be looked at."""
    try:
        with Held(path, "look at") as held:
            return held.inode
    except SystemFailure:
        return None


def remove(path: str, inode: Inode) -> None:
    """Remove the file of our socket; leave any other file there alone."""
    try:
        with Held(path, "remove") as held:
            if held.inode == inode:
                held.discard()
    except SystemFailure:
        return


def refuse_clients(fd: int) -> None:
    """Listen no more, whatever other descriptors the socket has. One of datagrams has no clients to refuse."""
    held = socket.socket(fileno=os.dup(fd))
    try:
        held.shutdown(socket.SHUT_RDWR)
    except OSError:  # ENOTCONN, of datagrams
        return
    finally:
        held.close()


def change(fd: int, address: str, inode: Inode | None, backlog: int, rights: FileRights) -> None:
    """Give an open socket another queue, mode and owner. Raises OSError, SystemFailure if its file is another one by now."""
    held = socket.socket(fileno=os.dup(fd))
    try:
        if held.type == socket.SOCK_STREAM:
            held.listen(backlog)
    finally:
        held.close()
    if inode is None:
        return
    with Held(address, "change socket") as file:
        if file.inode != inode:
            raise SystemFailure("change socket", address, "it is another file than that of this socket", errno.EPERM)
        _change_rights(file, rights)


def _change_rights(file: Held, rights: FileRights) -> None:
    fd = file.open(os.O_PATH)
    try:
        link = f"/proc/self/fd/{fd}"
        if rights.uid is not None or rights.gid is not None:
            os.chown(link, -1 if rights.uid is None else rights.uid, -1 if rights.gid is None else rights.gid)
        os.chmod(link, rights.mode)
    finally:
        os.close(fd)


def reason_of(error: OSError | SystemFailure, address: str) -> str:
    """Return why there is no socket at an address, as the last part of a message."""
    if isinstance(error, SystemFailure):
        return error.reason
    if error.errno == errno.EACCES and not is_file(address):
        return "permission denied: ports below 1024 are root's, who opens them when the daemon starts"
    if error.errno == errno.EAFNOSUPPORT:
        return "this host has no IPv6; write an address of IPv4"
    return REASONS.get(error.errno or 0, system_reason(error))

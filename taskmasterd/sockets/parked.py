"""ProgramSockets that the launcher opens with root's rights for a daemon that becomes another user: handed over in messages.

A message holds descriptors only until somebody reads it, so that a guardian which inherits the other end holds none of them open.
"""

from __future__ import annotations

import os
import sys

from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.core.programs.sockets import claims_of
from taskmasterd.sockets.opened import open_for
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.sockets.opened import OpenSocket
    from taskmasterd.system.paths.held import Inode
    from taskmasterd.system.users import Account

AT_ONCE = 64
"""Most descriptors of one message. The kernel takes 253. Source: unix(7), SCM_MAX_FD."""
LONGEST_PACKET = 65_536
FD_BYTES = 4


def park(programs: Iterable[ProgramConfig], owner: Account) -> int | None:
    """Open the sockets of programs that start with the daemon; return the descriptor of the messages, None if there are none.

    Files are the `owner`'s, who is to be the daemon, where nothing else is written. One that cannot be opened is left out: the
    program's start says why.
    """
    found: dict[str, OpenSocket] = {}
    for program in programs:
        for index in range(program.numprocs if program.sockets and program.autostart else 0):
            for claim in claims_of(program, index):
                if claim.address not in found:
                    try:
                        found[claim.address] = open_for(claim, owner)
                    except (SetupError, OSError):
                        continue
    if not found:
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with_rows = list(found.items())
    for at in range(0, len(with_rows), AT_ONCE):
        some = with_rows[at : at + AT_ONCE]
        fds = b"".join(each.fd.to_bytes(FD_BYTES, sys.byteorder) for _address, each in some)
        rows = [[address, *(each.inode or ())] for address, each in some]
        ours.sendmsg([write_json({"rows": rows})], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    for each in found.values():
        os.close(each.fd)
    ours.close()
    return theirs.detach()


def unpark(fd: int) -> dict[str, tuple[int, Inode | None]]:
    """Return descriptors and the inodes of files by address; closes `fd`. An earlier daemon may have read them."""
    channel, found = socket.socket(fileno=fd), {}
    channel.setblocking(False)
    while True:
        try:
            packet, extra, _flags, _address = channel.recvmsg(LONGEST_PACKET, 1024)
        except OSError:
            break
        if not packet:
            break
        fds = [each for _level, _kind, data in extra for each in memoryview(data).cast("i")]
        for (address, *inode), each in zip(read_json(packet.decode("ascii"))["rows"], fds):
            os.set_inheritable(each, False)
            found[address] = (each, (inode[0], inode[1]) if inode else None)
    channel.close()
    return found

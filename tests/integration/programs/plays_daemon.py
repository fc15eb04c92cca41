"""Plays the daemon for a guardian: plays_daemon.py KEPT NOTES LIFE...; each LIFE is what one of its lives does, in order.

It notes as a line of JSON what it was handed. up, bye: says so; orphan=N: leaves a process that exits with N, and waits until
it is told of that; leader=N: leaves one that leads a session, and asks, before the guardian can have seen its end, for all ends; keep: has a pipe with some bytes kept; drop, noted: of all that it was handed; die; exit=N.
"""

import array
import json
import os
import signal
import socket
import sys

kept, notes, *lives = sys.argv[1:]
with open(int(kept), "rb") as file:
    first, *rows = [text.decode() for text in file.read().split(b"\0")]
channel = socket.socket(fileno=int(first.split()[0]))
channel.setblocking(True)
pipes = [row.split(" ", 3)[1:] for row in rows if row.startswith("pipe")]
ends = [row.split()[1:] for row in rows if row.startswith("end")]


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/pid/stat from the third on."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()


def leave(number: int, *, leads: bool) -> int:
    """Leave a process that exits with `number` once it is an orphan; returns its pid."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        middle = os.getpid()
        if os.fork() == 0:
            if leads:
                os.setsid()
            os.write(write, b"%d" % os.getpid())
            while os.getppid() == middle:
                pass
            os._exit(number)
        os._exit(0)
    os.waitpid(middle, 0)
    return int(os.read(read, 100))


held = [(path, os.read(int(fd), 100).decode()) for _, fd, path in pipes]
with open(notes, "a+") as file:
    file.seek(0)
    life = lives[len(file.readlines())]
    file.write(
        json.dumps({"again": first.split()[1], "pipes": held, "ends": [int(status) for _, status, _ in ends]}) + "\n"
    )

for action in life.split(","):
    word, _, number = action.partition("=")
    if word in ("up", "bye"):
        channel.send(f"{word} {number}".rstrip().encode())
    elif word == "keep":
        read, write = os.pipe()
        os.write(write, b"some bytes")
        fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [read]))]
        channel.sendmsg([b"keep %d /a path" % os.fstat(read).st_ino], fds)
        keep_open = os.dup(write)
    elif word == "drop":
        for inode, _, _ in pipes:
            channel.send(b"drop %s" % inode.encode())
    elif word == "noted":
        for pid, _, _ in ends:
            channel.send(b"noted %s" % pid.encode())
    elif word == "orphan":
        orphan = leave(int(number), leads=False)
        assert channel.recv(100) == b"end %d %d 0" % (orphan, int(number) << 8)
    elif word == "leader":
        os.kill(os.getppid(), signal.SIGSTOP)
        orphan = leave(int(number), leads=True)
        while stat_of(orphan)[0] != "Z":
            pass
        since = int(stat_of(orphan)[19])
        channel.send(b"tell")
        os.kill(os.getppid(), signal.SIGCONT)
        assert channel.recv(100) == b"end %d %d %d" % (orphan, int(number) << 8, since)
        assert channel.recv(100) == b"told"
    elif word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        sys.exit(int(number))

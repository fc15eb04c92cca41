"""Plays the daemon for a guardian: plays_daemon.py KEPT NOTES LIFE...; each LIFE is what one of its lives does, in order.

It notes as a line of JSON what it was handed. up, bye: says so; orphan=N: leaves a process that exits with N, and waits until
it is told of that; keep: has a pipe with some bytes kept; drop, noted: of all that it was handed; die; exit=N.
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
held = [(path, os.read(int(fd), 100).decode()) for _, fd, path in pipes]
with open(notes, "a+") as file:
    file.seek(0)
    life = lives[len(file.readlines())]
    file.write(
        json.dumps({"again": first.split()[1], "pipes": held, "ends": [int(status) for _, status in ends]}) + "\n"
    )

for action in life.split(","):
    word, _, number = action.partition("=")
    if word in ("up", "bye"):
        channel.send(word.encode())
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
        for pid, _ in ends:
            channel.send(b"noted %s" % pid.encode())
    elif word == "orphan":
        if os.fork() == 0:
            if os.fork() == 0:
                while os.getppid() != os.getpgid(0):  # the guardian leads its group
                    pass
                os._exit(int(number))
            os._exit(0)
        os.wait()
        channel.recv(100)
    elif word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        sys.exit(int(number))

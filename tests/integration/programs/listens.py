"""Writes what it was passed, as a line of JSON, once it has done its arguments, and answers each client of its first socket with its pid; ends between two clients.

Arguments: `crash=N` ends with 3 after N answers, `unlink` removes the file of its socket first, `stdin` uses descriptor 0,
`nonblocking` makes it so, as many servers do.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys


def passed() -> dict[str, object]:
    """Return the variables and descriptors by which a program finds its sockets."""
    own = [number for number in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{number}")]
    sockets = {number: os.readlink(f"/proc/self/fd/{number}") for number in sorted(own)}
    return {
        "pid": os.getpid(),
        "variables": {name: value for name, value in os.environ.items() if name.startswith(("LISTEN_", "SOCKET_"))},
        "sockets": [number for number, link in sockets.items() if link.startswith("socket:")],
        "words": sys.argv[1:],
    }


def main() -> int:
    """Serve until TERM."""
    words = dict(word.partition("=")[::2] for word in sys.argv[1:])
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGTERM, lambda *_: None)
    listener = socket.socket(fileno=0 if "stdin" in words else 3)
    said = json.dumps({**passed(), "name": listener.getsockname(), "blocking": os.get_blocking(listener.fileno())})
    if "unlink" in words:
        os.unlink(listener.getsockname())
    if "nonblocking" in words:
        listener.setblocking(False)
    print(said, flush=True)
    answers = 0
    while answers != int(words.get("crash", -1)):
        ready, _, _ = select.select([listener, wake], [], [])
        if wake in ready:
            return 0
        client, _ = listener.accept()
        client.sendall(b"%d\n" % os.getpid())
        client.close()
        answers += 1
    return 3


if __name__ == "__main__":
    sys.exit(main())

"""Programs that listen on passed sockets, and clients that notice when nobody does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.wait import wait_until


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


LISTENS = f"{sys.executable} {PROGRAMS / 'listens.py'}"
IPV6 = _has_ipv6()
EVERY_S = 0.01
"""Pause between two clients, seconds."""


def own_host() -> str:
    """Return an address of the loopback network that no test beside this one uses."""
    return f"127.{os.getpid() >> 14 & 255}.{os.getpid() >> 7 & 127}.{(os.getpid() & 127) + 1}"


def own_port() -> int:
    """Return a port that no test beside this one uses, for addresses that are not its own: below those of clients (ip(7))."""
    return 20_000 + os.getpid() % 12_000


def listens(words: str = "", /, **keys: Any) -> dict[str, Any]:
    """Return a program that listens."""
    return {"cmd": f"{LISTENS} {words}", "starttime": 0, "restart_delay": 0.05, **keys}


def said(daemon: Daemon, name: str) -> dict[str, Any]:
    """Return what the latest instance of a program has written about its sockets."""
    wait_until(lambda: daemon.log(name).endswith(b"}\n"))
    found: dict[str, Any] = json.loads(daemon.log(name).splitlines()[-1])
    return found


def ask_at(address: str | tuple[str, int], within_s: float = 10.0) -> int:
    """Connect as a client; return the pid of who answers. Raises OSError, EOFError for a client who was sent away."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(within_s)
        client.connect(address)
        answer = client.recv(100)
    if not answer:
        raise EOFError
    return int(answer)


def is_open(address: str | tuple[str, int]) -> bool:
    """Return whether somebody listens: a client may connect, though nobody answers."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM) as client:
        return client.connect_ex(address) == 0


def wait_until_closed(address: str | tuple[str, int]) -> None:
    """Wait until nobody listens there: the keeper of the sockets hears of a stop a moment after the client."""
    wait_until(lambda: not is_open(address))


@contextmanager
def occupied(address: str | tuple[str, int]) -> Iterator[None]:
    """Listen at an address, as somebody else does."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(address)
        somebody.listen()
        yield


def queue_of(host: str, port: int) -> int:
    """Return how many clients may wait at a listening socket. Source: ss(8), Send-Q."""
    done = subprocess.run(["ss", "-ltnH", "src", f"{host}:{port}"], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[2])


class Clients:
    """Asks again and again until `end`; `seen` counts what came of it: "served", or the name of an error."""

    def __init__(self, address: str | tuple[str, int], every_s: float = EVERY_S) -> None:
        self.seen: Counter[str] = Counter()
        self._address = address
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                ask_at(self._address, within_s=30)
            except (OSError, EOFError) as error:
                self.seen[type(error).__name__] += 1
            else:
                self.seen["served"] += 1

    def more(self, count: int = 5) -> None:
        """Wait until so many more clients were served."""
        before = self.seen["served"]
        wait_until(lambda: self.seen["served"] >= before + count, within_s=30)

    def end(self) -> Counter[str]:
        """Stop asking; return what was seen."""
        self._over.set()
        self._thread.join(60)
        return self.seen


def file_of(daemon: Daemon, name: str) -> Path:
    """Return a path for a UNIX socket beside the daemon's."""
    return daemon.home / name

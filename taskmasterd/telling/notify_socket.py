"""Reports the daemon's status to systemd. Source: sd_notify(3), "Notes" (the protocol is a datagram of NAME=value lines)."""

from __future__ import annotations

import os
import time

from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from taskmasterd.system.loop import sockets
else:
    sockets = on_demand("taskmasterd.system.loop.sockets")


def stderr_is_journal() -> bool:
    """Return whether stderr goes to systemd's journal. Source: systemd.exec(5), JOURNAL_STREAM."""
    found = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"


class Notifier:
    """Sends messages to NOTIFY_SOCKET; without one every method does nothing.

    It keeps its own socket open: a daemon whose clients hold every descriptor must still feed the watchdog.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._channel: socket | None = None
        if self._address:
            self._channel = sockets.socket.socket(
                sockets.socket.AF_UNIX, sockets.socket.SOCK_DGRAM
            )  # close-on-exec, like all of Python's
            self._channel.setblocking(False)
        self.watchdog_s = 0.0
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        if self._address and usec.isdecimal() and pid in ("", str(os.getpid())):
            self.watchdog_s = int(usec) / 2_000_000  # half the interval, as sd_watchdog_enabled(3) recommends

    @property
    def wanted(self) -> bool:
        """Whether systemd, or another supervisor, listens."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that the start, or a reload, is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that a reload has begun; Type=notify-reload needs the time, too."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, at_most_s: float) -> None:
        """Report that the orderly stop has begun, and may take `at_most_s` seconds."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(at_most_s * 1_000_000)}")

    def extend(self, seconds: float) -> None:
        """Report that the stop goes on; the next message comes within `seconds`."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket; later messages are dropped."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _send(self, text: str) -> None:
        if self._channel is None:
            return
        try:
            self._channel.sendto(text.encode(), self._address)
        except OSError:
            return  # the listener is gone, and nothing here depends on it

"""Ends its main thread while another one works and ignores SIGTERM: what /proc/PID/stat then shows is a zombie."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

SYS_EXIT = {"x86_64": 60, "i686": 1, "armv7l": 1}.get(os.uname().machine, 93)


def main() -> None:
    """End this thread alone; the other one says its pid and stays until it is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=work, daemon=True).start()
    ctypes.CDLL(None).syscall(SYS_EXIT, 0)


def work() -> None:
    """Stay."""
    while not is_zombie():
        time.sleep(0.01)
    sys.stdout.write(f"worker {os.getpid()}\n")
    sys.stdout.flush()
    time.sleep(600)


def is_zombie() -> bool:
    """Return whether the main thread has ended."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


if __name__ == "__main__":
    main()

"""Starts a descendant that nobody may read (as ssh-agent and gpg-agent are), without variables, session or pipes of its own.

Its pid is written to the file in the first argument. Further ones are NAME=VALUE, the variables that it shows instead;
LIMITS=lowered: it lowers the hard limits of which nobody makes use, too.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time

PR_SET_DUMPABLE = 4
LOCKS, RTTIME = 10, 15
"""RLIMIT_LOCKS and RLIMIT_RTTIME."""


def main() -> None:
    """Start it, and run on."""
    path, *variables = sys.argv[1:]
    if os.environ.get("HIDDEN") == "yes":
        hide(path)
    else:
        descend(path, variables)
    time.sleep(600)


def descend(path: str, variables: list[str]) -> None:
    """Start it once the daemon has tagged this process: what is forked before that has no tag."""
    until = time.monotonic() + 5
    while resource.getrlimit(LOCKS)[1] == resource.RLIM_INFINITY and time.monotonic() < until:
        time.sleep(0.005)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            shown = dict(each.partition("=")[::2] for each in variables)
            os.execve(sys.executable, [sys.executable, "-S", __file__, path], {**shown, "HIDDEN": "yes"})
        os._exit(0)


def hide(path: str) -> None:
    """Let go of the pipes, and let nobody look who is not root."""
    if os.environ.get("LIMITS") == "lowered":
        for number in (LOCKS, RTTIME):
            resource.setrlimit(number, (1_000_000, 1_000_000))
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(f"hidden {os.getpid()}\n")
    os.rename(f"{path}.new", path)


if __name__ == "__main__":
    main()

"""The exec with which a resident daemon begins: from the launcher, and from itself at a live upgrade.

The new interpreter is isolated, without site (-I -S), and gets the state as JSON on a descriptor. It inherits the descriptors
that the state names.
"""

from __future__ import annotations

import os
import sys

import taskmasterd
from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.jsontext import write_json
from taskmasterd.fallbacks import file_of, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, NoReturn


def command(life: str, *words: str) -> list[str]:
    """Return the command line that executes this package in one of the roles of `__main__`."""
    main = os.path.join(os.path.abspath(taskmasterd.__path__[0]), "__main__.py")
    return [sys.executable, "-I", "-S", "-X", "utf8", main, life, *words]


def on_descriptor(state: Mapping[str, Any]) -> int:
    """Return an inheritable descriptor from which `state` can be read as JSON. Raises SystemFailure."""
    places = state.get("places", {})
    directories = [path for path in (places.get("state_dir"), os.path.dirname(places.get("socket", ""))) if path]
    try:
        fd = file_of(write_json(state), directories)
        os.set_inheritable(fd, True)
    except OSError as error:
        reason = system_reason(error) + limit(error.errno)
        raise SystemFailure("pass", "the daemon's state to another process", reason, error.errno or 0) from None
    return fd


def execute_resident(state: Mapping[str, Any], *, guarded: bool = False, more: Iterable[int] = ()) -> NoReturn:
    """Replace this process by the resident daemon, or by a guardian that executes it.

    It inherits the descriptors in `state["fds"]` and `more`. Raises SystemFailure, and then nothing has changed.
    """
    fds = [fd for fd in (*state["fds"].values(), *more) if fd is not None]
    path = state["path"]
    fd = on_descriptor(state)
    try:
        for each in fds:
            os.set_inheritable(each, True)
        if guarded:
            ready = state["fds"]["ready"]
            words = command(
                "--guardian", str(fd), str(state["fds"]["listener"]), str("-" if ready is None else ready), *path
            )
        else:
            words = command("--resident", str(fd), "-", *path)
        os.execv(words[0], words)
    except OSError as error:
        os.close(fd)
        for each in fds:
            os.set_inheritable(each, False)
        reason = f"{system_reason(error)} for uid {os.geteuid()}"
        raise SystemFailure("execute", sys.executable, reason, error.errno or 0) from None

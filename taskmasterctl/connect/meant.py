"""Whether the daemon that answers runs the configuration that -c names. It looks at files and changes nothing."""

from __future__ import annotations

import os

from taskmaster_common.commands.table import LOOK, Request, access_of
from taskmasterctl.options import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterctl.connect.sockets import Sockets


def is_other(hello: Mapping[str, Any], sockets: Sockets) -> bool:
    """Return whether the daemon of this greeting runs another file than the one that was named.

    Files are compared, not their names: a link, a relative path and another mount of it are the same file. A daemon that
    does not say what it runs is taken for the one that is meant.
    """
    runs = hello.get("config")
    if not sockets.config or not isinstance(runs, str) or not runs:
        return False
    try:
        return not os.path.samefile(runs, sockets.config)
    except (OSError, ValueError):  # gone, or not to be seen by this user
        return os.path.realpath(runs) != os.path.realpath(sockets.config)


def acts(request: Request) -> bool:
    """Return whether a request changes something."""
    return access_of(request) != LOOK


def other_text(path: str) -> str:
    """Return what is wrong, as the first line of a message."""
    return f"the daemon at {path} runs another configuration"


def other_hints(hello: Mapping[str, Any], path: str, sockets: Sockets) -> tuple[str, ...]:
    """Return both files, and how to go on with either."""
    asked = quoted(sockets.config)
    both = "Both files name this socket: give one of them another" if sockets.named else "Give it a socket of its own"
    return (
        f"it runs:    {hello.get('config')} (pid {hello.get('pid')})",
        f"you asked:  {os.path.abspath(sockets.config)}",
        f"{both} (`socket:` below `taskmasterd:`), then start it beside the other:  taskmasterd -c {asked}",
        f"If you mean the one that runs:  taskmasterctl{f' -s {quoted(path)}' if sockets.named else ''}, without -c",
    )

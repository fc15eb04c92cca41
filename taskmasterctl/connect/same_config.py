"""Whether the daemon that answers runs the configuration that -c names. Looks at files and changes nothing."""

from __future__ import annotations

import os

from taskmaster_common.commands.table import Request, acts
from taskmasterctl.visible import shell_quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterctl.connect.sockets import Sockets


def runs_other_config(hello: Mapping[str, Any], sockets: Sockets) -> bool:
    """Return whether the daemon of this greeting runs another file than -c names.

    Files are compared, not names: a link, a relative path and a second mount are the same file. A daemon that does not say
    what it runs passes.
    """
    runs = hello.get("config")
    if not sockets.config or not isinstance(runs, str) or not runs:
        return False
    try:
        return not os.path.samefile(runs, sockets.config)
    except (OSError, ValueError):  # one of them is gone, or this user may not look at it
        return os.path.realpath(runs) != os.path.realpath(sockets.config)


def needs_same_config(request: Request) -> bool:
    """Return whether a request changes something."""
    return acts(request)


def other_config_text(path: str) -> str:
    """Return the first line of the message; `path` is the daemon's socket."""
    return f"the daemon at {path} runs another configuration"


def other_config_hints(hello: Mapping[str, Any], path: str, sockets: Sockets) -> tuple[str, ...]:
    """Return both files, and how to go on with either."""
    asked = shell_quoted(sockets.config)
    both = "Both files name this socket: give one of them another" if sockets.named else "Give it a socket of its own"
    return (
        f"it runs:    {hello.get('config')} (pid {hello.get('pid')})",
        f"you asked:  {os.path.abspath(sockets.config)}",
        f"{both} (`socket:` below `taskmasterd:`), then start it beside the other:  taskmasterd -c {asked}",
        f"If you mean the one that runs:  taskmasterctl{f' -s {shell_quoted(path)}' if sockets.named else ''}, without -c",
    )

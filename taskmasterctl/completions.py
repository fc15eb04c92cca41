"""The completions of bash, zsh and fish: their scripts, and what these ask for at each Tab: live names, and signals.

`taskmasterctl _complete programs|processes|signals` prints lines: a word, a tab, a description. It prints nothing, and no
error, if the daemon is down, frozen, a stranger's or not that of -c. It takes at most LIMIT_S.
"""

from __future__ import annotations

import os
import time

from taskmaster_common.commands.table import Request
from taskmaster_common.errors import RequestError, TaskmasterError, system_reason
from taskmaster_common.paths import shipped_paths
from taskmaster_common.text.formats import with_real_time
from taskmasterctl.connect.client import connect, wire_line
from taskmasterctl.connect.same_config import runs_other_config
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.connect.sockets import Sockets

SCRIPTS = {
    "bash": "bash-completion/completions/taskmasterctl",
    "zsh": "zsh/site-functions/_taskmasterctl",
    "fish": "fish/vendor_completions.d/taskmasterctl.fish",
}
"""Where the script of each shell is installed, below PREFIX/share."""
IN_THE_SOURCE = {"bash": "taskmasterctl.bash", "zsh": "_taskmasterctl", "fish": "taskmasterctl.fish"}
LIMIT_S = 1.0
"""Longest wait for the daemon, seconds."""


def script_of(words: Sequence[str]) -> str:
    """Return the script of the shell that the words name. Raises RequestError."""
    if len(words) != 1 or words[0] not in SCRIPTS:
        raise RequestError("usage", f"completion needs one of {', '.join(SCRIPTS)}", 2)
    code, name = os.path.dirname(os.path.realpath(__file__)), f"completions/{IN_THE_SOURCE[words[0]]}"
    path = next(filter(os.path.exists, shipped_paths(code, name, SCRIPTS[words[0]])), "")
    if not path:
        hint = "reinstall the package with its data files"
        raise RequestError("failed", f"this installation has no completions for {words[0]}", 1, (hint,))
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise RequestError("failed", f"cannot read {path}: {system_reason(error)}", 1) from None


def completion_lines(kind: str, sockets: Sockets) -> str:
    """Return the lines of a kind, "" for an unknown kind."""
    if kind == "signals":
        return _lines([(name, f"signal {number}") for name, number in _signals()])
    if kind not in ("programs", "processes"):
        return ""
    try:
        processes, groups = _names(sockets)
    except TaskmasterError:
        return ""
    grouped = [(name, f"group of {len(members)}") for name, members in groups.items()]
    if kind == "processes":
        return _lines([*((each["name"], each["state"].lower()) for each in processes), *grouped])
    programs: dict[str, list[str]] = {}
    for each in processes:
        programs.setdefault(each["program"], []).append(each["state"].lower())
    return _lines([*((name, _counted(states)) for name, states in programs.items()), *grouped])


def _lines(entries: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{clean(word)}\t{clean(description)}\n" for word, description in entries)


def _counted(states: Sequence[str]) -> str:
    """Return `running` for a single process, `2 running, 1 fatal` for several."""
    if len(states) == 1:
        return states[0]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _names(sockets: Sockets) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Return every process and every group of the daemon. Raises TaskmasterError if it does not answer within LIMIT_S."""
    connection = connect(sockets, time.monotonic() + LIMIT_S)
    try:
        if runs_other_config(connection.hello, sockets):  # it would refuse to act on their names
            return [], {}
        messages = [*connection.ask(wire_line(Request("status")))]
    finally:
        connection.close()
    processes = [each for message in messages if message["type"] == "processes" for each in message["processes"]]
    groups = next((message.get("groups") for message in messages if message["type"] == "daemon"), None)
    return processes, groups or {}


def _signals() -> list[tuple[str, int]]:
    import signal  # noqa: PLC0415 - its enums cost 3 ms

    return list(with_real_time({each.name.removeprefix("SIG"): each.value for each in signal.Signals}).items())

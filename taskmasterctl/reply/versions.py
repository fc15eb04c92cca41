"""Versions as text: which client and which daemon this is, and whether the daemon is out of date. Pure."""

from __future__ import annotations

from taskmaster_common.text.formats import format_seconds
from taskmasterctl.reply.render import columns
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Message = Mapping[str, Any]

STAGES = ("a", "b", "rc", "")
"""What may follow the numbers of a version, in its order."""


def client_text(message: Message) -> str:
    """Return the line that names this client."""
    return f"taskmasterctl {clean(message['version'])} (protocol {clean(message['protocol'])})\n"


def daemon_text(daemon: Message) -> str:
    """Return the lines that name the daemon: versions, pid, configuration, socket."""
    up = f", up {format_seconds(daemon['uptime_s'])}" if daemon.get("uptime_s") is not None else ""
    versions = f"taskmasterd {clean(daemon.get('version'))} (protocol {clean(daemon.get('protocol'))})"
    lines = [f"{versions}, pid {clean(daemon.get('pid'))}{up}"]
    lines.extend(f"  {field}: {clean(daemon[field])}" for field in ("config", "socket") if daemon.get(field))
    return "\n".join(lines) + "\n"


def age_text(daemon: Message, client: str, command: str) -> str:
    """Return that the daemon runs other code than is installed, or is older than this client; "" if neither."""
    version = clean(daemon.get("version"))
    how = f"bring it up to date:  {command} upgrade"
    if daemon.get("installed_changed"):
        installed = clean(daemon.get("installed_version") or "")
        what = (
            f"taskmasterd {installed} is installed" if installed and installed != version else "other code is installed"
        )
        return f"{what}, and the daemon still runs {version} as it was at its start; {how}"
    ours, theirs = _place_of(client), _place_of(version)
    if ours and theirs and theirs < ours:
        return f"the daemon ({version}) is older than this client ({client}); {how}"
    return ""


def _place_of(version: str) -> tuple[tuple[int, ...], int, int] | None:
    """Return what puts versions into their order, such as 0.1.0, 1.0.0rc1, 1.0.0rc2, 1.0.0; None for other text. Source: PEP 440."""
    stage = next((each for each in STAGES if each and each in version), "")
    release, _, count = version.partition(stage) if stage else (version, "", "0")
    numbers = release.split(".")
    if not all(part.isascii() and part.isdecimal() for part in (*numbers, count)):
        return None
    return tuple(map(int, numbers)), STAGES.index(stage), int(count)


def about_text(daemon: Message) -> str:
    """Return the lines of `show --daemon`."""
    root = daemon.get("cgroup_root")
    given = ", ".join(map(clean, daemon.get("controllers") or ())) or "no controllers"
    reason = clean(daemon.get("cgroup_reason") or "")
    rows = [
        *((name, clean(daemon.get(name))) for name in ("pid", "version", "uid", "socket", "config")),
        ("cgroup root", f"{clean(root)} ({reason}; {given})" if root else f"none: {reason}"),
    ]
    return "\n".join(["taskmasterd", *(f"  {line}" for line in columns(rows))]) + "\n"

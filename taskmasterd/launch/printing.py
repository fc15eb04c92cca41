"""What `taskmasterd` prints for other programs and for people: an example, the schema, a systemd unit, and its own files.

All of them are installed with it; here nobody has to know where. Imported only for the options that print.
"""

from __future__ import annotations

import os
import shlex
import sys

import taskmasterd
from taskmaster_common.errors import system_reason
from taskmaster_common.paths import shipped_paths
from taskmasterd.launch.daemonize import FAILED, LaunchError, ResolvedPlaces
from taskmasterd.launch.options import SYSTEM, USER

UNITS = {SYSTEM: "systemd/taskmasterd.service", USER: "systemd/user/taskmasterd.service"}
"""The installed unit of each manager."""
UNIT_COMMANDS = "/opt/taskmaster/bin/"
"""Where the units that are installed with it have the commands."""


def _installed(name: str) -> str:
    """Return the path of a file that is installed with the daemon or lies beside its source, or ""."""
    paths = shipped_paths(os.path.realpath(taskmasterd.__path__[0]), name, sys.prefix, f"taskmaster/{name}")
    return next(filter(os.path.exists, paths), "")


def text_of(what: str) -> str:
    """Return the text of EXAMPLE or SCHEMA, or the unit of a manager of UNITS. Raises LaunchError where it is not installed."""
    return _unit(what) if what in UNITS else _text(what)


def _text(name: str) -> str:
    path = _installed(name)
    if not path:
        reason = "this installation has none: reinstall the package with its data files"
        raise LaunchError(FAILED, f"cannot print {name}: {reason}")
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise LaunchError(FAILED, f"cannot print {path}: {system_reason(error)}") from None


def _unit(manager: str) -> str:
    """Return the unit with the commands of this installation, and how to install this one."""
    _, found, rest = _text(UNITS[manager]).partition("\n[Unit]\n")
    where = {SYSTEM: "/etc/systemd/system", USER: "~/.config/systemd/user"}[manager]
    control = {SYSTEM: "systemctl", USER: "systemctl --user"}[manager]
    make = "" if manager == SYSTEM else f"mkdir -p {where} && "
    option = "" if manager == SYSTEM else " user"
    head = f"""# Taskmaster under systemd, printed by `taskmasterd --unit{option}`. To install:
#
#   {make}taskmasterd --unit{option} >{where}/taskmasterd.service
#   {control} daemon-reload && {control} enable --now taskmasterd
"""
    for command in ("taskmasterd", "taskmasterctl"):
        rest = rest.replace(f"{UNIT_COMMANDS}{command}", _own(command))
    return head + found + rest


def _own(command: str) -> str:
    """Return the words that start a command of this installation, whatever PATH is."""
    script = os.path.join(sys.prefix, "bin", command)
    if os.access(script, os.X_OK):
        return script
    return f"{shlex.quote(sys.executable)} -m {command}"


def files(config: str | None, places: ResolvedPlaces) -> str:
    """Return a line for each place of a daemon; those that nobody has made are said to be missing."""
    rows = [
        ("configuration", config),
        ("socket", places.socket),
        ("pid file", places.pidfile),
        ("event log", places.logfile),
        ("logs of programs", places.log_dir),
        ("state, history", places.state_dir),
    ]
    found = [(label, path, "" if os.path.lexists(path) else "  (not there)") for label, path in rows if path]
    return "".join(f"{label:<17} {path}{note}\n" for label, path, note in found)

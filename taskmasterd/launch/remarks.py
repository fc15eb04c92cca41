"""What -t and -T say of this host besides the configuration: how each program is started, where control groups are, overrides.

They ask as the daemon's user, which may be another one than theirs.
"""

from __future__ import annotations

import os

from taskmasterd.configuration.overlays import unreadable
from taskmasterd.core.cgroups import wants_group
from taskmasterd.core.limits import needs_fork
from taskmasterd.ondemand import on_demand
from taskmasterd.survival.disk.file import overrides_place
from taskmasterd.system.users import account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Config, DaemonConfig, ProgramConfig
    from taskmasterd.launch.daemonize import ResolvedPlaces
    from taskmasterd.processes.limits import cgroups, limits
else:
    cgroups = on_demand("taskmasterd.processes.limits.cgroups")
    limits = on_demand("taskmasterd.processes.limits.limits")


class Remarks:
    """What -T says of this host, as comments."""

    def __init__(self, config: Config, places: ResolvedPlaces) -> None:
        self._uid = _daemons_uid(config.daemon)
        self._can = limits.can(None, self._uid)
        self._root = None
        if any(wants_group(program.may_use) for program in config.programs):
            self._root = cgroups.find_root(config.daemon.cgroup_root, places.socket, self._uid)

    @property
    def cgroup_root(self) -> str:
        """Where control groups of programs are, "" where none is wanted."""
        root = self._root
        if root is None:
            return ""
        return f"{root.path} ({root.reason})" if root.path else f"none: {root.reason}"

    def start_of(self, program: ProgramConfig) -> str:
        """Return how a program is started, and the keys that force a fork."""
        grouped = bool(self._root and self._root.path)
        keys = dict.fromkeys(needs_fork(program, self._can, grouped=grouped))
        return f"fork, because of {', '.join(keys)}" if keys else "posix_spawn"


def trouble_of_overrides(config: Config, places: ResolvedPlaces) -> str:
    """Return why the next daemon could not read what operators have laid over the file, "" where it could or nobody has."""
    place = overrides_place(places.state_dir, places.socket)
    return unreadable(place, _daemons_uid(config.daemon)) if place else ""


def _daemons_uid(daemon: DaemonConfig) -> int:
    """Return the uid of the daemon once it has become its user."""
    here = os.geteuid()
    if daemon.user is None or here:
        return here
    try:
        return account(daemon.user, None).uid
    except LookupError:  # the check has said so
        return here

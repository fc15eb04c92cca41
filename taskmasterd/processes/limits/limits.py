"""What this daemon may set of what programs want, and the steps of a child that set it."""

from __future__ import annotations

import os

from taskmaster_common.config.limits import rlimit_of
from taskmasterd.core import limits as core
from taskmasterd.core.cgroups import lacking, wants_group
from taskmasterd.processes.limits import cgroups
from taskmasterd.system.limits import own, running, steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmaster_common.config import MayUse
    from taskmasterd.system.spawner import SetupStep


class Grants:
    """Made with the first program that asks; `nofile` is the pair of limits that the daemon was started with."""

    def __init__(self, nofile: tuple[int, int] | None) -> None:
        self.can = can(nofile)

    def steps(self, wanted: MayUse) -> tuple[SetupStep, ...]:
        """Return the steps of a child that gets this."""
        return tuple(self._steps(wanted))

    def _steps(self, wanted: MayUse) -> Iterable[SetupStep]:
        here = self.can
        for limit in map(rlimit_of, wanted.rlimits):
            yield steps.rlimit_step(limit, core.rlimit_refusal(limit, here), around=core.rlimit_around(limit, here))
        if wanted.nice is not None:
            yield steps.nice_step(wanted.nice, around=core.nice_around(here))
        if wanted.cpu_affinity:
            yield steps.affinity_step(wanted.cpu_affinity)
        if wanted.oom_score_adj is not None:
            yield steps.oom_step(wanted.oom_score_adj, around=core.oom_around(wanted.oom_score_adj, here))

    def refused(self, before: MayUse, wanted: MayUse) -> tuple[str, ...]:
        """Return the changed keys that cannot be set on processes that have `before`."""
        return core.refused(before, wanted, self.can)


def refusals(wanted: MayUse, uid: int, cgroup_root: str | None) -> tuple[tuple[str, str], ...]:
    """Return (key, reason) for each value that a child of a daemon of this user cannot get here.

    For the process that reads a configuration: it has limits of its own, so those of its parent are looked at.
    """
    here = can(None, uid)
    here = here.replace(rlimits={**here.rlimits, **running.rlimits_of(os.getppid())})
    found = tuple(core.impossible(wanted, here))
    if not wants_group(wanted):
        return found
    root = cgroups.find_root(cgroup_root, "", uid)
    lacks = lacking(wanted, root, cgroups.not_usable(root))
    return (*found, ("limits" if wanted.limits else "cgroup", lacks)) if lacks else found


def root_problem(path: str, uid: int) -> str:
    """Return why control groups cannot be made below a path, or ""."""
    root = cgroups.find_root(path, "", uid)
    return "" if root.path else root.reason


def can(nofile: tuple[int, int] | None, uid: int | None = None) -> core.Can:
    """Return what this process may do, or would as this user: another one than its own has no capabilities."""
    here = os.geteuid()
    uid = here if uid is None else uid
    return core.Can(
        uid=uid,
        resource=uid == here and own.capable(own.CAP_SYS_RESOURCE),
        nicer=uid == here and own.capable(own.CAP_SYS_NICE),
        rlimits=own.own_rlimits(nofile),
        nice=own.own_nice(),
        cpus=own.own_cpus(),
        oom_score_adj=own.own_score(),
        files=own.most_files(),
    )

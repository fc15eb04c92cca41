"""What instances have, read from the kernel at this moment, beside what they were to get."""

from __future__ import annotations

from taskmaster_common.config.limits import amount_text, cpus_text, rlimit_of
from taskmasterd.core import cgroups as core
from taskmasterd.system import cgroups
from taskmasterd.system.limits import running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.config import MayUse


def in_force(wanted: MayUse, pid: int, cgroup: str) -> dict[str, Any]:
    """Return the values that a process has of the keys written for it, and in `not_in_force` those that are not as written.

    Limits are texts "soft/hard"; `cgroup` is its control group, "" for none. {} if the process is gone.
    """
    found: dict[str, Any] = {}
    differing: list[str] = []
    has = running.rlimits_of(pid) if wanted.rlimits else {}
    for limit in map(rlimit_of, wanted.rlimits):
        if limit.name in has:
            soft, hard = has[limit.name]
            texts = amount_text(limit.name, soft), amount_text(limit.name, hard)
            found.setdefault("rlimits", {})[limit.name] = "/".join(texts)
            if soft != limit.soft or limit.hard not in (None, hard):
                differing.append(f"rlimits.{limit.name}")
    nice, autogroup = running.nice_of(pid), running.autogroup_nice(pid)
    if wanted.nice is not None and nice is not None:
        found["nice"] = nice
        if nice != wanted.nice or autogroup not in (None, nice):
            differing.append("nice")
        if autogroup not in (None, nice):
            found["autogroup_nice"] = autogroup
    cpus = running.cpus_of(pid) if wanted.cpu_affinity else ()
    if cpus:
        found["cpu_affinity"] = cpus_text(cpus)
        differing += ["cpu_affinity"] if cpus != wanted.cpu_affinity else []
    score = running.score_of(pid) if wanted.oom_score_adj is not None else None
    if score is not None:
        found["oom_score_adj"] = score
        differing += ["oom_score_adj"] if score != wanted.oom_score_adj else []
    _add_group(found, differing, wanted, cgroup)
    return {**found, "not_in_force": differing} if found else {}


def _add_group(found: dict[str, Any], differing: list[str], wanted: MayUse, cgroup: str) -> None:
    if cgroup:
        found["cgroup"] = cgroup
    for name, file, content in core.contents(wanted):
        has_it = " ".join(cgroups.words(cgroup, file)) if cgroup else ""
        found.setdefault("limits", {})[name] = core.shown(name, has_it) if has_it else "none"
        differing += [f"limits.{name}"] if not core.equals(has_it, content) else []

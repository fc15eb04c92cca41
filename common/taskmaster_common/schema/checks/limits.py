"""Checks of what programs may use that need the host."""

from __future__ import annotations

from taskmaster_common.config import LIKE_THE_DAEMON
from taskmaster_common.schema.report import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

NAMED = 5
"""Most programs that a warning names."""


def daemons_uid(daemon: DaemonConfig, surroundings: Surroundings) -> int:
    """Return the uid of the daemon once it has become its user."""
    account = surroundings.user(daemon.user) if daemon.user is not None and surroundings.uid == 0 else None
    return account.uid if account else surroundings.uid


def check_limits(program: Program, daemon: DaemonConfig, uid: int, surroundings: Surroundings, report: Report) -> None:
    """Report what a program cannot get here, and what does something else than one expects. `uid` is the daemon's."""
    may_use = program.config.may_use
    if may_use == LIKE_THE_DAEMON:
        return
    for key, reason in surroundings.limit_refusals(may_use, uid, daemon.cgroup_root):
        refuse = key == "cpu_affinity" and not surroundings.lenient_users
        (report.error if refuse else report.warn)(program.at(key), program.place(key), reason)
    if any(row.startswith("nproc ") for row in may_use.rlimits):
        reason = "nproc counts all processes of the user, not those of the program, and none of root's; limits.tasks counts those of the program"
        report.warn(program.at("rlimits"), program.place("rlimits"), reason)
    _check_group(program, report)


def _check_group(program: Program, report: Report) -> None:
    may_use, at, place = program.config.may_use, program.at("limits"), program.place("limits")
    names = {row.partition(" ")[0] for row in may_use.limits}
    if names and may_use.cgroup is False:
        reason = "limits are those of a control group; remove cgroup: false"
        report.error(program.at("cgroup"), program.place("cgroup"), reason)
    if "memory_high" in names and "memory" not in names:
        report.warn(at, place, "memory_high alone slows the program down for ever and ends nothing; add memory")
    if "cpu_weight" in names and may_use.nice is not None:
        report.warn(
            at, place, "in a control group with a weight, nice counts among its own processes only; use cpu_weight"
        )


def check_root(
    daemon: DaemonConfig, nodes: Mapping[str, Node], uid: int, surroundings: Surroundings, report: Report
) -> None:
    """Report a `cgroup_root` below which no control groups can be made."""
    problem = surroundings.cgroup_problem(daemon.cgroup_root, uid) if daemon.cgroup_root else ""
    if problem:
        refuse = report.warn if surroundings.lenient_users else report.error
        refuse(nodes["cgroup_root"], "taskmasterd.cgroup_root", problem)


def check_inherited_score(programs: Sequence[Program], surroundings: Surroundings, report: Report) -> None:
    """Report programs that inherit from the daemon that the kernel spares them."""
    spared = [each.config.name for each in programs if each.config.may_use.oom_score_adj is None]
    score = surroundings.own_score() if spared else 0
    if score >= 0:
        return
    more = f" and {len(spared) - NAMED} more" if len(spared) > NAMED else ""
    names = ", ".join(map(quoted, spared[:NAMED])) + more
    first = next(each for each in programs if each.config.name == spared[0])
    reason = (
        f"the daemon's own is {score}, and {names} without the key inherit it; write oom_score_adj: 0 below defaults:"
    )
    report.warn(first.key, first.place("oom_score_adj"), reason)

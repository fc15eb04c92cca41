"""Checks of `health` that need more than its own value."""

from __future__ import annotations

from taskmaster_common.config.graph import edge_of
from taskmaster_common.config.health import WATCHDOG, rules_of
from taskmaster_common.schema.checks.doubts import not_executable, probe_doubt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

KEY = "health"
CONNECTING = ("http", "tcp", "unix")
SHORTEST_EXEC_S = 2.0
"""Least interval of a probe by a child without a doubt, seconds: each one forks."""
MOST_CHILDREN_A_SECOND = 50.0
OURS = ("localhost", "127.", "0.0.0.0", "[::", "::")
"""Beginnings of hosts that are this one."""


def check_health(program: Program, surroundings: Surroundings, report: Report) -> None:
    """Report a way that cannot work, and one that may not do what one expects."""
    health = program.config.health
    if not health:
        return
    node, place = program.at(KEY), program.place(KEY)
    if problem := surroundings.probe_problem(health, program.config.numprocs):
        report.error(node, place, problem)
        return
    for doubt in _doubts(program, surroundings):
        report.warn(node, place, doubt)


def _doubts(program: Program, surroundings: Surroundings) -> Iterator[str]:
    health = program.config.health
    rules = rules_of(health)
    if WATCHDOG not in health and rules.start_period < rules.interval:
        yield f"start_period ({rules.start_period:g}s) ends before the second probe (interval: {rules.interval:g})"
    if "exec" in health and rules.interval < SHORTEST_EXEC_S:
        yield f"a process every {rules.interval:g}s costs much; {SHORTEST_EXEC_S:g}s or more, or another way, costs less"
    if "exec" in health and not health.get("shell") and not program.config.refusal:
        missing = probe_doubt(program, "health", surroundings) or not_executable(
            program, health["exec"][0], surroundings
        )
        if missing:
            yield missing
    host = _host(health)
    if host and not host.startswith(OURS):
        yield f"{host} may be another host; a restart of {program.config.name} does not help when that one is down"


def _host(health: Mapping[str, Any]) -> str:
    """Return the host that a probe connects to, "" for one of the file system or of 127.0.0.1 unsaid."""
    if "tcp" in health:
        return str(health["tcp"]).rpartition(":")[0]
    url = health.get("http", "")
    return url.removeprefix("http://").partition("/")[0] if url.startswith("http://") else ""


def check_all(programs: Sequence[Program], report: Report) -> None:
    """Report what concerns several programs: too many children a second, and a probe of somebody else."""
    by_name = {program.config.name: program for program in programs}
    rate = 0.0
    for program in programs:
        config = program.config
        if "exec" in config.health:
            rate += config.numprocs / rules_of(config.health).interval
        for text in config.policy.depends_on if config.health else ():
            other = by_name.get(edge_of(text).name.partition(":")[0])
            if other and any(
                way in config.health and config.health[way] == other.config.ready.get(way) for way in CONNECTING
            ):
                reason = f"tests the same address as ready of {other.config.name}; a restart of {config.name} does not mend that"
                report.warn(program.at(KEY), program.place(KEY), reason)
    if rate > MOST_CHILDREN_A_SECOND:
        last = next(program for program in reversed(programs) if "exec" in program.config.health)
        reason = f"all programs together start {rate:.0f} processes a second to ask whether they are well; use longer intervals"
        report.warn(last.at(KEY), last.place(KEY), reason)

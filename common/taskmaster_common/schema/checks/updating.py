"""Checks of `update` that need more than its own value."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report

KEY = "update"


def check_update(program: Program, report: Report) -> None:
    """Report an update that does less than one expects."""
    config = program.config
    if not config.update:
        return
    node, place = program.at(KEY), program.place(KEY)
    if config.numprocs > 1 and config.update["max_unavailable"] >= config.numprocs:
        report.warn(node, place, f"max_unavailable allows all {config.numprocs} instances to be down at once")
    if not config.ready and not config.health:
        report.warn(node, place, "without ready and health, RUNNING after starttime is all that is checked")

"""Checks of the keys that end the daemon with its programs: `essential` and `exit_when`."""

from __future__ import annotations

from taskmaster_common.config import ALL_DONE, ALWAYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report


def check_ending(
    programs: Sequence[Program], daemon: DaemonConfig, daemon_nodes: Mapping[str, Node], report: Report
) -> None:
    """Report an end that the daemon would wait for in vain."""
    for program in programs:
        if program.config.essential is True and program.config.policy.autorestart == ALWAYS:
            reason = (
                "a program with autorestart: always never ends for good; "
                "write essential: on-failure, or autorestart: unexpected"
            )
            report.error(program.at("essential"), program.place("essential"), reason)
    everlasting = all(program.config.policy.autorestart == ALWAYS for program in programs)
    if daemon.exit_when == ALL_DONE and programs and everlasting:
        reason = "no program ever ends: each has autorestart: always; the daemon ends only if all become FATAL"
        report.warn(daemon_nodes["exit_when"], "taskmasterd.exit_when", reason)

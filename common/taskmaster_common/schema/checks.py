"""What is checked once all values are known, besides files with two writers (`writers`)."""

from __future__ import annotations

from taskmaster_common.schema.doubts import check_daemon, check_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings


def check_configuration(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report what is wrong or doubtful between keys, programs and the host."""
    check_daemon(daemon, daemon_nodes, surroundings, report)
    for program in programs:
        check_program(program, daemon, daemon_nodes, surroundings, report)

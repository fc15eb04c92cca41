"""What is checked once all values are known, besides files with two writers (`writers`)."""

from __future__ import annotations

from taskmaster_common.schema.checks.doubts import check_daemon, check_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings
MAX_PROCESSES = 20_000
"""The most instances of all programs together.

As instances of a few programs they take the daemon 25 MB, and a reload of all of them keeps nobody waiting for 0.1 s. 5000
programs take 35 MB and keep nobody waiting for 0.1 s either; 20 000 programs of one instance take 75 MB, and some wait 0.25 s.
"""


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


def check_sum(programs: Sequence[Program], report: Report) -> bool:
    """Report the program with which there are too many processes; returns whether there are."""
    before = 0
    for program in programs:
        count = program.config.numprocs
        if before + count > MAX_PROCESSES:
            reason = (
                f"{count} processes and the {before} of the programs above it are more than {MAX_PROCESSES}, "
                "the most that one daemon supervises"
            )
            report.error(program.at("numprocs"), program.place("numprocs"), reason)
            return True
        before += count
    return False

"""Checks of a whole configuration, except files with two writers (`writers`)."""

from __future__ import annotations

from taskmaster_common.config import DEFAULT_LOG, DISCARD
from taskmaster_common.schema.checks.doubts import check_daemon, check_program
from taskmaster_common.schema.checks.ending import check_ending
from taskmaster_common.schema.checks.environment import EnvironmentCheck
from taskmaster_common.schema.checks.health import check_all, check_health
from taskmaster_common.schema.checks.hooks import check_hooks
from taskmaster_common.schema.checks.limits import check_inherited_score, check_limits, check_root, daemons_uid
from taskmaster_common.schema.checks.logs import check_log_daemons, check_logs, check_spools, check_tags
from taskmaster_common.schema.checks.ready import check_ready
from taskmaster_common.schema.checks.recycle import check_recycle
from taskmaster_common.schema.checks.schedule import check_schedule
from taskmaster_common.schema.checks.sockets import check_sockets
from taskmaster_common.schema.checks.updating import check_update
from taskmaster_common.schema.checks.watch import check_watch
from taskmaster_common.text.formats import format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings
SMALL_LOG = 1_000_000
"""Below this many bytes the log of a terminal is full soon, and `attach --lines` has little to show."""
MAX_PROCESSES = 20_000
"""Most instances of all programs together.

As instances of a few programs they cost the daemon 25 MB, and no client waits 0.1 s during a reload of all. 5000
programs cost 35 MB, and no client waits 0.1 s either; 20 000 programs of one instance cost 75 MB, and some clients wait
0.25 s.
"""


def check_configuration(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report problems and doubts that concern several keys, several programs or the host."""
    check_daemon(daemon, daemon_nodes, surroundings, report)
    environment = EnvironmentCheck(daemon, surroundings, report)
    uid = daemons_uid(daemon, surroundings)
    check_root(daemon, daemon_nodes, uid, surroundings, report)
    for program in programs:
        environment.check(program)
        check_program(program, daemon, daemon_nodes, surroundings, report)
        check_ready(program, surroundings, report)
        check_terminal(program, report)
        check_health(program, surroundings, report)
        check_update(program, report)
        check_recycle(program, surroundings, report)
        check_watch(program, daemon, surroundings, report)
        check_schedule(program, surroundings, report)
        check_logs(program, report)
        check_limits(program, daemon, uid, surroundings, report)
        check_hooks(program, daemon, daemon_nodes, surroundings, report)
    check_all(programs, report)
    check_sockets(programs, daemon, surroundings, report)
    check_inherited_score(programs, surroundings, report)
    check_spools(programs, daemon, surroundings, report)
    check_tags(programs, report)
    check_log_daemons(programs, daemon, daemon_nodes, surroundings, report)
    check_ending(programs, daemon, daemon_nodes, report)


def check_sum(programs: Sequence[Program], report: Report) -> bool:
    """Report the program that exceeds MAX_PROCESSES; return whether one does."""
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


def check_terminal(program: Program, report: Report) -> None:
    """Report a terminal whose output goes where nobody can read it back."""
    stdout = program.config.output.stdout
    if program.config.tty and not (stdout in (DEFAULT_LOG, DISCARD) or stdout.startswith("/")):
        reason = "the output of a terminal needs a log; set stdout to a path or to null, or set log_dir"
        report.error(program.at("tty"), program.place("tty"), reason)
    most = program.config.output.log_maxbytes
    if program.config.tty and stdout != DISCARD and 0 < most < SMALL_LOG:
        reason = f"a terminal's log holds each repaint of its screen; {format_size(most)} may be full within a second"
        report.warn(program.at("log_maxbytes"), program.place("log_maxbytes"), reason)

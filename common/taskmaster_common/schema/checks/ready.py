"""Checks of `ready` that need more than its own value."""

from __future__ import annotations

from taskmaster_common.config import DISCARD, INHERIT, SAME_AS_STDOUT
from taskmaster_common.config.health import WATCHDOG
from taskmaster_common.config.words import is_elsewhere
from taskmaster_common.schema.checks.doubts import not_executable, probe_doubt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

KEY = "ready"
USUAL_TIMEOUT_S = 3.0


def check_ready(program: Program, surroundings: Surroundings, report: Report) -> None:
    """Report a way that cannot work, and one that may not do what one expects."""
    config = program.config
    if not config.ready:
        return
    node, place = program.at(KEY), program.place(KEY)
    if problem := surroundings.probe_problem(config.ready, config.numprocs):
        report.error(node, place, problem)
    if "health" in config.ready and not config.health:
        report.error(node, place, "there is no health to be ready by; write how it is asked below health")
    elif "health" in config.ready and WATCHDOG in config.health:
        report.error(node, place, "nobody asks a program with a watchdog; write ready: notify")
    if "log" in config.ready and (problem := _unsearchable(program)):
        report.error(node, place, problem)
    if "fd" in config.ready and config.shell:
        reason = "the shell has to hand the descriptor on; write exec before the command, or leave shell: true out"
        report.warn(node, place, reason)
    if "exec" in config.ready and not (config.ready.get("shell") or config.refusal):
        missing = probe_doubt(program, "ready", surroundings) or not_executable(
            program, config.ready["exec"][0], surroundings
        )
        if missing:
            report.warn(node, place, missing)
    limit, timeout = config.policy.start_timeout, config.ready.get("timeout", USUAL_TIMEOUT_S)
    asked = not {"notify", "fd", "log"}.intersection(config.ready)
    if asked and limit and timeout >= limit:
        report.warn(
            node, place, f"one try may take {timeout:g}s, as long as the whole start (start_timeout: {limit:g})"
        )


def _unsearchable(program: Program) -> str:
    """Return why no line that says "ready" can be found, "" where one can.

    A program whose stdout is thrown away says it on stderr only if the file gives stderr a log: the default one is no word of that.
    """
    output, unread = program.config.output, (DISCARD, INHERIT)
    if all(each in (*unread, SAME_AS_STDOUT) or is_elsewhere(each) for each in (output.stdout, output.stderr)):
        return "no log is written that could be searched: stdout and stderr have no file"
    if output.stdout in unread and "stderr" not in program.nodes:
        word = "null" if output.stdout == DISCARD else "inherit"
        return f"stdout: {word} is in no log that could be searched; write a path, or one for stderr if the line comes there"
    return ""

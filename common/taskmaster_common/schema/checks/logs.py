"""Checks of the keys of formatted logs."""

from __future__ import annotations

from taskmaster_common.config import JSON, PREFIX, RAW, SAME_AS_STDOUT
from taskmaster_common.config.elsewhere import elsewhere_of
from taskmaster_common.config.words import SYSLOG, is_elsewhere, is_logger
from taskmaster_common.schema.effective import writes_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

OF_FORMATS = {
    "log_prefix": ((PREFIX,), "log_format: prefix"),
    "log_time": ((PREFIX, JSON), "log_format: prefix or json"),
    "log_levels": ((JSON,), "log_format: json, or syslog"),
    "log_events": ((PREFIX, JSON), "log_format: prefix or json"),
}
"""Keys that a log has only in some formats."""
SIZES = ("log_maxbytes", "log_backups")
OF_FILES = (*SIZES, "log_format")
"""Keys of a log that have no meaning where no log is written."""
OF_LOGS = (*OF_FILES, *OF_FORMATS)
"""Keys of a log."""
MOST_NAMED = 5


def check_spools(programs: Sequence[Program], daemon: DaemonConfig, surroundings: Surroundings, report: Report) -> None:
    """Warn, once, where the spools of formatted logs would lie on a disk."""
    first = next((program for program in programs if program.config.output.log_format != RAW), None)
    if first is None:
        return
    given = surroundings.environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    directory = given or f"{daemon.socket or surroundings.places.socket}.d"
    if surroundings.on_disk(directory):
        reason = f"its lines pass {directory}, which is on a disk; a socket, or RUNTIME_DIRECTORY, below /run keeps them in memory"
        report.warn(first.at("log_format"), first.place("log_format"), reason)


def check_tags(programs: Sequence[Program], report: Report) -> None:
    """Warn of programs that nobody can tell apart in syslog, once for each tag."""
    by_tag: dict[str, list[Program]] = {}
    for program in programs:
        targets = {each for each in (program.config.output.stdout, program.config.output.stderr) if is_elsewhere(each)}
        for tag in {elsewhere_of(each).tag or program.config.name for each in targets if not is_logger(each)}:
            by_tag.setdefault(tag, []).append(program)
    for tag, (first, *others) in by_tag.items():
        if others:
            named = ", ".join(each.config.name for each in others[:MOST_NAMED])
            report.warn(first.at("stdout"), first.place("stdout"), f"the tag {tag} is also that of {named}")


def check_log_daemons(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Warn where no log daemon takes what programs, or the daemon itself, write; once for each."""
    seen: set[str] = set()
    uses = [
        (program.config.value(key), program.at(key), program.place(key))
        for program in programs
        for key in ("stdout", "stderr")
    ]
    if daemon.logfile:
        uses.insert(0, (daemon.logfile, daemon_nodes["logfile"], "taskmasterd.logfile"))
    for target, at, place in uses:
        if not is_elsewhere(target) or elsewhere_of(target).kind != SYSLOG:
            continue
        address = elsewhere_of(target).address
        if address.startswith("unix:") and address not in seen:
            seen.add(address)
            for text, _ in surroundings.destination_doubts({"to": address}, None):
                report.warn(at, place, text)


def check_logs(program: Program, report: Report) -> None:
    """Report keys that have no effect."""
    output = program.config.output
    targets = [each for each in (output.stdout, output.stderr) if each != SAME_AS_STDOUT]
    kinds = [elsewhere_of(each).kind for each in targets if is_elsewhere(each)]
    for key, (formats, needed) in OF_FORMATS.items():
        useful = output.log_format in formats or (key == "log_levels" and SYSLOG in kinds)
        if key in program.nodes and program.config.value(key) is not False and not useful:
            report.warn(program.at(key), program.place(key), f"has no effect without {needed}")
    if writes_log(program.config):
        return
    if all(map(is_logger, targets)):
        keys, why = OF_LOGS, "a command reads the output, so there is no log"
    elif kinds:
        keys, why = OF_FILES, f"lines to the {' and '.join(sorted(set(kinds)))} have a form of their own, and no log"
    else:
        keys, why = OF_FILES, "there is no log: stdout and stderr are null"
    for key in keys:
        if key in program.nodes and program.config.value(key) != RAW:
            harmless = not kinds and key in SIZES  # supervisor's and older files have them beside null
            tell = report.warn if harmless else report.error
            tell(program.at(key), program.place(key), f"{why}; remove {key}")

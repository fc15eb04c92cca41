"""Checks of the keys of formatted logs."""

from __future__ import annotations

from taskmaster_common.config import DISCARD, JSON, PREFIX, RAW, SAME_AS_STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report

OF_FORMATS = {
    "log_prefix": ((PREFIX,), "log_format: prefix"),
    "log_time": ((PREFIX, JSON), "log_format: prefix or json"),
    "log_levels": ((JSON,), "log_format: json"),
    "log_events": ((PREFIX, JSON), "log_format: prefix or json"),
}
"""Keys that a log has only in some formats."""


def check_logs(program: Program, report: Report) -> None:
    """Report keys that have no effect."""
    output = program.config.output
    for key, (formats, needed) in OF_FORMATS.items():
        if key in program.nodes and program.config.value(key) and output.log_format not in formats:
            report.warn(program.at(key), program.place(key), f"has no effect without {needed}")
    discarded = output.stdout == DISCARD and output.stderr in (DISCARD, SAME_AS_STDOUT)
    if output.log_format != RAW and discarded:
        report.warn(
            program.at("log_format"), program.place("log_format"), "there is no log: stdout and stderr are null"
        )

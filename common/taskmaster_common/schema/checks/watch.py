"""Checks of `watch` that need more than its own value."""

from __future__ import annotations

from taskmaster_common.config import INSTANCE
from taskmaster_common.schema.advice.shelltext import unexpanded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

KEY = "watch"
MANY = 10_000
"""Directories above which a watch is doubtful: the kernel allows a user so many in all, often no more than 8192."""


def check_watch(program: Program, daemon: DaemonConfig, surroundings: Surroundings, report: Report) -> None:
    """Report paths that cannot be watched, and those that may be too much."""
    config = program.config
    if not config.watch:
        return
    node, place = program.at(KEY), program.place(KEY)
    relative = [path for path in config.watch["paths"] if not path.startswith("/")]
    if relative and INSTANCE in config.workingdir:
        report.error(
            node,
            place,
            f"workingdir is another one for each instance, and {relative[0]} is relative to it; write absolute paths",
        )
        return
    for doubt in _doubts(program, daemon, surroundings):
        report.warn(node, place, doubt)


def _doubts(program: Program, daemon: DaemonConfig, surroundings: Surroundings) -> Iterator[str]:
    value, directory = program.config.watch, program.config.workingdir
    state_dir = daemon.state_dir or surroundings.places.state_dir or ""
    for path in value["paths"]:
        if doubt := unexpanded(path):
            yield doubt
        whole = path if path.startswith("/") else f"{directory.rstrip('/')}/{path}"
        root = whole.rstrip("/").removesuffix("/.")
        if state_dir and f"{state_dir}/".startswith(f"{root}/"):
            yield f"{path} holds the daemon's state directory, {state_dir}; watch something below it"
    if surroundings.watched_directories(directory, value) > MANY:
        yield f"more than {MANY} directories would be watched; name those that matter, or ignore some"

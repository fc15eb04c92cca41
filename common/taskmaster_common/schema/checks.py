"""What no single value shows: files with two writers; and whatever else is checked once all values are known."""

from __future__ import annotations

from itertools import islice

from taskmaster_common.config import DEFAULT_LOG, DISCARD, INHERIT, INSTANCE, SAME_AS_STDOUT, for_instance
from taskmaster_common.schema.doubts import check_daemon, check_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskmaster_common.config import DaemonConfig, ProgramConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

MAX_LOOKED_AT = 100_000
"""Files of all instances that are compared; more would take seconds, and no host runs so many processes."""


def check_configuration(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report what is wrong or doubtful between keys, programs and the host."""
    _check_writers(programs, daemon, daemon_nodes, surroundings, report)
    check_daemon(daemon, daemon_nodes, surroundings, report)
    for program in programs:
        check_program(program, daemon, daemon_nodes, surroundings, report)


# -- files with two writers


def _check_writers(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    writers: dict[str, tuple[str, Node | None]] = {}
    for key, path in _daemon_files(daemon, surroundings):
        identity = surroundings.identity(path)
        owner, first = (
            writers.setdefault(identity, (f"taskmasterd.{key}", daemon_nodes.get(key))) if identity else ("", None)
        )
        if owner and owner != f"taskmasterd.{key}":
            at = daemon_nodes.get(key) or first
            if at is not None:
                report.error(at, f"taskmasterd.{key}", f"{path} is {owner} too", first)
    told: set[tuple[str, str]] = set()
    log_dir = daemon.log_dir or surroundings.places.log_dir
    for program, key, path in islice(_program_files(programs, log_dir), MAX_LOOKED_AT):
        identity = surroundings.identity(path)
        if not identity:
            continue
        mine = f"programs.{program.config.name}"
        owner, first = writers.setdefault(identity, (mine, program.at(key)))
        if owner != mine and (mine, owner) not in told:
            told.add((mine, owner))
            reason = f"{path} is written by {owner} too; each needs a file of its own"
            report.error(program.at(key), program.place(key), reason, first)


def _daemon_files(daemon: DaemonConfig, surroundings: Surroundings) -> Iterator[tuple[str, str]]:
    if daemon.logfile is not None or not surroundings.pid1:
        yield "logfile", daemon.logfile or surroundings.places.logfile
    beside = f"{daemon.socket}.pid" if daemon.socket is not None else surroundings.places.pidfile
    yield "pidfile", daemon.pidfile or beside


def _program_files(programs: Sequence[Program], log_dir: str) -> Iterator[tuple[Program, str, str]]:
    for program in programs:
        for key in ("stdout", "stderr"):
            for path in _stream_files(program.config, key, log_dir):
                yield program, key, path


def _stream_files(config: ProgramConfig, key: str, log_dir: str) -> Iterator[str]:
    target: str = getattr(config, key)
    if target in (DISCARD, INHERIT, SAME_AS_STDOUT) or (key == "stderr" and target == config.stdout):
        return
    if target == DEFAULT_LOG:
        yield f"{log_dir}/{config.name}.log"
        for index in range(1, config.numprocs):
            yield f"{log_dir}/{config.name}-{index}.log"
    elif INSTANCE in target:
        for index in range(config.numprocs):
            yield for_instance(target, index)
    else:
        yield target

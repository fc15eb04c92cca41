"""Refuses files that two would write, or that one would write and the daemon reads.

Errors depend on the text of paths alone, so that no change of the file system makes a configuration wrong. Two paths
that links currently lead to one file are a warning.
"""

from __future__ import annotations

from itertools import chain, islice

from taskmaster_common.config import (
    DEFAULT_LOG,
    DISCARD,
    EVENT_LOG_BACKUPS,
    INHERIT,
    INSTANCE,
    SAME_AS_STDOUT,
    for_instance,
)
from taskmaster_common.config.sockets import sockets_of
from taskmaster_common.config.words import is_elsewhere, value_files
from taskmaster_common.devices import is_system_name, normalised
from taskmaster_common.paths import LOG_DIR_LOCK, log_lock
from taskmaster_common.records import Record
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.env_files import each_path
from taskmaster_common.text.patterns import Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskmaster_common.config import DaemonConfig, ProgramConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings
    from taskmaster_common.schema.values.alerts.section import Rule

MAX_LOOKED_AT = 100_000
"""Most files of all instances that are compared; more would take seconds, and no host runs so many processes."""
STATE_ENDS = (".state", ".state.new", ".state.key", ".state.unusable")
"""Endings of the daemon's file names in state_dir."""
STATE_DIRECTORIES = ("history", "overrides", "alerts")
"""Names of the daemon's directories in state_dir."""
RUN_END = ".d"
"""What follows the control socket in the name of the directory in which a running daemon keeps files."""


class Sources(Record):
    """What is read: the configuration's files as absolute paths, the patterns of `include:` with their nodes, and the alert rules."""

    files: tuple[str, ...]
    patterns: tuple[tuple[Node, str], ...] = ()
    rules: tuple[Rule, ...] = ()


class Use(Record):
    """A file that `who` writes or reads, the place that says so (`at` None: a default), its number of rotated files."""

    path: str
    who: str
    place: str = ""
    at: Node | None = None
    backups: int = 0

    @property
    def numbered(self) -> tuple[str, int]:
        """The path without the number of a rotated file, and the number, 0 for none."""
        stem, _, digits = self.path.rpartition(".")
        named = digits.isascii() and digits.isdecimal() and not digits.startswith("0") and len(digits) < 9
        return (stem, int(digits)) if named else (self.path, 0)


def check_writers(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    sources: Sources,
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report each file that has two users."""
    log_dir = daemon.log_dir or surroundings.places.log_dir
    checker = _Checker(surroundings, report)
    checker.take(Use(normalised(path), "the configuration") for path in sources.files)
    checker.take(_daemon_files(daemon, daemon_nodes, surroundings))
    socket = normalised(daemon.socket or surroundings.places.socket)
    checker.take(islice(_program_files(programs, log_dir), MAX_LOOKED_AT))
    checker.take(islice(_program_sockets(programs, socket), MAX_LOOKED_AT))
    checker.take_read(islice(_read_files(programs), MAX_LOOKED_AT))
    checker.take_read(_alert_files(sources.rules))
    checker.check_rotated()
    checker.check_included(sources.patterns)
    checker.check_state(normalised(daemon.state_dir or surroundings.places.state_dir))
    checker.check_inside(f"{socket}{RUN_END}", "taskmasterd.socket")
    checker.check_links()


class _Checker:
    def __init__(self, surroundings: Surroundings, report: Report) -> None:
        self._surroundings = surroundings
        self._report = report
        self._uses: dict[str, Use] = {}
        self._read: list[Use] = []
        self._reported: set[tuple[str, str]] = set()

    def take(self, uses: Iterable[Use]) -> None:
        """Remember files, and report those already used."""
        for use in uses:
            if is_system_name(use.path):
                continue
            first = self._uses.setdefault(use.path, use)
            if first.who == use.who:
                if use.backups > first.backups:
                    self._uses[use.path] = use
            elif not self._surroundings.shareable(use.path):
                self._tell(use, first, f"{use.path} is {_written(first)} too; each needs a file of its own")

    def take_read(self, uses: Iterable[Use]) -> None:
        """Remember files that are only read, which may have several readers, and report those that somebody writes."""
        for use in uses:
            self._read.append(use)
            first = self._uses.get(use.path)
            if first and first.who != "taskmasterd.pidfile" and not self._surroundings.shareable(use.path):
                self._tell(use, first, f"{use.path} is {_written(first)} too; what is read needs a file of its own")

    def check_rotated(self) -> None:
        """Report files with the name of a rotated file."""
        for use in chain(self._uses.values(), self._read):
            stem, number = use.numbered
            first = self._uses.get(stem) if number else None
            if first and number <= first.backups:
                owner = "its own log" if first.who == use.who else f"the log of {first.who}"
                self._tell(
                    use, first, f"{use.path} is the name of {owner} after {number} rotations, too; choose another"
                )

    def check_included(self, patterns: Sequence[tuple[Node, str]]) -> None:
        """Report files that the next reload would read as configuration."""
        for node, pattern in patterns:
            parts = [Pattern(part) for part in pattern.split("/")]
            for use in self._uses.values():
                if use.at is not None and _matches(parts, use.path, use.backups):
                    reason = f"{use.path} would be read as configuration: {quoted(pattern)} in include: matches it"
                    self._tell(use, Use(pattern, "include", "include", node), reason)

    def check_state(self, directory: str) -> None:
        """Report files with the name of a daemon's state file."""
        for use in self._uses.values():
            head, _, name = use.path.rpartition("/")
            if use.at is not None and (head or "/") == directory and name.endswith(STATE_ENDS):
                reason = f"{use.path} is the name of a state file of the daemon, too; choose another"
                self._tell(use, Use(directory, "taskmasterd.state_dir"), reason)
        for name in STATE_DIRECTORIES:
            self.check_inside(f"{directory}/{name}", "taskmasterd.state_dir")

    def check_inside(self, directory: str, who: str) -> None:
        """Report files in a directory that only the daemon fills."""
        for use in self._uses.values():
            if use.at is not None and use.path.startswith(f"{directory}/"):
                reason = f"{use.path} is in {directory}, which is the daemon's own, too; choose another directory"
                self._tell(use, Use(directory, who), reason)

    def check_links(self) -> None:
        """Warn of different paths that currently lead to one file."""
        found: dict[str, Use] = {}
        for use in self._uses.values():
            identity = self._surroundings.identity(use.path)
            first = found.setdefault(identity, use) if identity else use
            if first.who != use.who and use.at is not None:
                reason = f"{use.path} and {first.path}, {_written(first)}, are the same file at present"
                self._report.warn(use.at, use.place, reason)
        for use in self._uses.values():
            stem, number = use.numbered
            linked = found.get(self._surroundings.identity(stem)) if number else None
            if linked and linked.path != stem and use.at is not None and number <= linked.backups:
                reason = (
                    f"{use.path} is the file that {linked.path}, {_written(linked)}, becomes after {number} rotations"
                )
                self._report.warn(use.at, use.place, f"{reason}, at present")

    def _tell(self, use: Use, first: Use, reason: str) -> None:
        """Report each pair of users once, at the one that the file names, with the position of the other."""
        if (use.who, first.who) in self._reported:
            return
        self._reported.add((use.who, first.who))
        if use.at is not None:
            self._report.error(use.at, use.place, reason, first.at)
        elif first.at is not None:
            self._report.error(first.at, first.place, f"{first.path} is {_written(use)} too; choose another")


def _written(use: Use) -> str:
    """Return the user of the file, as part of a sentence."""
    return (
        use.who if use.who.startswith(("taskmasterd.", "the configuration", "the socket ")) else f"written by {use.who}"
    )


def _matches(parts: Sequence[Pattern], path: str, backups: int) -> bool:
    """Return whether a pattern of include: matches a path or its rotated file; `*` matches no hidden file."""
    for whole in (path, f"{path}.1") if backups else (path,):
        names = whole.split("/")
        visible = len(names) == len(parts) and not names[-1].startswith(".")
        if visible and all(part.matches(name) for part, name in zip(parts, names)):
            return True
    return False


# -- who writes what


def _daemon_files(daemon: DaemonConfig, nodes: Mapping[str, Node], surroundings: Surroundings) -> Iterator[Use]:
    def use(key: str, path: str, backups: int = 0) -> Use:
        who = f"taskmasterd.{key}"
        return Use(normalised(path), who, who, nodes.get(key), backups)

    def lock(key: str, path: str) -> Use:
        return Use(normalised(path), "the daemon as a lock", f"taskmasterd.{key}", nodes.get(key))

    places = surroundings.places
    if (daemon.logfile is not None or not surroundings.pid1) and not is_elsewhere(daemon.logfile or ""):
        yield use("logfile", daemon.logfile or places.logfile, EVENT_LOG_BACKUPS)
        if daemon.logfile is None or not is_system_name(normalised(daemon.logfile)):
            yield lock("logfile", log_lock(daemon.logfile or places.logfile))
    if daemon.log_dir is not None or not surroundings.pid1:
        yield lock("log_dir", f"{daemon.log_dir or places.log_dir}/{LOG_DIR_LOCK}")
    yield use("socket", daemon.socket or places.socket)
    yield use("pidfile", daemon.pidfile or (f"{daemon.socket}.pid" if daemon.socket else places.pidfile))


def _program_files(programs: Sequence[Program], log_dir: str) -> Iterator[Use]:
    for program in programs:
        backups = program.config.output.log_backups if program.config.output.log_maxbytes else 0
        for key in ("stdout", "stderr"):
            at, place = program.at(key), program.place(key)
            for path in _stream_files(program.config, key, log_dir):
                yield Use(normalised(path), f"programs.{program.config.name}", place, at, backups)


def _program_sockets(programs: Sequence[Program], control: str) -> Iterator[Use]:
    """Return the files of sockets once each, as programs may share one; not `control`, which `checks.sockets` reports."""
    found: set[str] = {control}
    for program in programs:
        config = program.config
        for each in sockets_of(config.sockets) if config.sockets else ():
            if not each.is_file:
                continue
            for index in range(config.numprocs if each.varies else 1):
                path = normalised(each.addresses(index)[0])
                if path not in found:
                    found.add(path)
                    who = f"the socket {each.name} of programs.{config.name}"
                    yield Use(path, who, f"{program.place('sockets')}.{each.name}", program.at("sockets"))


def _read_files(programs: Sequence[Program]) -> Iterator[Use]:
    """Return what starts read for variables: a log of that name would write into it, and `logs` would show it."""
    for program in programs:
        config = program.config
        named = [(written, "env_file") for written in config.env_file]
        named += [(written, "env") for written in value_files(config.env).values()]
        for written, key in named:
            for path in each_path(written, config.numprocs):
                yield Use(normalised(path), f"the {key} of programs.{config.name}", program.place(key), program.at(key))


def _alert_files(rules: Sequence[Rule]) -> Iterator[Use]:
    """Return the files of secrets and certificates that alerts read: a log of that name would spoil them."""
    for rule in rules:
        mail, http = rule.value.mail, rule.value.http
        named = [
            ("mail", "password_file", mail.get("auth", {}).get("password_file")),
            ("mail", "ca", mail.get("ca")),
            ("http", "url_file", http.get("url_file")),
            ("http", "ca", http.get("ca")),
            *(("http", "header_files", path) for path in http.get("header_files", {}).values()),
        ]
        for kind, key, path in named:
            if path:
                who = f"the {key} of alerts.{rule.value.name}"
                yield Use(normalised(path), who, rule.place(kind), rule.at(kind))


def _stream_files(config: ProgramConfig, key: str, log_dir: str) -> Iterator[str]:
    target: str = config.value(key)
    if (
        target in (DISCARD, INHERIT, SAME_AS_STDOUT)
        or is_elsewhere(target)
        or (key == "stderr" and target == config.output.stdout)
    ):
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

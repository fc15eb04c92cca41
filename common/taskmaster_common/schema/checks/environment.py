"""Checks of what programs get by files, and of secrets that others could read."""

from __future__ import annotations

from taskmaster_common.config.words import OPTIONAL, value_files
from taskmaster_common.schema.advice.shelltext import unexpanded_name
from taskmaster_common.schema.nodes import SEQUENCE
from taskmaster_common.schema.values.env_files import EnvFiles, each_path, like_a_secret
from taskmaster_common.schema.values.kinds import NEVER_IN_ENV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings
    from taskmaster_common.schema.values.env_files import EnvFile

SHOWN_SECRETS = 3
"""Most names of secrets in one warning."""


class EnvironmentCheck:
    """Looks at the programs one after the other.

    At the start of a daemon a wrong file is the matter of its program alone. So is, always, one that another user can make wrong.
    """

    def __init__(self, daemon: DaemonConfig, surroundings: Surroundings, report: Report) -> None:
        self._report = report
        becomes = surroundings.user(daemon.user) if daemon.user and surroundings.uid == 0 else None
        self._reader = becomes.name if becomes else ""
        self._files = EnvFiles(surroundings, becomes)
        self._host = surroundings

    def check(self, program: Program) -> None:
        """Report wrong files, and doubts about secrets."""
        config = program.config
        nodes = _elements(program.at("env_file"))
        for number, written in enumerate(config.env_file):
            at = nodes[number] if number < len(nodes) else program.at("env_file")
            for path in each_path(written, config.numprocs):
                self._check_file(program, at, path, optional=written.startswith(OPTIONAL))
        for name, written in value_files(config.env).items():
            for path in each_path(written, config.numprocs):
                self._check_value(program, name, path)
        self._check_literal(program)

    def _check_file(self, program: Program, at: Node, path: str, *, optional: bool) -> None:
        file, place = self._files.look(path), program.place("env_file")
        if self._told(path, file, at, place, optional=optional):
            return
        vain = [name for name in file.names if name in NEVER_IN_ENV]
        if vain:
            self._report.warn(at, place, f"{path}: {vain[0]} is set by taskmasterd itself; the file's has no effect")
        secrets = [name for name in file.names if like_a_secret(name)]
        if file.public and secrets:
            more = f" and {len(secrets) - SHOWN_SECRETS} more" if len(secrets) > SHOWN_SECRETS else ""
            named = ", ".join(secrets[:SHOWN_SECRETS]) + more
            self._report.warn(at, place, f"everybody can read {path}, which has {named}; chmod o-r {path}")

    def _check_value(self, program: Program, name: str, path: str) -> None:
        file, place = self._files.look(path, is_value=True), program.place(f"env.{name}")
        at = program.at(f"env.{name}")
        if not self._told(path, file, at, place) and file.public and like_a_secret(name):
            self._report.warn(at, place, f"everybody can read {path}; chmod o-r {path}", no_value=True)

    def _told(self, path: str, file: EnvFile, at: Node, place: str, *, optional: bool = False) -> bool:
        """Report what is wrong with a file; return whether nothing more is known of it."""
        if file.problem and not (file.missing and optional):
            lenient = file.unknown or self._host.lenient_users or self._host.decided_by_others(path)
            doubt = unexpanded_name(path) if file.missing else ""
            problem = f"{file.problem}; {doubt}" if doubt else file.problem
            (self._report.warn if lenient else self._report.error)(at, place, problem, no_value=True)
        if file.hidden:
            self._report.warn(at, place, f"{self._reader}, as whom taskmasterd runs, cannot read {path}", no_value=True)
        return bool(file.problem)

    def _check_literal(self, program: Program) -> None:
        for name, text in program.config.env.items():
            node = program.at(f"env.{name}")
            if isinstance(text, str) and text and "${" not in node.text and like_a_secret(name):
                reason = (
                    "looks like a secret that stands in the configuration; use env_file, or {file: PATH} as its value"
                )
                self._report.warn(node, program.place(f"env.{name}"), reason)


def _elements(node: Node) -> list[Node]:
    return node.items if node.kind == SEQUENCE else [node]

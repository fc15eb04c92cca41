"""What no single value shows: files with two writers, and what is legal but doubtful."""

from __future__ import annotations

from itertools import islice

from taskmaster_common.config import DEFAULT_LOG, DISCARD, INHERIT, INSTANCE, SAME_AS_STDOUT, for_instance
from taskmaster_common.schema.report import quoted

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

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_OPERATORS = frozenset(("&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>>", "&>", "2>&1", ">&2"))


def check_configuration(
    programs: Sequence[Program],
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report what is wrong or doubtful between keys, programs and the host."""
    _check_writers(programs, daemon, daemon_nodes, surroundings, report)
    for key, directory in (("log_dir", daemon.log_dir), ("state_dir", daemon.state_dir)):
        if directory and not surroundings.may_enter(directory, None):
            reason = f"{directory} cannot be entered or does not exist, and is not created; the daemon will not start"
            report.warn(daemon_nodes[key], f"taskmasterd.{key}", reason)
    for program in programs:
        _check_command(program, surroundings, report)
        _check_stop(program, daemon, daemon_nodes, report)
        _check_streams(program, surroundings, report)
        _check_workingdir(program, surroundings, report)


_TILDE = "~ is not expanded here; write ${HOME}"


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


# -- doubtful


def _check_stop(program: Program, daemon: DaemonConfig, daemon_nodes: Mapping[str, Node], report: Report) -> None:
    if program.config.stoptime > daemon.shutdown_timeout:
        at = program.nodes.get("stoptime") or daemon_nodes.get("shutdown_timeout") or program.key
        reason = (
            f"a stop may take {program.config.stoptime:g}s, but at shutdown everything is killed after "
            f"{daemon.shutdown_timeout:g}s (taskmasterd.shutdown_timeout)"
        )
        report.warn(at, program.place("stoptime"), reason)


def _check_streams(program: Program, surroundings: Surroundings, report: Report) -> None:
    for key in ("stdout", "stderr"):
        target = getattr(program.config, key)
        if target == INHERIT and surroundings.daemonized:
            reason = "inherit is /dev/null once the daemon is in the background; use taskmasterd -n, or a path"
            report.warn(program.at(key), program.place(key), reason)
        elif "/~/" in target:
            report.warn(program.at(key), program.place(key), _TILDE)


def _check_workingdir(program: Program, surroundings: Surroundings, report: Report) -> None:
    config = program.config
    at, place = program.at("workingdir"), program.place("workingdir")
    if config.workingdir.rpartition("/")[2] == "~" or "/~/" in config.workingdir:
        report.warn(at, place, _TILDE)
    elif not (config.refusal or surroundings.may_enter(for_instance(config.workingdir, 0), program.account)):
        who = program.account.name if program.account is not None else f"uid {surroundings.uid}"
        report.warn(at, place, f"{config.workingdir} does not exist, or {who} may not enter it")


def _check_command(program: Program, surroundings: Surroundings, report: Report) -> None:
    config = program.config
    if config.shell or config.refusal:
        return
    at, place = program.at("cmd"), program.place("cmd")
    doubt = shell_syntax(at.text) if at.text else ""
    if doubt:
        report.warn(at, place, doubt)
        return
    path = config.env.get("PATH", surroundings.environment.get("PATH", DEFAULT_PATH))
    word, workingdir = for_instance(config.cmd[0], 0), for_instance(config.workingdir, 0)
    found = surroundings.find_command(word, for_instance(path or DEFAULT_PATH, 0), workingdir, program.account)
    if found:
        report.warn(at, place, found)


def shell_syntax(text: str) -> str:
    """Return why a command line seems to be meant for a shell, or "". What is in quotes is never meant."""
    words = unquoted(text).split()
    for at, word in enumerate(words):
        if word in _OPERATORS or (word[0] in "<>" and len(word) > 1) or word[:2] in ("2>", "&>"):
            return f"without a shell {quoted(word)} is an ordinary word; set shell: true to have /bin/sh run it"
        if word == "~" or word.startswith("~/"):
            return "without a shell ~ is an ordinary character; write ${HOME}, or set shell: true"
        if word.startswith("$("):
            return "without a shell $( ) is not run; set shell: true"
        name, equals, _ = word.partition("=")
        if at == 0 and equals and name.isidentifier():
            return f"without a shell {quoted(word)} is taken as the command; put {name} under env:, or set shell: true"
    return ""


def unquoted(text: str) -> str:
    """Return `text` with each quoted or escaped character replaced by `x`."""
    plain: list[str] = []
    quote = ""
    characters = iter(text)
    for character in characters:
        if quote:
            quote = "" if character == quote else quote
            plain.append("x")
        elif character in "'\"":
            quote = character
            plain.append("x")
        elif character == "\\":
            next(characters, "")
            plain.append("x")
        else:
            plain.append(character)
    return "".join(plain)

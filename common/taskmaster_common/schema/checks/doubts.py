"""Warns of what is legal but doubtful in one program or in `taskmasterd:`.

A path that would create a directory by mistake is an error.
"""

from __future__ import annotations

from taskmaster_common.config import DEFAULT_PATH, DISCARD, INHERIT, for_instance
from taskmaster_common.config.elsewhere import elsewhere_of
from taskmaster_common.config.words import is_logger
from taskmaster_common.schema.advice.shelltext import (
    bash_doubt,
    builtin_doubt,
    command_doubt,
    pipe_doubt,
    script_of,
    unexpanded,
    words_doubt,
)
from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.text.formats import format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig, ProgramConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

LEAST_MEMORY = 100_000
LEAST_LOG = 1000
"""A lower limit, bytes, was probably meant in another unit: no process needs less memory, and a line or two fill such a log."""
DAEMON_PATHS = ("socket", "pidfile", "logfile", "log_dir", "state_dir")
COMPOSE_TESTS = {
    "CMD": "CMD is Compose's word; leave it out",
    "CMD-SHELL": "CMD-SHELL is Compose's word; write exec: {cmd: ..., shell: true}",
    "NONE": "NONE is Compose's word; remove the key, and nothing is asked",
}
PAUSES = ("STOP", "TSTP", "TTIN", "TTOU")
IGNORED = ("CONT", "CHLD", "CLD", "URG", "WINCH")
"""Signals whose default action does not end a process. Source: signal(7)."""


def check_daemon(daemon: DaemonConfig, nodes: Mapping[str, Node], surroundings: Surroundings, report: Report) -> None:
    """Report doubts about `taskmasterd:`."""
    for key in DAEMON_PATHS:
        place, path = f"taskmasterd.{key}", getattr(daemon, key)
        doubt = _path_doubt(nodes.get(key))
        if doubt:
            report.warn(nodes[key], place, doubt)
        elif path and key in ("log_dir", "state_dir") and not surroundings.may_enter(path, None):
            reason = f"{path} cannot be entered or does not exist, and is not created; the daemon will not start"
            report.warn(nodes[key], place, reason)
    if not daemon.history["size"]:
        report.warn(nodes["history"], "taskmasterd.history", "nothing is kept; `why` and `events` will know little")
    elif not daemon.history["age"]:
        reason = f"age: 0 is no limit: records are kept until they fill {format_size(daemon.history['size'])}; `history: 0` keeps none"
        report.warn(nodes["history"], "taskmasterd.history", reason)


def check_program(
    program: Program,
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report doubts about a program."""
    _check_command(program, surroundings, report)
    _check_stop(program, daemon, daemon_nodes, surroundings, report)
    _check_streams(program, surroundings, report)
    _check_workingdir(program, surroundings, report)
    _check_sizes(program, report)


def _check_sizes(program: Program, report: Report) -> None:
    """Warn of a number of bytes that was probably meant with a unit."""
    config = program.config
    of_limits = dict(row.split(" ", 1) for row in config.value("limits"))
    sizes = (
        ("limits", "memory", int(of_limits.get("memory", 0))),
        ("limits", "memory_high", int(of_limits.get("memory_high", 0))),
        ("recycle", "memory", config.value("recycle").get("memory", 0)),
        ("log_maxbytes", "", config.value("log_maxbytes")),
    )
    for key, name, size in sizes:
        if 0 < size < (LEAST_LOG if key == "log_maxbytes" else LEAST_MEMORY):
            said = f"{name}: " if name else ""
            reason = f"{said}{size} is a number of bytes, and less than makes sense; write {size}MB if that is meant"
            report.warn(program.at(key), program.place(key), reason)


def _check_stop(
    program: Program,
    daemon: DaemonConfig,
    daemon_nodes: Mapping[str, Node],
    surroundings: Surroundings,
    report: Report,
) -> None:
    config = program.config
    if config.policy.stoptime > daemon.shutdown_timeout:
        at = program.nodes.get("stoptime") or daemon_nodes.get("shutdown_timeout") or program.key
        reason = (
            f"a stop may take {config.policy.stoptime:g}s, but at shutdown everything is killed after "
            f"{daemon.shutdown_timeout:g}s (taskmasterd.shutdown_timeout)"
        )
        report.warn(at, program.place("stoptime"), reason)
    for names, effect in (
        (PAUSES, "pauses a program and ends none"),
        (IGNORED, "ends no program that does not handle it"),
    ):
        name = next((each for each in names if surroundings.signals.get(each) == config.stopsignal), "")
        if name:
            reason = f"{name} {effect}, so that it is killed after {config.policy.stoptime:g}s"
            report.warn(program.at("stopsignal"), program.place("stopsignal"), reason)


def _check_streams(program: Program, surroundings: Surroundings, report: Report) -> None:
    for key in ("stdout", "stderr"):
        target, node, place = program.config.value(key), program.nodes.get(key), program.place(key)
        if is_logger(target):
            _check_logger(program, key, surroundings, report)
        elif target == INHERIT and surroundings.daemonized:
            reason = "inherit is /dev/null once the daemon is in the background; use taskmasterd -n, or a path"
            report.warn(program.at(key), place, reason)
        elif node is not None and target != DISCARD and node.kind == SCALAR:
            directory = "/".join(node.text.split("/")[:-1])
            doubt = unexpanded(f"{directory}/") if directory else ""
            if doubt:
                report.error(node, place, f"{doubt}, since a directory of that name would be made")
            elif doubt := _path_doubt(node):
                report.warn(node, place, doubt)


def _check_logger(program: Program, key: str, surroundings: Surroundings, report: Report) -> None:
    """Warn of a logger that cannot be executed, as of a `cmd`."""
    logger = elsewhere_of(program.config.value(key))
    if logger.shell:
        return
    node = program.nodes.get(key)
    text = node.text.lstrip().removeprefix("|") if node is not None and node.kind == SCALAR else ""
    doubt = written_doubt(node, program, surroundings, text)
    if not (doubt or program.config.refusal):
        doubt = not_executable(program, logger.words[0], surroundings)
    if doubt:
        report.warn(program.at(key), program.place(key), doubt)


def _check_workingdir(program: Program, surroundings: Surroundings, report: Report) -> None:
    config = program.config
    at, place = program.at("workingdir"), program.place("workingdir")
    doubt = _path_doubt(program.nodes.get("workingdir"))
    if doubt:
        report.warn(at, place, doubt)
    elif not (config.refusal or surroundings.may_enter(for_instance(config.workingdir, 0), program.account)):
        who = program.account.name if program.account is not None else f"uid {surroundings.uid}"
        report.warn(at, place, f"{config.workingdir} does not exist, or {who} may not enter it")


def _path_doubt(node: Node | None) -> str:
    return unexpanded(node.text) if node is not None and node.kind == SCALAR and not node.is_null() else ""


# -- the command


def _check_command(program: Program, surroundings: Surroundings, report: Report) -> None:
    at, place = program.at("cmd"), program.place("cmd")
    doubt = pipe_doubt(_script(program.config)) or _text_doubt(program, surroundings)
    if doubt:
        report.warn(at, place, doubt)
    elif not (program.config.shell or program.config.refusal):
        found = not_executable(program, program.config.cmd[0], surroundings)
        if found:
            report.warn(at, place, builtin_doubt(program.config.cmd[0]) or _one_word(at, program.config.cmd) or found)


def _one_word(node: Node, words: Sequence[str]) -> str:
    """Return what is wrong with a list whose only word has blanks, or ""."""
    if node.kind != SEQUENCE or len(words) != 1 or len(words[0].split()) < 2:
        return ""
    return f"{quoted(words[0])} is one word, with its blanks; write [{', '.join(words[0].split())}], or the text without a list"


def written_doubt(node: Node | None, program: Program, surroundings: Surroundings, text: str = "") -> str:
    """Return why another command of a program seems meant for a shell: `text`, or what `node` is, or has as `cmd` or `pipe`."""
    text = text or text_of_command(node)
    return command_doubt(text, surroundings.environment, program.config.env) if text else ""


def text_of_command(node: Node | None) -> str:
    """Return a command as it is written, alone or in a map, "" for a list of words."""
    if node is not None and node.kind == MAPPING:
        node = next((node.entries[name][1] for name in ("cmd", "pipe") if name in node.entries), None)
    return node.text if node is not None and node.kind == SCALAR else ""


def probe_doubt(program: Program, key: str, surroundings: Surroundings) -> str:
    """Return why the command of a probe, `exec` of `ready` or `health`, seems meant for a shell."""
    probe = program.nodes.get(key)
    node = probe.entries["exec"][1] if probe and "exec" in probe.entries else None
    word = node.items[0].text if node is not None and node.kind == SEQUENCE and node.items else ""
    return COMPOSE_TESTS.get(word, "") or written_doubt(node, program, surroundings)


def _script(config: ProgramConfig) -> str:
    return config.cmd[0] if config.shell else script_of(config.cmd)


def _text_doubt(program: Program, surroundings: Surroundings) -> str:
    text = program.at("cmd").text
    if not text:
        return words_doubt(program.config.cmd, surroundings.environment, program.config.env)
    if program.config.shell and not surroundings.sh_is_bash and (doubt := bash_doubt(text)):
        return doubt
    if not program.config.shell:
        doubt = command_doubt(text, surroundings.environment, program.config.env)
        if doubt:
            return doubt
    percent = unexpanded(text)
    return percent if percent.startswith("%") else ""


def search_path(config: ProgramConfig, environment: Mapping[str, str]) -> str:
    """Return the PATH in which a program's commands are looked for; `environment` are the daemon's variables."""
    keeps = config.clear_env is False or (config.clear_env is not True and "PATH" in config.clear_env)
    inherited = environment.get("PATH", DEFAULT_PATH) if keeps else DEFAULT_PATH
    return config.env.get("PATH", inherited) or DEFAULT_PATH


def not_executable(program: Program, command: str, surroundings: Surroundings) -> str:
    """Return why a program's user cannot execute a command of it, or ""."""
    config = program.config
    path = search_path(config, surroundings.environment)
    word, workingdir = for_instance(command, 0), for_instance(config.workingdir, 0)
    return surroundings.find_command(word, for_instance(path, 0), workingdir, program.account)

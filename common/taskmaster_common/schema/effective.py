"""The effective configuration as YAML text, for `taskmasterd -T`.

The text decodes to the same values: every text is quoted, `${` is escaped, and the number of an instance is written
`${TASKMASTER_INSTANCE}`. Hidden values, and defaults that depend on the host, are comments.
"""

from __future__ import annotations

from taskmaster_common.config import (
    DAEMON_KEYS,
    DEFAULT_LOG,
    DISCARD,
    INHERIT,
    INSTANCE,
    KIND,
    SAME_AS_STDOUT,
    SERVICE,
    mode_of_socket,
)
from taskmaster_common.config.alerts.rule import AlertRule
from taskmaster_common.config.alerts.written import written_rule
from taskmaster_common.config.elsewhere import AS_STDOUT, Elsewhere, elsewhere_of
from taskmaster_common.config.graph import Graph, edge_of
from taskmaster_common.config.hooks import hook_of, written_hook
from taskmaster_common.config.limits import cpus_text, written_limits, written_rlimits
from taskmaster_common.config.sockets import descriptors, socket_on_stdin, sockets_of, written_sockets
from taskmaster_common.config.words import LOGGER, PIPE, SYSLOG, is_elsewhere
from taskmaster_common.config.written import in_one_line, written_edges, written_probe
from taskmaster_common.records import Record
from taskmaster_common.schema.values.env_files import reads_files
from taskmaster_common.schema.values.kinds import DAEMON_TABLE
from taskmaster_common.text.formats import format_size, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import Config, DaemonConfig, ProgramConfig
    from taskmaster_common.config.graph import Need
    from taskmaster_common.paths import Places

    Upcoming = Callable[[Mapping[str, Any], int], Iterable[tuple[int, str]]]


NOT_WRITTEN = {"targets": "all", "at_most": "no limit", "user": "the daemon's", "group": "the daemon's", "env": "none"}
"""What holds for an alert rule without these keys."""
NEXT_RUNS = 3
"""Next runs of a schedule that are named."""
WITHOUT = {
    "ready": "RUNNING after starttime",
    "health": "nobody asks",
    "update": "all at once",
    "tty": "no terminal",
    "rlimits": "the daemon's",
    "cpu_affinity": "the daemon's",
    "limits": "none",
    "sockets": "none",
    "env_file": "none",
    "recycle": "never",
    "watch": "nothing",
    "schedule": "none",
}
"""What holds for a program without these keys."""
OTHERWISE = {"log_levels": "true with json and syslog", "cgroup": "true with limits"}
"""What decides over these keys where they are not written."""


class Here(Record):
    """What comments say of the host.

    `upcoming` says when schedules are due, see `Surroundings`; `start_of(program)` how a program is started; `cgroup_root` is where its
    control groups are. "" for what is not said.
    """

    upcoming: Upcoming
    start_of: Callable[[ProgramConfig], str]
    cgroup_root: str = ""


NOWHERE = Here(lambda _value, _most: (), lambda _program: "")


def effective_text(
    config: Config, signals: Mapping[str, int], places: Places, *, values: bool = True, here: Here = NOWHERE
) -> str:
    """Return the whole configuration with its defaults filled in, as YAML that ends with a line feed.

    Without `values`, a variable of env is a comment with its name only.
    """
    lines = ["taskmasterd:", *_daemon_lines(config.daemon, places, here)]
    if config.groups:
        lines.append("groups:")
        lines.extend(f"  {_quoted(name)}: {_list(members)}" for name, members in config.groups.items())
    if config.alerts:
        lines.append("alerts:")
        for name, data in config.alerts.items():
            lines.append(f"  {_quoted(name)}:")
            lines.extend(_alert_lines(AlertRule.from_data(data), values=values))
    lines.append("programs:" if config.programs else "programs: {}")
    graph = Graph({program.name: program.policy.depends_on for program in config.programs}, config.groups)
    for program in config.programs:
        lines.append(f"  {_quoted(program.name)}:")
        lines.extend(_program_lines(program, signals, config.daemon.log_dir or places.log_dir, values=values))
        if program.schedule:
            lines.extend(_next_runs(here.upcoming(program.schedule, NEXT_RUNS)))
        lines.extend(_expanded(program.policy.depends_on, graph.needs.get(program.name, ())))
        if start := here.start_of(program):
            lines.append(f"    # which is started by {start}".translate(_ONE_LINE))
    return "\n".join(lines) + "\n"


def _daemon_lines(daemon: DaemonConfig, places: Places, here: Here) -> Iterator[str]:
    beside = f"{daemon.socket}.pid" if daemon.socket is not None else places.pidfile
    defaults = {
        "socket": places.socket,
        "socket_mode": f"0{mode_of_socket(daemon):o}",
        "roles": "nobody else",
        "cgroup_root": here.cgroup_root or "found at the first use",
        "pidfile": beside,
        "logfile": places.logfile,
        "log_dir": places.log_dir,
        "state_dir": places.state_dir,
    }
    for key in DAEMON_KEYS:
        value = getattr(daemon, key)
        if value is None or value == {}:
            yield f"  # {key}: {defaults.get(key, 'not set')}".translate(_ONE_LINE)
        else:
            yield f"  {key}: {_value(DAEMON_TABLE[key].kind, value, {})}"


def _alert_lines(rule: AlertRule, *, values: bool) -> Iterator[str]:
    for key, value in written_rule(rule, values=values):
        if key == "env" and value:
            yield "    env:"
            yield from _env_lines(value, values=values)
        elif value is None:
            yield f"    # {key}: {NOT_WRITTEN[key]}"
        else:
            yield f"    {key}: {_flow(value, expanded=not rule.cmd.get('shell'))}"
            if key == "http" and "url" in value:
                yield "    # the rest of the URL is hidden: it may be a secret"


def _program_lines(program: ProgramConfig, signals: Mapping[str, int], log_dir: str, *, values: bool) -> Iterator[str]:
    if program.refusal:
        yield f"    # cannot be started: {program.refusal}".translate(_ONE_LINE)
    for key, kind in KIND.items():
        value = program.value(key)
        if key == "cmd":
            yield from _command_lines(program)
        elif key in ("env", "sockets") and value:
            yield f"    {key}:"
            yield from _socket_lines(program) if key == "sockets" else _env_lines(value, values=values)
        elif not value and (key in WITHOUT or kind == "hook"):
            yield f"    # {key}: {WITHOUT.get(key, 'none')}"
        elif value is not None and _is_without_effect(key, program):
            yield f"    # {key}: without effect"
        elif value is None and key in OTHERWISE:
            yield f"    # {key}: {OTHERWISE[key]}"
        elif value is None:
            yield f"    # {key}: the " + ("user's" if key == "group" and program.run_as.user else "daemon's")
        elif value == DEFAULT_LOG and kind == "stream":
            yield f"    # {key}: {log_dir}/{program.name}.log".translate(_ONE_LINE)
        else:
            yield f"    {key}: {_value(kind, value, signals)}"


def limits_start(program: ProgramConfig) -> bool:
    """Return whether `start_timeout` has an effect: on a job, on what becomes ready, and on what reads files before it starts."""
    reads = reads_files(program.env_file, program.env)
    return program.policy.type != SERVICE or reads or bool(program.ready or program.policy.post_start)


def _is_without_effect(key: str, program: ProgramConfig) -> bool:
    if not key.startswith("log_"):
        return key == "start_timeout" and not limits_start(program)
    output = program.output
    levels = key == "log_levels" and any(each.partition(" ")[0] == SYSLOG for each in (output.stdout, output.stderr))
    return not levels and not writes_log(program)


def writes_log(program: ProgramConfig) -> bool:
    """Return whether anything that it writes goes into a file, or where the daemon's own output goes."""
    output = program.output
    targets = (output.stdout, output.stdout if output.stderr == SAME_AS_STDOUT else output.stderr)
    return not all(each == DISCARD or is_elsewhere(each) for each in targets)


def _next_runs(runs: Iterable[tuple[int, str]]) -> Iterator[str]:
    shown = ", ".join(text for _moment, text in runs)
    if shown:
        yield f"    # whose next runs are: {shown}"


def _env_lines(env: Mapping[str, Any], *, values: bool) -> Iterator[str]:
    for name, text in env.items():
        if text is None:
            yield f"      {_quoted(name)}: null"
        elif isinstance(text, dict):
            yield f"      {_quoted(name)}: {_flow(text, expanded=True)}"
        elif values:
            yield f"      {_quoted(name)}: {_escaped(text)}"
        else:
            yield f"      # {_quoted(name)}: hidden; -T --env prints it"


def _socket_lines(program: ProgramConfig) -> Iterator[str]:
    numbers = descriptors(sockets_of(program.sockets))
    for name, value in written_sockets(program.sockets, program.socket_options).items():
        yield f"      {_quoted(name)}: {_flow(value, expanded=True)}  # descriptor {numbers[name]}"


def _command_lines(program: ProgramConfig) -> Iterator[str]:
    if program.shell:
        yield f"    cmd: {_quoted(program.cmd[0])}"  # not expanded, so nothing is escaped
        return
    yield "    cmd:"
    for word in program.cmd:
        yield f"    - {_escaped(word)}"


def _value(kind: str, value: Any, signals: Mapping[str, int]) -> str:
    """Return a value in the notation of its kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "octal":
        return f"0{value:o}"
    if kind == "seconds":
        return plain_number(value)
    if kind == "size":
        return format_size(value)
    if kind == "signal":
        return signal_name(value, signals)
    if kind == "exit codes":
        return _flow(list(value), expanded=True)
    if kind in ("stream", "event log") and (value in (DISCARD, INHERIT, SAME_AS_STDOUT) or is_elsewhere(value)):
        return _elsewhere(value) if is_elsewhere(value) else str(value)
    if kind in ("whole", "autorestart", "choice", "boolean or word"):
        return str(value)
    if kind in MAPS:
        return MAPS[kind](value)
    return "{}" if kind == "environment" else _escaped(value)


def _elsewhere(value: str) -> str:
    target = elsewhere_of(value)
    if target.kind == LOGGER:
        words = target.to if target.shell else list(target.words)
        return _flow({PIPE: words, **({"shell": True} if target.shell else {})}, expanded=not target.shell)
    given = {name: each for name, each in target.to_data().items() if each != Elsewhere(target.kind).to_data()[name]}
    if given.pop("errors", AS_STDOUT) != AS_STDOUT:
        given["severity"] = {"stdout": target.severity, "stderr": target.errors}
    return _flow({target.kind: given}, expanded=True) if given else target.kind


def _probe(value: Mapping[str, Any]) -> str:
    return _flow(written_probe(value), expanded="shell" not in value)


def _hook(value: Sequence[str]) -> str:
    return _flow(written_hook(value), expanded=not hook_of(value).shell)


def _recycle(value: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{name}: {_recycle_part(name, each)}' for name, each in value.items())}}}"


def _recycle_part(name: str, value: Any) -> str:
    if name == "memory":
        return format_size(value)
    return _flow(list(value) if isinstance(value, tuple) else value, expanded=True)


def _roles(roles: Mapping[str, Mapping[str, Any]]) -> str:
    return _flow({name: _role(role) for name, role in roles.items()}, expanded=True)


def _role(role: Mapping[str, Any]) -> dict[str, Any]:
    """Return a role as one writes it: names without the numbers that they have here."""
    lists = {part: [*role[part]] for part in ("users", "groups", "programs") if part in role}
    return {"level": role["level"], **lists}


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, names))}]"


MAPS: Mapping[str, Callable[[Any], str]] = {
    "cleared": _list,
    "roles": _roles,
    "dependencies": lambda value: in_one_line(written_edges(value)),
    "ready": _probe,
    "health": _probe,
    "update": lambda value: _flow(value, expanded=False),
    "tty": lambda value: _flow(value, expanded=False),
    "input": lambda value: (
        _flow({"socket": name}, expanded=False)
        if (name := socket_on_stdin(value))
        else (_escaped(value) if "/" in value else str(value))
    ),
    "variable files": lambda value: _flow(list(value), expanded=True),
    "recycle": _recycle,
    "watch": lambda value: _flow(value, expanded=True),
    "schedule": lambda value: _flow(value, expanded=True),
    "hook": _hook,
    "rlimits": lambda value: in_one_line(written_rlimits(value)),
    "limits": lambda value: in_one_line(written_limits(value)),
    "processors": lambda value: _quoted(cpus_text(value)),
    "history": lambda value: f"{{size: {format_size(value['size'])}, age: {plain_number(value['age'])}}}",
}
"""How values of these kinds are written, in one line."""


def _flow(value: Any, *, expanded: bool) -> str:
    """Return plain data as YAML in one line; texts are expanded when they are read, or not (`expanded`)."""
    if isinstance(value, dict):
        pairs = (
            f"{name if name.isalpha() else _quoted(name)}: {_flow(each, expanded=expanded)}"
            for name, each in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(each, expanded=expanded) for each in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return plain_number(value)
    return _escaped(value) if expanded else _quoted(value)


def _expanded(texts: Iterable[str], needs: Iterable[Need]) -> Iterator[str]:
    """Yield a comment with what a program depends on where the file says it by groups."""
    names = [need.program if need.index is None else f"{need.program}:{need.index}" for need in needs]
    if names != [edge_of(text).name for text in texts]:
        yield f"    # which depends on: {', '.join(names) or 'nothing'}"


def plain_number(value: float) -> str:
    """Return seconds as a decimal number without an exponent: 5, 0.5, 0.00001."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    """Return `text` quoted so that expanding its variables gives it back."""
    *pieces, last = text.replace("${", "$${").split(INSTANCE)
    return _quoted("".join(_before_instance(piece) for piece in pieces) + last)


def _before_instance(piece: str) -> str:
    """Return `piece` followed by the variable of the instance; its final `$` must not escape that."""
    bare = piece.rstrip("$")
    dollars = piece[len(bare) :]
    return bare + (f"${{TASKMASTER_DOLLAR:-{dollars}}}" if dollars else "") + "${TASKMASTER_INSTANCE}"


def _quoted(text: str) -> str:
    """Return a YAML double-quoted scalar. Source: YAML 1.1, 5.6 (escape sequences)."""
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_ONE_LINE = dict.fromkeys((*range(32), 0x7F, 0x85, 0x2028, 0x2029), " ")

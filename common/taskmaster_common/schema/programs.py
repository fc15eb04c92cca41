"""Builds one program from its layers: the main file's defaults, its own file's defaults, templates, its entry.

Layers are merged as nodes, so that `${TASKMASTER_PROGRAM}` in defaults means each program, and a problem is reported
where it was written. `env` merges name by name; other keys replace each other.
"""

from __future__ import annotations

from functools import partial

from taskmaster_common.config import (
    DISCARD,
    INHERIT,
    INSTANCE,
    ONESHOT,
    PROGRAM_KEYS,
    RAW,
    SAME_AS_STDOUT,
    SERVICE,
    UNEXPECTED,
    ProgramConfig,
)
from taskmaster_common.config.sockets import descriptors, socket_rows, variable
from taskmaster_common.config.words import SYSLOG, is_elsewhere
from taskmaster_common.records import Record
from taskmaster_common.schema.advice.foreign import PROGRAM_WORDS, key_list, squash
from taskmaster_common.schema.advice.meant import called, invented, misspelt, unknown_key
from taskmaster_common.schema.nodes import SCALAR, cut_by_a_comma
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.env_files import EnvFiles, reads_files
from taskmaster_common.schema.values.environment import decoded_variables, defined_in, merged_variables
from taskmaster_common.schema.values.kinds import (
    EXTRA_TABLE,
    PROGRAM_TABLE,
    decode_value,
)
from taskmaster_common.schema.values.limits import merged_rlimits
from taskmaster_common.schema.values.scalars import Decoding
from taskmaster_common.schema.variables import Variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings, User


MAPS = ("health", "recycle", "update")
"""Kinds of values that are always maps."""
SHOWN_NAMES = 5
"""Most names that a message lists."""
DEFAULTS = "defaults"
EXTENDS = "extends"
OF_JOBS = (
    "starttime",
    "startretries",
    "start_timeout",
    "autorestart",
    "ready",
    "health",
    "update",
    "recycle",
    "post_start",
    "pre_restart",
)
"""Keys of a one-shot that only the program itself can set."""
OF_READY = ("starttime",)
"""Keys of a service with `ready` that only the program itself can set."""


NOT_OF_JOBS = {
    "ready": "a oneshot is never ready but done; remove ready",
    "health": "a oneshot is never healthy but done; remove health",
    "update": "a oneshot is never up but done; remove update",
    "recycle": "a oneshot ends by itself, and is not restarted; remove recycle",
    "post_start": "a oneshot is never ready but done; use post_stop, or another oneshot that depends on it",
    "pre_restart": "a oneshot that runs is ended before it runs again; use pre_start",
}
"""Why a one-shot has not these keys."""


class Layer(Record):
    """A mapping of program keys and its place in messages: `defaults`, `templates.slow`, `programs.web`; `ignored` are other keys."""

    place: str
    node: Node
    ignored: tuple[str, ...] = ()


class Scope(Record):
    """What all programs of one configuration share: CONFIG_DIR, the host, the default account.

    `account` is None for the daemon's own; `uid` is the daemon's uid once it has become its configured user.
    """

    directory: str
    surroundings: Surroundings
    report: Report
    account: User | None
    uid: int
    log_dir_given: bool
    env_files: EnvFiles


class Program:
    """A decoded program with the nodes of its keys, and of its variables (`env.NAME`), for later checks."""

    __slots__ = ("account", "config", "key", "nodes")

    def __init__(self, config: ProgramConfig, key: Node, nodes: Mapping[str, Node], account: User | None) -> None:
        self.config = config
        self.key = key
        self.nodes = nodes
        self.account = account

    def at(self, key: str) -> Node:
        """Return the node of that key's value, or the program's name if the key is not written."""
        return self.nodes.get(key, self.key)

    def place(self, key: str) -> str:
        """Return the place of that key in messages."""
        return f"programs.{self.config.name}.{key}"


def check_keys(layer: Layer, report: Report) -> None:
    """Report unknown keys."""
    entries = layer.node.entries
    known = (*PROGRAM_TABLE, *EXTRA_TABLE, *layer.ignored)
    unknown = [name for name in entries if name not in known]
    if "env" in entries and entries["env"][1].is_empty():
        variables = [name for name in unknown if name.isupper() and name.isidentifier()]
        unknown = [name for name in unknown if name not in variables]
        if variables:
            reason = f"{names_text(variables)} stand beside env: instead of below it; indent them by two more blanks"
            report.error(entries[variables[0]][0], f"{layer.place}.env", reason)
    for name in unknown:
        inside = [key for key in entries[name][1].entries if key in PROGRAM_KEYS]
        verb = "belongs" if len(inside) == 1 else "belong"
        meant = f"{names_text(inside)} {verb} directly below the program" if inside else _meant(name, entries)
        if not meant and cut_by_a_comma(*entries[name]):
            meant = "inside { } a comma ends a value: quote one that has a comma"
        elif not meant and report.is_first("the keys of a program"):
            meant = key_list(PROGRAM_KEYS)
        report.error(entries[name][0], f"{layer.place}.{name}", f"unknown key; {meant}" if meant else "unknown key")


def _meant(name: str, entries: Container[str]) -> str:
    """Return what an unknown key was probably meant to be, or ""."""
    known = unknown_key(name, PROGRAM_KEYS, PROGRAM_WORDS)
    guess = "" if known else invented(squash(name), entries) or misspelt(name, PROGRAM_WORDS)
    return f"did you mean {guess}?" if guess else known


def names_text(names: Sequence[str]) -> str:
    """Return the first names for a message, quoted, and how many more there are."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(map(quoted, names[:SHOWN_NAMES])) + more


def check_defaults(layer: Layer, scope: Scope) -> None:
    """Report problems in `defaults:`, even if no program uses it."""
    check_keys(layer, scope.report)
    for name, (key, _) in layer.node.entries.items():
        if (name in PROGRAM_TABLE and not PROGRAM_TABLE[name].shared) or name in EXTRA_TABLE:
            reason = f"{name} cannot be a default of all programs; write it at each program that it is for"
            scope.report.error(key, f"{layer.place}.{name}", reason)
    check_values((layer,), scope)


def check_values(layers: Sequence[Layer], scope: Scope) -> None:
    """Report wrong values in layers that no program uses."""
    _values("program", layers, scope)


def decode_program(name: str, key: Node, layers: Sequence[Layer], scope: Scope) -> Program | None:
    """Return the program, or None if it has no usable cmd, which is reported. `layers` are weakest first."""
    check_keys(layers[-1], scope.report)
    values, nodes = _values(name, layers, scope)
    if "cmd" not in nodes:
        scope.report.error(key, f"programs.{name}", "cmd is missing: the command line to run")
    if not values.get("cmd"):
        return None
    _fill_streams(values, scope)
    own = _places(layers)
    _fill_terminal(own, values, nodes, scope.report)
    _fill_logs(own, values, nodes)
    if values.get("schedule"):
        _fill_type(own, values, nodes, scope.report)
    _fill_start(own, values, nodes, scope.report)
    account, refusal = _account(name, values, nodes, scope)
    if "workingdir" not in values:
        values["workingdir"] = _workingdir(name, key, account, refused=bool(refusal), scope=scope)
    values["sockets"], options = socket_rows(values.get("sockets", ()))
    changed = {name: value for name, value in values.items() if value != PROGRAM_TABLE[name].default}
    if options:
        changed["socket_options"] = options
    if refusal:
        changed["refusal"] = refusal
    return Program(ProgramConfig.of(name=name, **changed), key, nodes, account)


def _known_entries(layer: Layer) -> Iterator[tuple[str, str, Node]]:
    """Yield (key, key as written, value). Keys of other tools are already reported; their values are checked too."""
    entries = layer.node.entries
    is_default = layer.place == DEFAULTS
    for name, (_, value) in entries.items():
        key = name if name in PROGRAM_TABLE else called(name, PROGRAM_KEYS, PROGRAM_WORDS)
        if not key and _meant(name, entries) == "did you mean cmd?":
            key = "cmd"  # or "cmd is missing" would be reported, too
        if key not in PROGRAM_TABLE or (is_default and not PROGRAM_TABLE[key].shared):
            continue
        if key == name or (key not in entries and name not in layer.ignored):
            yield key, name, value


def _places(layers: Sequence[Layer]) -> dict[str, str]:
    """Return the place of each key that the program writes itself or takes from a template, and not from `defaults:`."""
    chosen = [layer for layer in layers if layer.place != DEFAULTS]
    return {key: f"{layer.place}.{key}" for layer in chosen for key, _, _ in _known_entries(layer)}


def _values(name: str, layers: Sequence[Layer], scope: Scope) -> tuple[dict[str, Any], dict[str, Node]]:
    """Return the decoded values and their nodes, by key."""
    own = {"TASKMASTER_PROGRAM": name, "TASKMASTER_INSTANCE": INSTANCE, "CONFIG_DIR": scope.directory}
    entries = {key: (f"{layer.place}.{name}", value) for layer in layers for key, name, value in _known_entries(layer)}
    environment, signals = scope.surroundings.environment, scope.surroundings.signals
    quiet = Decoding(Variables(environment, own), scope.directory, signals)
    files = entries["env_file"][1] if "env_file" in entries else None
    names = Variables(environment, own, partial(defined_in, files, quiet, scope.env_files))
    context = Decoding(names, scope.directory, signals)
    values: dict[str, Any] = {}
    nodes = {key: node for key, (_, node) in entries.items()}
    # `shell` decides how cmd is read, and `sockets` is what it may name, so these come first; a stronger layer's cmd meets
    # a weaker layer's shell.
    for key in sorted(entries, key=lambda each: each not in ("shell", "sockets")):
        place, node = entries[key]
        if key == "env":
            variables = merged_variables(_nodes_of(key, layers), scope.report)
            values[key] = decoded_variables(variables, context, scope.report)
            nodes.update((f"env.{name}", value) for name, (_, value) in variables.items())
            continue
        if key == "rlimits":
            values[key] = _rlimits(layers, context, scope.report)
            continue
        if node.kind == SCALAR and PROGRAM_TABLE[key].kind in MAPS and not place.endswith(f".{key}"):
            continue  # another tool's key: one mistake, and that is reported
        value = decode_value(PROGRAM_TABLE[key], node, context, place, scope.report)
        if value is not None:
            values[key] = value
        if key == "sockets" and value:
            own.update({variable(each): str(number) for each, number in descriptors(value).items()})
        context.shell = values.get("shell", False)
    return values, nodes


def _nodes_of(wanted: str, layers: Sequence[Layer]) -> Iterator[tuple[str, Node]]:
    """Yield place and node of a key in each layer that has it."""
    return (
        (f"{layer.place}.{wanted}", value)
        for layer in layers
        for key, _, value in _known_entries(layer)
        if key == wanted
    )


def _rlimits(layers: Sequence[Layer], context: Decoding, report: Report) -> tuple[str, ...]:
    """Return the limits of all layers; of each the strongest layer decides."""
    key = PROGRAM_TABLE["rlimits"]
    nodes = _nodes_of("rlimits", layers)
    return merged_rlimits(decode_value(key, node, context, place, report) or () for place, node in nodes)


def _fill_streams(values: dict[str, Any], scope: Scope) -> None:
    """Send omitted streams to the container's output if the daemon is PID 1 and has no log_dir."""
    if scope.surroundings.pid1 and not scope.log_dir_given:
        values.setdefault("stdout", INHERIT)
        values.setdefault("stderr", INHERIT)


def _fill_terminal(own: Mapping[str, str], values: dict[str, Any], nodes: dict[str, Node], report: Report) -> None:
    """Lead both streams of a program with a terminal to one place, and report what it cannot have.

    `own` are the places of keys. What `defaults:` says about streams is meant for the others.
    """
    if not values.get("tty"):
        return
    if "stderr" in own and values.get("stderr", SAME_AS_STDOUT) != SAME_AS_STDOUT:
        reason = "a terminal has one stream for both; remove stderr, or write stderr: stdout"
        report.error(nodes["stderr"], own["stderr"], reason)
    if "log_format" not in own:
        values.pop("log_format", None)
    elif values.get("log_format", RAW) != RAW:
        reason = "a terminal's log holds what it shows, byte for byte; remove log_format"
        report.error(nodes["log_format"], own["log_format"], reason)
    if "stdin" in own and values.get("stdin", DISCARD) != DISCARD:
        report.error(nodes["stdin"], own["stdin"], "its terminal is what it reads; remove stdin")
    values["stderr"] = SAME_AS_STDOUT
    values.pop("stdin", None)


def _fill_logs(own: Mapping[str, str], values: dict[str, Any], nodes: dict[str, Node]) -> None:
    """Leave out what `defaults:` says about logs where nothing is written to one; `own` are the places of keys."""
    stdout, stderr = values.get("stdout", ""), values.get("stderr", "")
    targets = (stdout, stdout if stderr == SAME_AS_STDOUT else stderr)
    if not all(each == DISCARD or is_elsewhere(each) for each in targets):
        return
    levels = any(each.partition(" ")[0] == SYSLOG for each in targets)
    for key in [each for each in nodes if each.startswith("log_") and each not in own]:
        if key != "log_levels" or not levels:
            values.pop(key, None)
            del nodes[key]


def _fill_type(own: Mapping[str, str], values: dict[str, Any], nodes: dict[str, Node], report: Report) -> None:
    """Make a one-shot of what has a schedule."""
    if "type" in own and values.get("type") == SERVICE:
        report.error(nodes["type"], own["type"], "what has a schedule is a oneshot; remove type")
    values["type"] = ONESHOT


def _fill_start(own: Mapping[str, str], values: dict[str, Any], nodes: dict[str, Node], report: Report) -> None:
    """Give a one-shot, and what has `ready`, defaults of its own, and report what does not go together.

    `own` are the places of keys. What `defaults:` says about starts is meant for services, which are most programs.
    """
    job = values.get("type") == ONESHOT
    for key in OF_JOBS if job else OF_READY if values.get("ready") else ():
        if key not in own:
            values.pop(key, None)
            nodes.pop(key, None)
    if job:
        values.setdefault("starttime", 0.0)
        values.setdefault("startretries", 0)
        values.setdefault("start_timeout", 0.0)
        if values.get("autorestart", UNEXPECTED) != UNEXPECTED:
            reason = "a oneshot runs once, and a failed run is tried again as startretries says; remove autorestart"
            report.error(nodes["autorestart"], own["autorestart"], reason)
        for key, reason in NOT_OF_JOBS.items():
            if values.get(key):
                report.error(nodes[key], own[key], reason)
    elif values.get("ready"):
        values.setdefault("starttime", 0.0)
    elif (
        "start_timeout" in own
        and "start_timeout" in values
        and not (values.get("post_start") or reads_files(values.get("env_file"), values.get("env")))
    ):
        reason = "has no effect without ready or post_start"
        report.warn(nodes["start_timeout"], own["start_timeout"], reason)


def _account(name: str, values: dict[str, Any], nodes: dict[str, Node], scope: Scope) -> tuple[User | None, str]:
    """Return the account the program runs as (None: the daemon's) and why it cannot, or ""."""
    account, problem, key = scope.account, "", "user"
    wanted = values.get("user")
    if wanted is not None:
        account = scope.surroundings.user(wanted)
        if account is None:
            uid, colon, gid = wanted.partition(":")
            hint = f"; write user: {uid} and group: {gid}" if colon else ""
            problem = f"there is no user {quoted(wanted)}{hint}"
        elif scope.uid not in (0, account.uid):
            problem = (
                f"only root can run a program as another user, {quoted(wanted)}; taskmasterd runs it as uid {scope.uid}"
            )
    if values.get("group") is not None and not problem:
        key, problem = "group", _group_problem(values["group"], account, scope)
    if problem:
        tell = scope.report.warn if scope.surroundings.lenient_users else scope.report.error
        tell(nodes[key], f"programs.{name}.{key}", problem)
    return account, problem


def _group_problem(wanted: str, account: User | None, scope: Scope) -> str:
    gid = scope.surroundings.group(wanted)
    if gid is None:
        return f"there is no group {quoted(wanted)}"
    own = account.gid if account is not None else scope.surroundings.gid
    if scope.uid != 0 and gid != own:
        return f"only root can run a program with another group, {quoted(wanted)}"
    return ""


def _workingdir(name: str, key: Node, account: User | None, *, refused: bool, scope: Scope) -> str:
    """Return the default: the configuration's directory, or /, with a warning, if the user may not enter it."""
    if refused or scope.surroundings.may_enter(scope.directory, account):
        return scope.directory
    who = account.name if account is not None else f"uid {scope.uid}"
    reason = f"it runs in /, because {who} may not enter {scope.directory}; set workingdir to choose a directory"
    scope.report.warn(key, f"programs.{name}.workingdir", reason)
    return "/"

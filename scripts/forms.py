"""The forms in which values of each kind may be written, as JSON schemas; `schema` puts them together.

Editors read YAML 1.2, where `yes` is a text and `022` a number, so booleans may be words and a umask may be either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.forms_of_restarts import recycle_forms, watch_forms, words_pattern
from scripts.schedule_forms import schedule_forms, update_forms
from taskmaster_common.commands.table import ADMIN, LEVELS
from taskmaster_common.config.alerts.words import WORDS
from taskmaster_common.config.elsewhere import NAMES
from taskmaster_common.config.graph import CONDITIONS
from taskmaster_common.config.keys import Key
from taskmaster_common.config.limits import OOM_WORDS, RLIMITS
from taskmaster_common.config.words import DISCARD, FILE, SAME_AS_STDOUT
from taskmaster_common.schema.advice.foreign import STREAM_PREFIXES, STREAM_WORDS
from taskmaster_common.schema.values.alerts.destinations import FORMATS, LOG_FACILITIES, METHODS, TLS
from taskmaster_common.schema.values.health import ACTIONS, MOST_COUNT
from taskmaster_common.schema.values.kinds import NEVER_IN_ENV
from taskmaster_common.schema.values.limits import MOST_CPUS, MOST_WEIGHT, UNLIMITED_WORDS
from taskmaster_common.schema.values.ready import WORDS as READY_WORDS
from taskmaster_common.schema.values.scalars import FALSE_WORDS, TRUE_WORDS
from taskmaster_common.schema.values.sockets import MOST as MOST_SOCKETS
from taskmaster_common.schema.values.sockets import MOST_BACKLOG
from taskmaster_common.schema.values.sockets import MOST_NAME as MOST_SOCKET_NAME
from taskmaster_common.schema.values.tty import MOST as MOST_CELLS
from taskmaster_common.text.names import ALL, MAX_NAME
from taskmaster_common.text.units import MAX_SECONDS, MAX_SIZE

Schema = dict[str, Any]

SIGNALS = (
    *("ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "EMT", "FPE", "HUP", "ILL", "INFO", "INT", "IO", "IOT", "KILL"),
    *("PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP"),
    *("TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ"),
)
"""Of all systems together: the file does not depend on where it was made. Source: signal(7), FreeBSD's signal(3)."""

REAL_TIME = "[Rr][Tt](?:[Mm][Ii][Nn][+]|[Mm][Aa][Xx]-)(?:[12]?[0-9]|30)"

VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
"""Every value may be made of variables, which only the daemon knows."""
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
VALUE: Schema = {"type": [*SCALAR["type"], "null"]}
"""Of a variable."""
NUMBER = "[0-9]+(?:[.][0-9]+)?"
UNITS = ("d", "h", "m", "s", "ms")
SECONDS = f"^(?:{NUMBER}|(?=.){''.join(f'(?:{NUMBER}{unit})?' for unit in UNITS)})$"
SIZE = f"^(?:[0-9]+|{NUMBER} *(?:[kKmMgGtT][iI]?)?[bB])$"
OCTAL = "^(?:0[oO])?0*[0-7]{1,3}$"
NAME = f"^(?!{ALL}$)[A-Za-z0-9_@+][A-Za-z0-9_.@+-]{{0,{MAX_NAME - 1}}}$"


INHERITED = r"^[^=\s,*?0-9][^=\s,*?]*$|\$\{"
"""Of inherited variables."""


BOOLEAN: list[Schema] = [
    {"type": "boolean"},
    {"enum": [*TRUE_WORDS, *FALSE_WORDS]},
    {"type": "string", "pattern": f"^{words_pattern(TRUE_WORDS + FALSE_WORDS)}$"},
]


def _whole(key: Key) -> Schema:
    return {"type": "integer", "minimum": key.least, "maximum": key.most}


def _exit_codes(key: Key) -> list[Schema]:
    return [_whole(key), {"type": "array", "items": {"anyOf": [_whole(key), VARIABLE]}}]


def _stream(key: Key) -> list[Schema]:
    refused = "|".join(sorted({SAME_AS_STDOUT, "stderr"} - set(key.words)))
    foreign = f"{words_pattern(tuple(STREAM_WORDS))}(?:[+][^/]*)?|(?:{'|'.join(STREAM_PREFIXES)}).*"
    names = {name for each in NAMES.values() for name in each}
    by_stream = whole_map(dict.fromkeys(("stdout", "stderr"), SCALAR))
    inner = whole_map({**dict.fromkeys(sorted(names), SCALAR), "severity": {"anyOf": [SCALAR, by_stream]}})
    maps = whole_map(dict.fromkeys(NAMES, inner), minProperties=1, maxProperties=1)
    words = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}
    command = whole_map({"pipe": words, "shell": {"anyOf": [*BOOLEAN, VARIABLE]}}, required=["pipe"])
    return [
        {"type": "null"},
        {"enum": list(key.words)},
        maps,
        *([command] if DISCARD in key.words else []),
        {**TEXT, "not": {"pattern": f"^(?:{refused}|{foreign})$"}},
    ]


def _variables(_key: Key) -> list[Schema]:
    names = {"pattern": "^[^=]+$", "not": {"enum": list(NEVER_IN_ENV)}}
    return [{"type": ["object", "null"], "propertyNames": names, "additionalProperties": VALUE}]


def _environment(key: Key) -> list[Schema]:
    value = {"anyOf": [VALUE, whole_map({FILE: TEXT}, required=[FILE])]}
    return [{**form, "additionalProperties": value} for form in _variables(key)]


TEXT: Schema = {"type": "string", "minLength": 1}
TARGET: Schema = {"type": ["string", "integer"], "minLength": 1}
"""The name of a program, which may look like a number."""


def _dependencies(_key: Key) -> list[Schema]:
    rules = {
        "condition": {"enum": list(CONDITIONS)},
        "required": {"anyOf": [*BOOLEAN, VARIABLE]},
        "restart": {"anyOf": [*BOOLEAN, VARIABLE]},
    }
    edge = {"type": "object", "properties": rules, "additionalProperties": False}
    edges = {"type": "object", "additionalProperties": {"anyOf": [{"enum": list(CONDITIONS)}, VARIABLE, edge]}}
    return [TARGET, {"type": "array", "items": TARGET}, edges]


def _asked() -> dict[str, Schema]:
    """Return the ways in which a program is asked, of `ready` and `health`."""
    command = [TEXT, {"type": "array", "items": SCALAR, "minItems": 1}]
    return {
        "exec": {"anyOf": [*command, {"type": "object", "required": ["cmd"]}]},
        "http": {"anyOf": [TEXT, {"type": "object", "required": ["url"]}]},
        "tcp": {"anyOf": [TEXT, {"type": "integer", "minimum": 1, "maximum": 65535}]},
        "unix": TEXT,
    }


def _probe(ways: Schema, limits: Schema) -> Schema:
    """Return a map with exactly one of these ways, and perhaps limits."""
    one_way = {"oneOf": [{"required": [way]} for way in ways]}
    return {"type": "object", "properties": {**ways, **limits}, "additionalProperties": False, **one_way}


def _seconds(key: Key) -> Schema:
    return {"anyOf": [*FORMS["seconds"](key), VARIABLE]}


def _ready(key: Key) -> list[Schema]:
    announced = {"fd": {"anyOf": [{"type": "integer", "minimum": 3, "maximum": 255}, VARIABLE]}, "log": TEXT}
    limits = {"interval": _seconds(key), "timeout": _seconds(key)}
    return [{"enum": list(READY_WORDS)}, _probe({**announced, **_asked()}, limits)]


def _health(key: Key) -> list[Schema]:
    count = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_COUNT}, VARIABLE]}
    limits = {
        **{name: _seconds(key) for name in ("interval", "timeout", "start_period")},
        **dict.fromkeys(("retries", "successes"), count),
        "action": {"anyOf": [{"enum": list(ACTIONS)}, {"type": "string", "pattern": "^signal +[^ ]"}, VARIABLE]},
    }
    return [_probe({**_asked(), "watchdog": _seconds(key)}, limits)]


def _schedule(key: Key) -> list[Schema]:
    return schedule_forms([*FORMS["seconds"](key), VARIABLE], [*BOOLEAN, VARIABLE], VARIABLE)


def _history(key: Key) -> list[Schema]:
    limits = {name: {"anyOf": [*FORMS[kind](key), VARIABLE]} for name, kind in (("size", "size"), ("age", "seconds"))}
    return [{"enum": [0]}, {"type": "object", "properties": limits, "additionalProperties": False}]


def whole_map(parts: dict[str, Schema], **more: Any) -> Schema:
    """Return the form of a map that has these parts and no others."""
    return {"type": "object", "properties": parts, "additionalProperties": False, **more}


def _alert_command(key: Key) -> list[Schema]:
    command = FORMS["command"](key)
    return [
        *command,
        whole_map({"cmd": {"anyOf": command}, "shell": {"anyOf": [*BOOLEAN, VARIABLE]}}, required=["cmd"]),
    ]


def _mail(_key: Key) -> list[Schema]:
    address: Schema = {"anyOf": [{"type": "string", "pattern": "@"}, VARIABLE]}
    parts: dict[str, Schema] = {
        "to": {"anyOf": [address, {"type": "array", "items": address, "minItems": 1}]},
        "from": address,
        "server": TEXT,
        "tls": {"anyOf": [{"enum": list(TLS)}, *BOOLEAN, VARIABLE]},
        "auth": whole_map({"user": TEXT, "password_file": TEXT}, required=["user", "password_file"]),
        "ca": TEXT,
        "insecure": {"anyOf": [*BOOLEAN, VARIABLE]},
        "sendmail": {"anyOf": [*BOOLEAN, TEXT]},
    }
    return [whole_map(parts, required=["to"])]


def _http(_key: Key) -> list[Schema]:
    headers: Schema = {"type": "object", "additionalProperties": SCALAR}
    parts: dict[str, Schema] = {
        "url": {"type": "string", "pattern": r"^[hH][tT][tT][pP][sS]?://|\$\{"},
        "url_file": TEXT,
        "format": {"anyOf": [{"enum": list(FORMATS)}, VARIABLE]},
        "method": {"anyOf": [{"enum": list(METHODS)}, VARIABLE]},
        "headers": headers,
        "header_files": headers,
        "body": TEXT,
        "ca": TEXT,
    }
    return [whole_map(parts, oneOf=[{"required": ["url"]}, {"required": ["url_file"]}])]


def _syslog(_key: Key) -> list[Schema]:
    to: Schema = {"anyOf": [{"type": "string", "pattern": "^(?:unix:/|udp:|tcp:)"}, VARIABLE]}
    parts = {"to": to, "facility": {"anyOf": [{"enum": list(LOG_FACILITIES)}, VARIABLE]}, "tag": TEXT}
    return [*to["anyOf"], whole_map(parts, required=["to"])]


def _events(_key: Key) -> list[Schema]:
    word: Schema = {"anyOf": [{"enum": list(WORDS)}, {"type": "string", "pattern": r"[*?\[]|^all$"}, VARIABLE]}
    return [word, {"type": "array", "items": word, "minItems": 1}]


def _tty(_key: Key) -> list[Schema]:
    count = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_CELLS}, VARIABLE]}
    parts: dict[str, Schema] = {"rows": count, "cols": count, "term": TEXT}
    return [*BOOLEAN, {"type": "object", "properties": parts, "additionalProperties": False}]


def _rlimits(key: Key) -> list[Schema]:
    words: Schema = {"enum": list(UNLIMITED_WORDS)}
    amount = [{"type": "integer", "minimum": 0}, *FORMS["seconds"](key)[1:], *FORMS["size"](key)[1:], words, VARIABLE]
    pair = [{"anyOf": amount}, {"anyOf": [*amount, {"type": "null"}]}]
    limit = {"anyOf": [*amount, {"type": "array", "items": pair, "minItems": 2, "maxItems": 2}]}
    return [{"type": "object", "propertyNames": {"enum": list(RLIMITS)}, "additionalProperties": limit}]


def _limits(key: Key) -> list[Schema]:
    size = {"anyOf": [*FORMS["size"](key), VARIABLE]}
    cores = [{"type": "number", "minimum": 0.01, "maximum": MOST_CPUS}, {"type": "string", "pattern": "^[0-9]{1,3}%$"}]
    parts: dict[str, Schema] = {
        **dict.fromkeys(("memory", "memory_high", "swap"), size),
        "cpu": {"anyOf": [*cores, VARIABLE]},
        "cpu_weight": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_WEIGHT}, VARIABLE]},
        "tasks": {"anyOf": [{"type": "integer", "minimum": 1}, VARIABLE]},
        "oom": {"anyOf": [{"enum": list(OOM_WORDS)}, VARIABLE]},
        "required": {"anyOf": [*BOOLEAN, VARIABLE]},
    }
    return [{"type": "object", "properties": parts, "additionalProperties": False}]


def _processors(_key: Key) -> list[Schema]:
    run = "[0-9]{1,4}(?:-[0-9]{1,4})?"
    runs: list[Schema] = [
        {"type": "integer", "minimum": 0, "maximum": MOST_CPUS - 1},
        {"type": "string", "pattern": f"^{run}(?:, *{run})*$"},
    ]
    return [*runs, {"type": "array", "items": {"anyOf": [*runs, VARIABLE]}, "minItems": 1}]


def _hook(_key: Key) -> list[Schema]:
    command = FORMS["command"](_key)
    parts: dict[str, Schema] = {
        "cmd": {"anyOf": command},
        "shell": {"anyOf": [*BOOLEAN, VARIABLE]},
        "timeout": {"anyOf": [*FORMS["seconds"](_key), VARIABLE]},
        "user": SCALAR,
    }
    return [*command, {"type": "object", "properties": parts, "required": ["cmd"], "additionalProperties": False}]


ADDRESS = (
    r"^(?:unix:[^/]|unix:/[^/]|@.|(?!(?:tcp|udp|unix):)(?!.*://).*/"
    r"|(?:udp:)?(?:|localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$)"
)


def _sockets(_key: Key) -> list[Schema]:
    address = [{"type": "string", "pattern": ADDRESS}, VARIABLE]
    parts = {
        "listen": {"anyOf": address},
        "backlog": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST_BACKLOG}, VARIABLE]},
        "mode": {"anyOf": [*FORMS["octal"](_key), VARIABLE]},
        "user": {"anyOf": FORMS["account"](_key)},
        "group": {"anyOf": FORMS["account"](_key)},
    }
    names = {"pattern": f"^[A-Za-z0-9_]{{1,{MOST_SOCKET_NAME}}}$"}
    one = {"anyOf": [*address, whole_map(parts, required=["listen"])]}
    return [{"type": "object", "propertyNames": names, "additionalProperties": one, "maxProperties": MOST_SOCKETS}]


def _roles(_key: Key) -> list[Schema]:
    accounts = {"anyOf": [TARGET, {"type": "array", "items": TARGET}]}
    parts = {
        "users": accounts,
        "groups": accounts,
        "level": {"anyOf": [{"enum": list(LEVELS)}, VARIABLE]},
        "programs": accounts,
    }
    of_all = {"if": {"properties": {"level": {"const": ADMIN}}}, "then": {"properties": {"programs": False}}}
    somebody = {"anyOf": [{"required": ["users"]}, {"required": ["groups"]}]}
    role = {"type": "object", "properties": parts, "required": ["level"], "additionalProperties": False}
    names = {"propertyNames": {"pattern": NAME}}
    return [{"type": "object", **names, "additionalProperties": {**role, **of_all, **somebody}}]


FORMS: dict[str, Callable[[Key], list[Schema]]] = {
    "boolean": lambda _key: BOOLEAN,
    "autorestart": lambda key: [{"enum": list(key.words)}, *BOOLEAN],
    "boolean or word": lambda key: [*BOOLEAN, {"enum": [word for word in key.words if word not in ("true", "false")]}],
    "choice": lambda key: [{"enum": list(key.words)}],
    "whole": lambda key: [_whole(key)],
    "exit codes": _exit_codes,
    "log prefix": lambda _key: [SCALAR],
    "octal": lambda _key: [{"type": "integer", "minimum": 0, "maximum": 777}, {"type": "string", "pattern": OCTAL}],
    "seconds": lambda _key: [
        {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
        {"type": "string", "pattern": SECONDS},
    ],
    "size": lambda _key: [
        {"type": "integer", "minimum": 0, "maximum": MAX_SIZE},
        {"type": "string", "pattern": SIZE},
    ],
    "signal": lambda _key: [
        {"enum": list(SIGNALS)},
        {"type": "integer", "minimum": 1, "maximum": 128},
        {
            "type": "string",
            "pattern": f"^(?:[Ss][Ii][Gg])?(?:{words_pattern(SIGNALS)}|{REAL_TIME})$|^[0-9]{{1,3}}$",
        },
    ],
    "account": lambda _key: [TEXT, {"type": "integer", "minimum": 0}],
    "control group": lambda _key: [TEXT],
    "path": lambda _key: [TEXT],
    "socket": lambda _key: [TEXT],
    "environment": _environment,
    "event log": lambda key: _stream(key)[1:],
    "stream": _stream,
    "input": lambda key: [
        {"type": "null"},
        {"enum": list(key.words)},
        {"type": "string", "pattern": "/"},
        whole_map({"socket": TEXT}, required=["socket"]),
    ],
    "cleared": lambda _key: [
        *BOOLEAN,
        {"type": "array", "items": {"type": ["string", "boolean"], "pattern": INHERITED}},
    ],
    "sockets": _sockets,
    "command": lambda _key: [{"type": "string", "pattern": r"\S"}, {"type": "array", "items": SCALAR, "minItems": 1}],
    "variable files": lambda _key: [TEXT, {"type": "array", "items": SCALAR}],
    "variables": _variables,
    "dependencies": _dependencies,
    "ready": _ready,
    "health": _health,
    "update": lambda key: update_forms({"anyOf": [*FORMS["seconds"](key), VARIABLE]}, VARIABLE),
    "recycle": lambda key: recycle_forms(_seconds(key), {"anyOf": [*FORMS["size"](key), VARIABLE]}, TEXT, VARIABLE),
    "watch": lambda key: watch_forms(
        _seconds(key), {"anyOf": [*BOOLEAN, VARIABLE]}, words_pattern(TRUE_WORDS + FALSE_WORDS)
    ),
    "history": _history,
    "schedule": _schedule,
    "roles": _roles,
    "rlimits": _rlimits,
    "processors": _processors,
    "limits": _limits,
    "hook": _hook,
    "alert command": _alert_command,
    "events": _events,
    "http": _http,
    "mail": _mail,
    "rate": lambda _key: [{"type": "string", "pattern": "^[1-9][0-9]*/"}],
    "syslog": _syslog,
    "targets": lambda _key: [TARGET, {"type": "array", "items": TARGET, "minItems": 1}],
    "templates": lambda _key: [TARGET, {"type": "array", "items": TARGET}],
    "tty": _tty,
    "text": lambda _key: [SCALAR],
}
"""The forms in which a value of each kind may be written."""
ANY_TEXT = (
    "account",
    "control group",
    "path",
    "socket",
    "stream",
    "event log",
    "command",
    "hook",
    "variables",
    "environment",
    "text",
    "log prefix",
)
"""The kinds that accept every text, so also one with variables."""

"""Print config/taskmaster.schema.json, the JSON schema (draft-07) of a configuration, for editors.

    python -m scripts.schema >config/taskmaster.schema.json

Keys, kinds, bounds and words come from the decoder's table, defaults from config.py; only what a reader is told about a
key stands here. The schema never refuses what the daemon accepts in the form of a text, a number or a list; what only
the daemon can know (users, files, what a variable holds) is not its business. Editors read YAML 1.2, where `yes` is a text
and `022` a number, so booleans may be words and a umask may be either.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from taskmaster_common.config import LEADER, SAME_AS_STDOUT, DaemonConfig, ProgramConfig
from taskmaster_common.schema.advice.foreign import STREAM_PREFIXES, STREAM_WORDS
from taskmaster_common.schema.values import (
    DAEMON_KINDS,
    FALSE_WORDS,
    NEVER_IN_ENV,
    PROGRAM_KINDS,
    TRUE_WORDS,
    Kind,
)
from taskmaster_common.text.names import ALL, MAX_NAME
from taskmaster_common.text.units import MAX_SECONDS, MAX_SIZE, format_size

Schema = dict[str, Any]

SIGNALS = (
    *("ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "EMT", "FPE", "HUP", "ILL", "INFO", "INT", "IO", "IOT", "KILL"),
    *("PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP"),
    *("TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ"),
)
"""Of all systems together: the file does not depend on where it was made. Source: signal(7), FreeBSD's signal(3)."""

REAL_TIME = "[Rr][Tt](?:[Mm][Ii][Nn][+]|[Mm][Aa][Xx]-)(?:[12]?[0-9]|30)"

PROGRAM_TEXTS = {
    "cmd": "The command line: split into words as a shell does and run without a shell; or a list of words.",
    "numprocs": "How many instances run.",
    "umask": "Octal, however written. Without it the daemon's.",
    "workingdir": "The directory it runs in. Without it the directory of the main configuration file.",
    "autostart": "Start it when the daemon starts, or when it is added by a reload.",
    "autorestart": "Start it again when it ends: always, never, or if the exit code is unexpected.",
    "exitcodes": "The expected exit codes, one or a list.",
    "startretries": "Tries after the first failed start.",
    "starttime": "Seconds it must stay up to count as started; 0: at once.",
    "stopsignal": "The signal that asks it to end: a name (TERM, SIGINT, RTMIN+3) or a number.",
    "stoptime": "Seconds from the stop signal to KILL.",
    "stdout": "A path, null to discard, inherit for the daemon's own. Without it a file in log_dir.",
    "stderr": "As stdout; the word stdout sends both to the same place.",
    "env": "Variables to set, values as written; null removes an inherited one.",
    "user": "Run as this user, name or uid; sets groups, HOME, USER, LOGNAME and SHELL too.",
    "group": "Run with this group, name or gid. Without it the user's.",
    "shell": "Run cmd by /bin/sh -c.",
    "description": "A text for status and show.",
    "stopasgroup": "Stop the whole process group and all descendants; leader: signal the leading process, then end what "
    "it leaves; false: the leading process alone.",
    "restart_delay": "Seconds before the first retry of a failed start; doubles with each.",
    "restart_max_delay": "The longest such delay.",
    "restart_burst": "So many restarts within restart_window go without a delay; 0: no limit.",
    "restart_window": "Seconds in which restart_burst counts; 0: no limit.",
    "log_maxbytes": "Rotate a log at this size; 0: never.",
    "log_backups": "How many rotated files are kept.",
}
DAEMON_TEXTS = {
    "socket": "The control socket.",
    "socket_mode": "Octal mode of the control socket; 0660 together with socket_group.",
    "socket_group": "Members of this group may control the daemon.",
    "pidfile": "The pid file. Without it the path of a configured socket + .pid.",
    "logfile": "The event log.",
    "loglevel": "The least important lines that the event log shows.",
    "log_dir": "Where the programs' default logs lie.",
    "state_dir": "Where the daemon keeps its state.",
    "user": "Become this user once socket, log and pid file are open.",
    "umask": "Octal, however written; the programs' default too.",
    "shutdown_timeout": "Seconds after which an orderly stop kills what is left.",
}

VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
"""Every value may be made of variables, which only the daemon knows."""
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
NUMBER = "[0-9]+(?:[.][0-9]+)?"
UNITS = ("d", "h", "m", "s", "ms")
SECONDS = f"^(?:{NUMBER}|(?=.){''.join(f'(?:{NUMBER}{unit})?' for unit in UNITS)})$"
SIZE = f"^(?:[0-9]+|{NUMBER} *(?:[kKmMgGtT][iI]?)?[bB])$"
OCTAL = "^(?:0[oO])?0*[0-7]{1,3}$"
NAME = f"^(?!{ALL}$)[A-Za-z0-9_@+][A-Za-z0-9_.@+-]{{0,{MAX_NAME - 1}}}$"


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.lower()}]" if letter.isalpha() else letter for letter in word.upper())


def _words(words: tuple[str, ...]) -> str:
    """Return a pattern for these words in any case."""
    return f"(?:{'|'.join(map(_any_case, words))})"


BOOLEAN: list[Schema] = [
    {"type": "boolean"},
    {"enum": [*TRUE_WORDS, *FALSE_WORDS]},
    {"type": "string", "pattern": f"^{_words(TRUE_WORDS + FALSE_WORDS)}$"},
]


def _whole(kind: Kind) -> Schema:
    return {"type": "integer", "minimum": kind.least, "maximum": kind.most}


def _exit_codes(kind: Kind) -> list[Schema]:
    return [_whole(kind), {"type": "array", "items": {"anyOf": [_whole(kind), VARIABLE]}}]


def _stream(kind: Kind) -> list[Schema]:
    refused = "|".join(sorted({SAME_AS_STDOUT, "stderr"} - set(kind.words)))
    foreign = f"{_words(tuple(STREAM_WORDS))}(?:[+][^/]*)?|(?:{'|'.join(STREAM_PREFIXES)}).*"
    return [{"type": "null"}, {"enum": list(kind.words)}, {**TEXT, "not": {"pattern": f"^(?:{refused}|{foreign})$"}}]


def _variables(_kind: Kind) -> list[Schema]:
    names = {"pattern": "^[^=]+$", "not": {"enum": list(NEVER_IN_ENV)}}
    values = {"type": [*SCALAR["type"], "null"]}
    return [{"type": ["object", "null"], "propertyNames": names, "additionalProperties": values}]


TEXT: Schema = {"type": "string", "minLength": 1}
SHAPES: dict[str, Callable[[Kind], list[Schema]]] = {
    "boolean": lambda _kind: BOOLEAN,
    "autorestart": lambda kind: [{"enum": list(kind.words)}, *BOOLEAN],
    "stop group": lambda _kind: [*BOOLEAN, {"enum": [LEADER]}],
    "choice": lambda kind: [{"enum": list(kind.words)}],
    "whole": lambda kind: [_whole(kind)],
    "exit codes": _exit_codes,
    "octal": lambda _kind: [{"type": "integer", "minimum": 0, "maximum": 777}, {"type": "string", "pattern": OCTAL}],
    "seconds": lambda _kind: [
        {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
        {"type": "string", "pattern": SECONDS},
    ],
    "size": lambda _kind: [
        {"type": "integer", "minimum": 0, "maximum": MAX_SIZE},
        {"type": "string", "pattern": SIZE},
    ],
    "signal": lambda _kind: [
        {"enum": list(SIGNALS)},
        {"type": "integer", "minimum": 1, "maximum": 128},
        {"type": "string", "pattern": f"^(?:{_any_case('SIG')})?(?:{_words(SIGNALS)}|{REAL_TIME})$|^[0-9]{{1,3}}$"},
    ],
    "account": lambda _kind: [TEXT, {"type": "integer", "minimum": 0}],
    "path": lambda _kind: [TEXT],
    "socket": lambda _kind: [TEXT],
    "stream": _stream,
    "command": lambda _kind: [{"type": "string", "pattern": r"\S"}, {"type": "array", "items": SCALAR, "minItems": 1}],
    "variables": _variables,
    "text": lambda _kind: [SCALAR],
}
"""For each shape of the decoder's table the forms in which a value may be written."""
ANY_TEXT = ("account", "path", "socket", "stream", "command", "variables", "text")
"""The shapes that accept every text, so also one with variables."""


def _property(kind: Kind, text: str, default: object) -> Schema:
    forms = SHAPES[kind.shape](kind) + ([] if kind.shape in ANY_TEXT else [VARIABLE])
    shown = default_value(kind, default)
    value = forms[0] if len(forms) == 1 else {"anyOf": forms}
    return {"description": text, **({} if shown is None else {"default": shown}), **value}


def default_value(kind: Kind, default: Any) -> Any:
    """Return a default as one would write it in the file, None where it is not one value for all."""
    if default is None or kind.shape in ("path", "stream", "command"):
        return None
    if kind.shape == "octal":
        return f"0{default:o}"
    if kind.shape == "seconds":
        return int(default) if default == int(default) else default
    if kind.shape == "size":
        return format_size(default)
    if kind.shape == "signal":
        return {15: "TERM"}[default]
    if kind.shape == "exit codes":
        return list(default) if len(default) != 1 else default[0]
    return dict(default) if kind.shape == "variables" else default


def schema() -> Schema:
    """Return the whole schema."""
    keys = {
        name: _property(kind, PROGRAM_TEXTS[name], getattr(ProgramConfig, name, None))
        for name, kind in PROGRAM_KINDS.items()
    }
    daemon = {
        name: _property(kind, DAEMON_TEXTS[name], getattr(DaemonConfig, name)) for name, kind in DAEMON_KINDS.items()
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Taskmaster configuration",
        "description": "Programs that taskmasterd keeps running; see taskmaster.yaml(5).",
        "type": "object",
        "definitions": {"program": {"type": "object", "properties": keys, "additionalProperties": False}},
        "properties": {
            "taskmasterd": {
                "description": "The daemon itself; all optional.",
                "type": ["object", "null"],
                "properties": daemon,
                "additionalProperties": False,
            },
            "defaults": {
                "description": "Any program key, for all programs of this file and of included ones.",
                "anyOf": [{"type": "null"}, {"$ref": "#/definitions/program"}],
            },
            "include": {
                "description": "More files with programs: and defaults:, relative to this file.",
                "anyOf": [{"type": "null"}, TEXT, {"type": "array", "items": TEXT}],
            },
            "programs": {
                "description": "Names and what they run.",
                "type": ["object", "null"],
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"$ref": "#/definitions/program"},
            },
        },
        "patternProperties": {"^x-": {"description": "Ignored: a home for anchors."}},
        "additionalProperties": False,
        "if": {"not": {"properties": {"defaults": {"required": ["cmd"]}}, "required": ["defaults"]}},
        "then": {"properties": {"programs": {"additionalProperties": {"required": ["cmd"]}}}},
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")

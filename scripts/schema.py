"""Make config/taskmaster.schema.json, the JSON schema (draft-07) of a configuration, for editors.

Keys, bounds, words, defaults and texts come from the table of keys. The schema never refuses what the daemon accepts as
a text, a number or a list. It does not check what only the daemon knows: users, files, values of variables.
"""

from __future__ import annotations

import json
from typing import Any

from scripts.forms import ANY_TEXT, FORMS, NAME, TARGET, TEXT, VARIABLE, Schema, whole_map
from taskmaster_common.config.alerts.keys import ALERT
from taskmaster_common.config.alerts.words import DESTINATIONS
from taskmaster_common.config.keys import DAEMON, EXTRA, FILES, PROGRAM, Key
from taskmaster_common.text.formats import format_size


def _property(key: Key) -> Schema:
    forms = FORMS[key.kind](key) + ([] if key.kind in ANY_TEXT else [VARIABLE])
    shown = default_value(key)
    value = forms[0] if len(forms) == 1 else {"anyOf": forms}
    return {"description": description(key), **({} if shown is None else {"default": shown}), **value}


def description(key: Key) -> str:
    """Return the key's text for editors, with its default where that is not one value for all."""
    text = key.text().replace("`", "")
    in_words = key.otherwise and key.otherwise != "required" and FILES not in key.otherwise
    return f"{text} Default: {key.otherwise}." if in_words else text


def default_value(key: Key) -> Any:
    """Return the default as one would write it in the file, None where it is not one value for all."""
    default: Any = key.default
    if key.otherwise:
        return None
    if key.kind == "octal":
        return f"0{default:o}"
    if key.kind == "seconds":
        return int(default) if default == int(default) else default
    if key.kind == "size":
        return format_size(default)
    if key.kind == "signal":
        return {15: "TERM"}[default]
    if key.kind == "exit codes":
        return list(default) if len(default) != 1 else default[0]
    return dict(default) if key.kind in ("variables", "environment") else default


def schema() -> Schema:
    """Return the whole schema."""
    keys = {key.name: _property(key) for key in (*PROGRAM, *EXTRA)}
    daemon = {key.name: _property(key) for key in DAEMON}
    rule = {key.name: _property(key) for key in ALERT}
    refused = {key.name: False for key in (*PROGRAM, *EXTRA) if not key.shared}
    *several, last = refused
    command = {"if": {"not": {"required": ["extends"]}}, "then": {"required": ["cmd"]}}
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
                "description": f"Any program key but {', '.join(several)} and {last}, for all programs of this file and of included ones.",
                "anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#/definitions/program"}, {"properties": refused}]}],
            },
            "include": {
                "description": "More files with programs:, groups:, alerts:, templates: and defaults:, relative to this file.",
                "anyOf": [{"type": "null"}, TEXT, {"type": "array", "items": TEXT}],
            },
            "templates": {
                "description": "Names and keys that programs, and other templates, take over with extends.",
                "type": ["object", "null"],
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"$ref": "#/definitions/program"},
            },
            "groups": {
                "description": "Names of several programs: lists of programs, patterns such as worker-* and other groups.",
                "type": ["object", "null"],
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"anyOf": [TARGET, {"type": "array", "items": TARGET}]},
            },
            "alerts": {
                "description": "Rules: which events are reported, and to whom.",
                "type": ["object", "null"],
                "propertyNames": {"pattern": NAME},
                "additionalProperties": whole_map(rule, oneOf=[{"required": [each]} for each in DESTINATIONS]),
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
        "then": {"properties": {"programs": {"additionalProperties": command}}},
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"

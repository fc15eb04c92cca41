"""The forms of `schedule` and `update`, as JSON schemas, see `forms`."""

from __future__ import annotations

from typing import Any

from taskmaster_common.config.schedule import AT, CRON, EVERY, OVERLAPS, WAYS
from taskmaster_common.schema.values.schedule import MOST_HISTORY, MOST_TIMES, NONE
from taskmaster_common.schema.values.update import MOST_AT_ONCE, ON_FAILURE

Schema = dict[str, Any]

CRON_LINE = r"^\s*(?:@[A-Za-z]+|\S+(?:\s+\S+){4})\s*$|\$\{"
MOMENT = r"^ *[0-9]{4}-|\$\{"


def schedule_forms(seconds: list[Schema], boolean: list[Schema], variable: Schema) -> list[Schema]:
    """Return the forms, made from those of a duration and of a boolean, and of a value made of variables."""
    crons, moments = (_one_or_more(pattern) for pattern in (CRON_LINE, MOMENT))
    parts = {
        CRON: crons,
        EVERY: {"anyOf": seconds},
        AT: moments,
        "timezone": {"type": "string", "minLength": 1},
        "jitter": {"anyOf": seconds},
        "overlap": {"anyOf": [{"enum": list(OVERLAPS)}, variable]},
        "catch_up": {"anyOf": seconds},
        "at_start": {"anyOf": boolean},
        "history": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST_HISTORY}, variable]},
    }
    ways = [{"required": [way]} for way in WAYS]
    whole = {"type": "object", "properties": parts, "additionalProperties": False, "oneOf": ways}
    return [{"enum": [NONE]}, *crons["anyOf"], whole]


def _one_or_more(pattern: str) -> Schema:
    text = {"type": "string", "pattern": pattern}
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": MOST_TIMES}]}


def update_forms(seconds: Schema, variable: Schema) -> list[Schema]:
    """Return the forms of `update`."""
    limits = {
        "max_unavailable": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_AT_ONCE}, variable]},
        "pause": seconds,
        "monitor": seconds,
        "on_failure": {"anyOf": [{"enum": list(ON_FAILURE)}, variable]},
    }
    return [{"type": "object", "properties": limits, "additionalProperties": False}]

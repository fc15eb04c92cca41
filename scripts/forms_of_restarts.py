"""The forms of `recycle` and `watch` in the JSON schema, made of those of other kinds."""

from __future__ import annotations

from typing import Any

from taskmaster_common.schema.values.recycle import MOST_SAMPLES, REASONS

Schema = dict[str, Any]


def words_pattern(words: tuple[str, ...]) -> str:
    """Return a pattern for these words in any case."""
    return f"(?:{'|'.join(map(_any_case, words))})"


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.lower()}]" if letter.isalpha() else letter for letter in word.upper())


def recycle_forms(seconds: Schema, size: Schema, text: Schema, variable: Schema) -> list[Schema]:
    """Return the forms of `recycle`."""
    limits = {
        "memory": size,
        "age": seconds,
        "cron": {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]},
        "timezone": text,
        "interval": seconds,
        "samples": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_SAMPLES}, variable]},
        "jitter": seconds,
    }
    given = [{"required": [each]} for each in REASONS]
    return [{"type": "object", "properties": limits, "additionalProperties": False, "anyOf": given}]


def watch_forms(seconds: Schema, boolean: Schema, truths: str) -> list[Schema]:
    """Return the forms of `watch`; `truths` is a pattern of the words for true and false, which are no paths."""
    text: Schema = {"type": ["string", "number"], "minLength": 1}
    texts = {"anyOf": [text, {"type": "array", "items": text}]}
    path = {**text, "not": {"type": "string", "pattern": f"^{truths}$"}}
    paths = {"type": "array", "items": text, "minItems": 1}
    variable = {"type": "string", "pattern": r"\$\{"}
    parts = {
        "paths": {"anyOf": [path, paths]},
        **dict.fromkeys(("include", "ignore"), texts),
        **dict.fromkeys(("debounce", "poll"), seconds),
        "action": {"anyOf": [{"const": "restart"}, {"type": "string", "pattern": "^signal +[^ ]"}, variable]},
        "default_ignores": boolean,
    }
    return [path, paths, {"type": "object", "properties": parts, "additionalProperties": False, "required": ["paths"]}]

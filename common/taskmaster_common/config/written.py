"""`depends_on`, `ready`, `health` and `recycle` as one writes them in the file: as plain data for the wire, and as YAML in one line. Pure."""

from __future__ import annotations

from taskmaster_common.config.graph import edge_of
from taskmaster_common.config.watch import WatchRules
from taskmaster_common.text.formats import format_seconds, format_size
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

NOT_TEXT = frozenset(("null", "~", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""Names that YAML reads as something else than a text."""


def written_edges(texts: Iterable[str]) -> list[str] | dict[str, Any]:
    """Return edges (texts of `graph`) as a list of names, or a map where one says more than its name.

    A value of the map is a condition, or a map with what differs from the default.
    """
    found: dict[str, Any] = {}
    for edge in map(edge_of, texts):
        rules: dict[str, Any] = {"condition": edge.condition} if edge.condition else {}
        rules |= {} if edge.required else {"required": False}
        rules |= {"restart": True} if edge.restart else {}
        found[edge.name] = edge.condition if [*rules] == ["condition"] else rules
    return found if any(found.values()) else [*found]


def written_probe(value: Mapping[str, Any]) -> str | dict[str, Any]:
    """Return a value of `ready` or `health` as one writes it: `notify`, `health`, or a map with the way and its limits."""
    if True in value.values() and len(value) == 1:
        return next(iter(value))
    found = dict(value)
    if found.pop("shell", False):
        found["exec"] = {"cmd": found["exec"][0], "shell": True}
    more = {name: found.pop(name) for name in ("status", "headers") if name in found}
    if more:
        found["http"] = {"url": found["http"], **more}
    return found


def written_recycle(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value of `recycle` with its sizes and times as texts."""
    texts: Mapping[str, Callable[[Any], Any]] = {
        "memory": lambda each: format_size(int(each)),
        "samples": int,
        "cron": list,
        "timezone": str,
    }
    return {name: texts.get(name, seconds_text)(each) for name, each in value.items() if each}


def written_watch(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value of `watch` without what are defaults."""
    plain = WatchRules(()).to_data()
    return {name: each for name, each in value.items() if name == "paths" or (each != plain.get(name) and each != [])}


def seconds_text(seconds: float) -> str:
    """Return a duration as one writes it: "12h", "90.5s"; exactly."""
    whole = format_seconds(seconds)
    return whole if parse_seconds(whole) == seconds else f"{seconds:.10g}s"


def in_one_line(value: object) -> str:
    """Return what the functions above made, as YAML: `[db, "web:1"]`, `{db: started, cache: {required: false}}`."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{in_one_line(name)}: {in_one_line(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(in_one_line, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return f"{value:g}"
    text = str(value)
    plain = text[:1].isalpha() and ":" not in text and text.lower() not in NOT_TEXT
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

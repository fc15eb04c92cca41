"""The text of a configuration: header, sections, comments. Deterministic: the same outcome gives the same bytes. Pure."""

from __future__ import annotations

from taskmaster_common import __version__
from taskmaster_common.config.keys import DAEMON, PROGRAM
from taskmasterctl.convert.outcome.scalars import in_line, lines_of, scalar
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from taskmasterctl.convert.outcome.model import Block, Draft

ORDER = {key.name: number for number, key in enumerate((*DAEMON, *PROGRAM))}
DEFAULTS: dict[str, Any] = {key.name: key.default for key in PROGRAM if not key.otherwise} | {
    "stopsignal": "TERM",
    "exitcodes": [0],
}
"""Values that need not be written, in the notation of the outcome."""
OF_JOBS = {"starttime": 0, "startretries": 0, "start_timeout": 0}
"""Defaults of a `oneshot` where they differ; with `ready`, `starttime` is 0 as well."""
SHARED = {key.name for key in PROGRAM if key.shared} - {"cmd", "description", "extends", "schedule", "sockets", "stdin"}
SHUTDOWN_TIMEOUT_S = 60
"""Default of `shutdown_timeout`, seconds."""
STOP_MARGIN_S = 5
"""Time that the daemon's stop takes besides that of its programs, seconds."""
SHARED_BY = 3
"""Least number of programs whose equal values go to `defaults:`."""


def text_of(outcome: Draft) -> str:
    """Return the configuration as YAML."""
    _cover_stops(outcome)
    for block in outcome.living():
        _leave_out_defaults(block)
    _share(outcome)
    lines = [*_header(outcome), ""]
    for block in (outcome.daemon, outcome.defaults):
        if block is outcome.defaults and outcome.groups:
            lines += ["groups:", *(f"  {scalar(name)}: {in_line(names)}" for name, names in outcome.groups.items()), ""]
        if block.keys or block.above:
            lines += [
                *_comments(block.above, ""),
                f"{block.name}:" if block.keys else f"# {block.name}:",
                *_keys(block, "  "),
                "",
            ]
    lines += _programs(outcome)
    return "\n".join(lines).rstrip("\n") + "\n"


def _header(outcome: Draft) -> Iterator[str]:
    report = outcome.report
    yield f"# from {clean(', '.join(outcome.sources))} ({outcome.kind}), taskmasterctl {__version__}"
    yield f"# start it: taskmasterd {'-n ' if outcome.foreground else ''}-c taskmaster.yaml"
    if report.needs:
        yield f"# needs in its environment: {', '.join(report.needs)}"
    yield from (f"# note: {clean(text)}" for text in report.notes())


def _comments(texts: Iterable[str], indent: str) -> Iterator[str]:
    return (f"{indent}# {clean(text)}".rstrip() for text in texts)


def _keys(block: Block, indent: str) -> Iterator[str]:
    for name in sorted(block.keys, key=lambda each: ORDER.get(each, len(ORDER))):
        yield from _comments(block.remarks.get(name, ()), indent)
        yield from lines_of(name, block.keys[name], indent)
    for name, texts in block.remarks.items():
        if name not in block.keys:
            yield from _comments(texts, indent)


def _programs(outcome: Draft) -> Iterator[str]:
    yield "programs:" if outcome.living() else "programs: {}"
    for number, block in enumerate(outcome.programs):
        if number:
            yield ""
        yield from _comments(block.above, "  ")
        if block.dead:
            yield from (f"  # {line}".rstrip() for line in (f"{scalar(block.name)}:", *_keys(block, "  ")))
        else:
            yield f"  {scalar(block.name)}:"
            yield from _keys(block, "    ")


def _cover_stops(outcome: Draft) -> None:
    """Give the daemon's own stop the time that the longest stop of a program may take: other tools have no such limit."""
    times = [each.keys.get("stoptime", 0) for each in outcome.living()]
    longest = max((value for value in times if isinstance(value, int | float)), default=0)
    if longest + STOP_MARGIN_S > SHUTDOWN_TIMEOUT_S and "shutdown_timeout" not in outcome.daemon.keys:
        outcome.daemon.set("shutdown_timeout", longest + STOP_MARGIN_S)


def _leave_out_defaults(block: Block) -> None:
    defaults = DEFAULTS
    if block.keys.get("type") == "oneshot":
        defaults = DEFAULTS | OF_JOBS
    elif "ready" in block.keys:
        defaults = DEFAULTS | {"starttime": 0}
    for name, value in [*block.keys.items()]:
        if name in defaults and _equal(value, defaults[name]):
            del block.keys[name]
            block.above += block.remarks.pop(name, [])


def _equal(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return value is default
    return bool(value == default)


def _share(outcome: Draft) -> None:
    """Move keys that all programs have with the same value to `defaults:`."""
    programs = outcome.living()
    if len(programs) < SHARED_BY:
        return
    first, *others = programs
    for name, value in [*first.keys.items()]:
        shared = all(
            name in each.keys and each.keys[name] == value and type(each.keys[name]) is type(value) for each in others
        )
        if name not in SHARED or not shared or (name in outcome.defaults.keys and name == "env"):
            continue
        outcome.defaults.set(name, value)
        for each in programs:
            del each.keys[name]
            each.above += each.remarks.pop(name, [])

"""Probes -> `ready` and `health`. Pure."""

from __future__ import annotations

from taskmasterctl.convert.outcome.shelltext import needs_shell
from taskmasterctl.convert.outcome.texts import literal
from taskmasterctl.convert.reading.tree import number_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.tree import Fields

PERIOD_S, TIMEOUT_S, FAILURES, SUCCESSES = 10, 1, 3, 1
"""Defaults of a probe of process-compose: seconds and counts."""


def ready_of(fields: Fields, block: Block, outcome: Draft) -> None:
    """Set `ready` from `readiness_probe` or `ready_log_line`."""
    node = fields.take("ready_log_line")
    if node is not None:
        block.set("ready", {"log": literal(text_of(node))})
        outcome.carried()
    probe = fields.inner("readiness_probe")
    if probe is None:
        return
    value = _what(probe, outcome)
    numbers = _numbers(probe, outcome)
    value |= {"interval": numbers["period_seconds"], "timeout": numbers["timeout_seconds"]}
    block.set("ready", value)
    wait = numbers["initial_delay_seconds"] + numbers["period_seconds"] * numbers["failure_threshold"]
    block.set("start_timeout", max(60, wait))
    if numbers["initial_delay_seconds"] or numbers["success_threshold"] != SUCCESSES:
        text = "the first try is made at once, and the first success counts"
        outcome.change(probe.place(), text, on=block, key="ready")
    _rest(probe, block, outcome)


def health_of(fields: Fields, block: Block, outcome: Draft) -> None:
    """Set `health` from `liveness_probe`."""
    probe = fields.inner("liveness_probe")
    if probe is None:
        return
    value = _what(probe, outcome)
    numbers = _numbers(probe, outcome)
    block.set(
        "health",
        value
        | {
            "interval": numbers["period_seconds"],
            "timeout": numbers["timeout_seconds"],
            "retries": int(numbers["failure_threshold"]),
            "successes": int(numbers["success_threshold"]),
            "start_period": numbers["initial_delay_seconds"],
            "action": "restart",
        },
    )
    _rest(probe, block, outcome)


def _what(probe: Fields, outcome: Draft) -> dict[str, Any]:
    execute = probe.inner("exec")
    if execute is not None:
        node = execute.take("command")
        command = text_of(node).replace("$$", "$") if node is not None else ""
        if not command.strip():
            outcome.report.refuse(probe.place(), "a probe's exec has a command")
        outcome.carried()
        return {"exec": {"cmd": command, "shell": True} if needs_shell(command) else literal(command)}
    web = probe.inner("http_get")
    if web is None:
        outcome.report.refuse(probe.place(), "a probe has exec or http_get")
        return {}
    parts = {name: node for name in ("scheme", "host", "port", "path") if (node := web.take(name)) is not None}
    texts = {"scheme": "http", "host": "127.0.0.1", "port": "80", "path": "/"} | {
        name: text_of(node) for name, node in parts.items()
    }
    outcome.carried(len(parts))
    path = texts["path"] if texts["path"].startswith("/") else f"/{texts['path']}"
    return {"http": literal(f"{texts['scheme'].lower()}://{texts['host']}:{texts['port']}{path}")}


def _numbers(probe: Fields, outcome: Draft) -> dict[str, float]:
    found: dict[str, float] = {
        "period_seconds": PERIOD_S,
        "timeout_seconds": TIMEOUT_S,
        "failure_threshold": FAILURES,
        "success_threshold": SUCCESSES,
        "initial_delay_seconds": 0,
    }
    for name in [*found]:
        node = probe.take(name)
        if node is None:
            continue
        try:
            found[name] = number_of(node) or found[name]
        except ValueError as error:
            outcome.report.refuse(probe.place(name, node), str(error))
        outcome.carried()
    return found


def _rest(probe: Fields, block: Block, outcome: Draft) -> None:
    for name, node in probe.rest():
        outcome.drop(probe.place(name, node), "a probe has no such part here", on=block)

"""`schedule` of process-compose. Pure. Source: its documentation, Scheduled Processes."""

from __future__ import annotations

import re

from taskmaster_common.text.calendar.cron import parse_cron
from taskmasterctl.convert.outcome.texts import literal
from taskmasterctl.convert.reading.tree import boolean_of, number_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.tree import Fields

UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
LEAST_S, MOST_S = 1, 31 * 86_400


def schedule_of(fields: Fields, block: Block, outcome: Draft) -> None:
    """Set `schedule`, or report why it cannot be."""
    inner = fields.inner("schedule")
    if inner is None:
        return
    schedule: dict[str, Any] = {}
    cron, every, zone = (inner.take(name) for name in ("cron", "interval", "timezone"))
    name, node = ("cron", cron) if cron is not None else ("interval", every)
    if node is None:
        outcome.report.refuse(inner.place("cron"), "a schedule has cron or interval")
        return
    try:
        schedule |= {"cron": parse_cron(text_of(node)).text} if cron is not None else {"every": _period(text_of(node))}
    except ValueError as error:
        outcome.drop(inner.place(name, node), str(error), "schedule: by hand", on=block)
        outcome.kill(block)
        return
    if cron is not None and every is not None:
        outcome.ignore(inner.place("interval", every), "cron has precedence", on=block, key="schedule")
    if zone is not None and cron is None:
        outcome.ignore(inner.place("timezone", zone), "a period has no zone", on=block, key="schedule")
    elif zone is not None:
        schedule["timezone"] = literal(text_of(zone))
    block.set("schedule", schedule)
    outcome.carried(1 + (zone is not None and cron is not None))
    _rest(inner, block, outcome)
    _as_job(fields, block, outcome)


def _as_job(fields: Fields, block: Block, outcome: Draft) -> None:
    """Take out what a program has not that runs by the clock and ends."""
    if block.keys.pop("autorestart", "never") != "never":
        text = "a failed run is tried again as startretries says, none at first"
        outcome.change(fields.place("availability.restart"), text, "startretries:", on=block, key="schedule")
    if not block.keys.get("starttime", 1):
        del block.keys["starttime"]
    for key, option in (("ready", "readiness_probe or ready_log_line"), ("health", "liveness_probe")):
        if block.keys.pop(key, None) is not None:
            text = f"what runs by the clock is done at its end, and has no {key}"
            outcome.drop(fields.place(option), text, "start_timeout: bounds a run", on=block, key="schedule")


def _rest(inner: Fields, block: Block, outcome: Draft) -> None:
    start, most = inner.take("run_on_start"), inner.take("max_concurrent")
    try:
        if start is not None and boolean_of(start):
            block.keys["schedule"]["at_start"] = True
        outcome.carried(start is not None)
        if most is not None and number_of(most) > 1:
            text = "a run that is due while the one before is not over is skipped"
            outcome.drop(inner.place("max_concurrent", most), text, "numprocs:", on=block, key="schedule")
        else:
            outcome.carried(most is not None)
    except ValueError as error:
        outcome.report.refuse(inner.place("run_on_start", start), str(error))
    for name, node in inner.rest():
        outcome.ignore(inner.place(name, node), "process-compose does not know this field either", on=block)


def _period(text: str) -> float:
    """Return seconds of a Go duration: `1h30m`. Raises ValueError."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("no period such as 30m")
    value = sum(float(number) * UNITS[unit] for number, unit in parts)
    if not LEAST_S <= value <= MOST_S:
        raise ValueError("a period is between 1 s and 31 d")
    return int(value) if value == int(value) else round(value, 3)

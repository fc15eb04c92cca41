"""`simulate`: what a program would do that ends as the request says. Nothing is changed."""

from __future__ import annotations

import os
import time

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmasterd.control.call import UNKNOWN_WHEN_LOOKING
from taskmasterd.core.simulation import asked_for, left_out
from taskmasterd.core.simulation import simulate as simulated
from taskmasterd.core.timed import WallClock
from taskmasterd.system.loop import zones

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.core.steps import Steps

LINES_AT_ONCE = 100


def simulate(call: Call) -> Steps[None]:
    """Tell the life of a program that ends as said. Raises RequestError."""
    request, about = call.request, call.context.identity
    entries = yield from call.chosen(request.targets, UNKNOWN_WHEN_LOOKING)
    programs = {entry.program: entry.newest for entry in entries}
    if len(programs) != 1:
        raise RequestError("usage", f"simulate is about one program, and {request.targets[0]} names {len(programs)}", 2)
    try:
        endings, for_s, seed = asked_for(request.text("end"), request.text("for"), request.text("seed"), about.numbers)
    except ValueError as error:
        raise RequestError("usage", str(error), 2) from None
    (program,) = programs.values()
    if not program.enabled:
        text = f"{program.name} is disabled: only `start {program.name}` starts it"
        call.connection.send({"type": "warning", "text": text})
    if text := left_out(program):
        call.connection.send({"type": "warning", "text": text})
    lines: list[dict[str, Any]] = []
    clock = WallClock(time.time(), zones.within, os.uname().nodename)
    for line in simulated(program, endings, for_s, seed, about.signals, clock):
        if line:
            lines.append(line.to_data())
        if len(lines) == LINES_AT_ONCE:
            call.connection.send({"type": "simulated", "events": lines})
            lines = []
        yield
    call.connection.send({"type": "simulated", "events": lines})
    call.connection.end(end(0))


VERBS = {"simulate": simulate}

"""`start --next` and `stop --run`: what is done to schedules, and not to programs. Loaded with the first of them."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmasterd.control.call import UNKNOWN_WHEN_ACTING
from taskmasterd.core.process.events import Arm, Stop
from taskmasterd.core.programs.ticket import DOWN, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterd.control.call import Call
    from taskmasterd.control.waits import ProgramWait
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

WRONG = 2


def start_next(call: Call) -> Steps[None]:
    """Arm the schedules of stopped programs: nothing is started now. Raises RequestError "usage" where there is no schedule."""
    while call.context.configuration.applying:
        yield
    supervisor = call.context.supervisor
    entries = yield from call.chosen(call.request.targets, UNKNOWN_WHEN_ACTING)
    _require_schedules(call, entries, "--next")
    supervisor.refuse_when_stopping()
    for entry in entries:
        supervisor.handle(entry, Arm(call.by), supervisor.now())
        yield
        call.connection.send(_armed(call, entry))
    call.connection.end(end(0))


def stop_run(call: Call, entries: tuple[Entry, ...], wait: ProgramWait) -> Steps[None]:
    """End the runs of programs, whose schedules stay armed. Raises RequestError "usage" where there is no schedule."""
    supervisor = call.context.supervisor
    _require_schedules(call, entries, "--run")
    for entry in entries:
        if entry.process.goal_is_up and not entry.process.going_down:
            supervisor.handle(entry, Stop(call.by), supervisor.now())
            supervisor.handle(entry, Arm(call.by), supervisor.now())
            wait.ticket.wait_for(entry, DOWN, "stopped")
        elif entry.process.going_down:
            wait.ticket.wait_for(entry, DOWN, "stopped")
        else:
            wait.ticket.answer(entry, Outcome(ok=True, outcome="already-stopped"))
        yield
    wait.ticket.seal()


def _require_schedules(call: Call, entries: Sequence[Entry], flag: str) -> None:
    without = next((entry for entry in entries if not entry.wanted.schedule), None)
    if without is not None:
        name = call.context.supervisor.table.name(without)
        raise RequestError("usage", f"{name} has no schedule, and {flag} is about schedules", WRONG)


def _armed(call: Call, entry: Entry) -> dict[str, object]:
    return {
        "type": "result",
        "name": call.context.supervisor.table.name(entry),
        "ok": True,
        "outcome": "armed",
        "state": entry.process.state,
        "pid": entry.process.pid,
        "reason": "",
    }

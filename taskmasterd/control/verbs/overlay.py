"""`disable`, `enable`, `overrides` and `scale`: what operators lay over the file, and what is laid over it."""

from __future__ import annotations

from taskmaster_common.commands.actions import FILE, count_after, reason_in
from taskmaster_common.commands.table import OPERATE
from taskmaster_common.config import ONESHOT
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.protocol import end
from taskmasterd.configuration.overlays import new_override
from taskmasterd.configuration.requests import Requester
from taskmasterd.control.call import UNKNOWN_WHEN_ACTING
from taskmasterd.control.replies import MORE
from taskmasterd.control.verbs.reached import require_others, warn, warn_of_dependents
from taskmasterd.control.waits import ProgramWait, Wait
from taskmasterd.core.programs import operations
from taskmasterd.core.programs.order import OrderOptions
from taskmasterd.core.programs.overlay import Scale, reasoned
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.history import by_of
from taskmasterd.core.words.overlays import overlay_views, scaled_text, view_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.control.call import Call
    from taskmasterd.core.programs.overlay import Override
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

MOST_INSTANCES, MOST_OF_ALL = 10_000, 20_000
"""Most instances of one program, and of all; the decoder has the same limits."""


def disable(call: Call) -> Steps[None]:
    """Let nothing start the programs any more. Raises RequestError."""
    return _override(call, enabled=False)


def enable(call: Call) -> Steps[None]:
    """Undo `disable`, or override `enabled: false` of the file. Raises RequestError."""
    return _override(call, enabled=True)


def _override(call: Call, *, enabled: bool) -> Steps[None]:
    context, request, configuration = call.context, call.request, call.context.configuration
    stale, entries = yield from _chosen(call)
    while configuration.applying:  # its plan was made with the overrides of before
        yield
    if request.has("now"):
        require_others(call, entries, starts=enabled)
    names = dict.fromkeys(entry.program for entry in entries)
    in_file = {each.name: each.enabled for each in configuration.config.programs if each.name in names}
    made = new_override(call.by, context.wall(), reason_in(request), enabled=enabled)
    overlays = context.overlays()
    before = overlays.overlay.overrides
    found: dict[str, Override | None] = {name: None if enabled else reasoned(made, before.get(name)) for name in stale}
    found.update(
        {name: None if enabled and in_file.get(name, True) else reasoned(made, before.get(name)) for name in names}
    )
    try:
        overlays.keep(overlays.overlay.with_overrides(found))
    except SystemFailure as failure:
        raise RequestError("failed", f"{failure}; nothing was changed", 1) from None
    configuration.apply(begun=True)
    yield from context.reloading().alone(overlays.enable(configuration.config, dict.fromkeys(found, enabled)))
    word = "enabled" if enabled else "disabled"
    for name, override in found.items():
        reason = (override or made).reason
        context.log.write("info", f"{name} {word} by {call.by}" + (f": {reason}" if reason else ""))
        context.log.note(name, word, by=by_of(call.by), reason=reason or None)
        call.connection.send(_answer(call, name, enabled=enabled))
        yield
    if not request.has("now"):
        call.connection.end(end(0))
        return
    yield from _at_once(call, entries, enabled=enabled)


def _chosen(call: Call) -> Steps[tuple[list[str], tuple[Entry, ...]]]:
    """Return the names whose program the file has no more, and the entries of the others. Raises RequestError."""
    request, sight = call.request, call.sight
    yield from sight.prepared()
    table = sight.table()
    overrides = table.overlay.overrides if table.overlay else {}
    for target in request.targets:
        program, colon, _index = target.partition(":")
        if colon:
            raise RequestError("usage", f"{request.verb} is about whole programs: write {program}", 2)
    stale = [name for name in request.targets if name in overrides and not table.knows(name)] if table.overlay else []
    sight.require(OPERATE, f"{request.verb} {' '.join(stale)}", stale)
    entries = yield from call.chosen([each for each in request.targets if each not in stale], UNKNOWN_WHEN_ACTING)
    return stale, entries


def _answer(call: Call, name: str, *, enabled: bool) -> dict[str, Any]:
    table = call.context.supervisor.table
    up = sum(entry.process.goal_is_up for entry in table.slots(name))
    return {**view_of(table, name), "enabled": enabled, "up": up}


def _at_once(call: Call, entries: Sequence[Entry], *, enabled: bool) -> Steps[None]:
    """Start or stop the programs, and answer as `start` and `stop` do."""
    supervisor = call.context.supervisor
    wait = ProgramWait(call.context, call.connection, call.request)
    options = OrderOptions(on_pull=wait.pulled)
    if not enabled:
        warn_of_dependents(call, entries)
    act = operations.start if enabled else operations.stop
    try:
        yield from act(supervisor, entries, call.by, wait.ticket, options)
    except RequestError:
        wait.give_up()
        raise
    yield from wait.begin()


def overrides(call: Call) -> Steps[None]:
    """All that is laid over the file."""
    yield from call.sight.prepared()
    trouble = "" if call.sight.limited else call.context.overlays().trouble
    if trouble:
        warn(call, trouble)
    call.connection.pull(_overrides(call))


def _overrides(call: Call) -> Iterator[dict[str, Any]]:
    for view in overlay_views(call.sight.table()):
        yield view
        yield MORE
    call.connection.end(end(0))


# -- scale


def scale(call: Call) -> Steps[None]:
    """Have another number of instances of a program for now. Raises RequestError."""
    context, (name, word) = call.context, call.request.targets
    while context.configuration.applying:
        yield
    entries = yield from call.chosen((name,), UNKNOWN_WHEN_ACTING)
    program = context.configuration.config.program(name)
    if program is None:
        hint = "it scales one program: write its name" if entries and entries[0].program != name else ""
        raise RequestError("usage" if hint else "unknown-name", hint or f'no program named "{name}"', 2 if hint else 5)
    call.sight.require(OPERATE, f"scale {name}", (name,))
    context.supervisor.refuse_when_stopping()
    overlay = context.overlays().overlay
    present = overlay.over(program).numprocs
    count = program.numprocs if word == FILE else count_after(word, present)
    _require_possible(call, program, count)
    if count > present:
        require_others(call, entries[:1], starts=True, again=True)
    scaled = None if count == program.numprocs else Scale(count, program.numprocs, call.by, context.wall())
    wait = ScaleWait(call, name, scaled)
    wait.begin()
    context.reloading().lay_over(overlay.with_scale(name, scaled), name, wait)


def _require_possible(call: Call, program: ProgramConfig, count: int) -> None:
    """Raise RequestError "failed" where a program cannot have so many instances."""
    if program.policy.type == ONESHOT:
        raise RequestError("failed", f"{program.name} is a oneshot: each start of one is a run of its own", 1)
    if not 0 <= count <= MOST_INSTANCES:
        raise RequestError("failed", f"{program.name} can have 0 to {MOST_INSTANCES} instances, not {count}", 1)
    table = call.context.supervisor.table
    others = sum(not entry.removed for entry in table if entry.program != program.name)
    if others + count > MOST_OF_ALL:
        raise RequestError("failed", f"all programs together can have {MOST_OF_ALL} instances, not {others + count}", 1)


class ScaleWait(Wait, Requester):
    """A client that waits until a program has so many instances."""

    def __init__(self, call: Call, name: str, scaled: Scale | None) -> None:
        super().__init__(call.context, call.connection, call.request)
        self.by = call.by
        self._name = name
        self._scale = scaled

    def begin(self) -> None:
        """Wait."""
        self._begin()

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """Send why nothing was changed."""
        self._end(1, RequestError(code, problems[0], 1))

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> Steps[None]:
        """Send how many instances the program has from now on."""
        del warnings
        context, scaled = self._context, self._scale
        wanted = plan.programs[0].wanted
        count = wanted.numprocs if wanted else 0
        text = scaled_text(scaled) if scaled else f"scaled to {count} by {self.by}, as in the file"
        context.log.write("info", f"{self._name} {text}")
        context.log.note(
            self._name, "scaled", by=by_of(self.by), reason=f"to {count}" + ("" if scaled else ", as in the file")
        )
        if not self.ended:
            self._connection.send({**view_of(context.supervisor.table, self._name), "count": count})
        yield

    def waiting(self, ticket: Ticket) -> None:
        """Wait for the results; with --no-wait end here."""
        if not self.ended:
            self._ticket = ticket
            if self.request.has("no_wait"):
                self._end(0)

    def settled(self, ticket: Ticket) -> None:
        """End: every instance that was started or stopped has its result."""
        self._end(1 if ticket.failed else 0)

    def resume_with(self, data: Mapping[str, Any]) -> None:
        """Go on waiting after an upgrade."""
        ticket = Ticket(self.result, lambda: self.settled(ticket), self.tried, self.said)
        self.resume(ticket, data)


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on waiting after an upgrade."""
    if call.request.verb == "scale":
        ScaleWait(call, call.request.targets[0], None).resume_with(data)
        return
    wait = ProgramWait(call.context, call.connection, call.request)
    wait.resume(wait.ticket, data)


VERBS = {"disable": disable, "enable": enable, "overrides": overrides, "scale": scale}

"""`start`, `stop`, `restart` and `signal`: what is done to programs."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmaster_common.states import RUNNING, STARTING, STOPPING
from taskmaster_common.text.units import parse_signal
from taskmasterd.control.call import UNKNOWN_WHEN_ACTING
from taskmasterd.control.verbs.reached import named_itself, require_others, warn, warn_of_dependents
from taskmasterd.control.waits import ProgramWait
from taskmasterd.core.programs import operations
from taskmasterd.core.programs.order import OrderOptions
from taskmasterd.core.programs.ticket import Outcome
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.control.verbs import newer as files
    from taskmasterd.control.verbs import scheduled
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import overlays

    Act = Callable[[tuple[Entry, ...], ProgramWait], Steps[None]]
else:
    files = on_demand("taskmasterd.control.verbs.newer")
    overlays = on_demand("taskmasterd.core.words.overlays")
    scheduled = on_demand("taskmasterd.control.verbs.scheduled")


def start(call: Call) -> Steps[None]:
    """Start, and answer when the programs run or have failed; with --next let their own time start them."""
    supervisor = call.context.supervisor
    if call.request.has("next"):
        return scheduled.start_next(call)

    def act(entries: tuple[Entry, ...], wait: ProgramWait) -> Steps[None]:
        return operations.start(supervisor, entries, call.by, wait.ticket, _options(call, wait))

    return _act(call, act)


def stop(call: Call) -> Steps[None]:
    """Stop, and answer when nothing is left.

    Processes left by an earlier daemon are only reported: they may not be ours.
    """
    supervisor, performer = call.context.supervisor, call.context.performer
    if call.request.has("run"):
        return _act(call, lambda entries, wait: scheduled.stop_run(call, entries, wait))

    def act(entries: tuple[Entry, ...], wait: ProgramWait) -> Steps[None]:
        for entry in entries:
            there = performer.occupants.reason(entry.program, entry.index)
            if there:
                warn(call, f"{supervisor.table.name(entry)}: {there}")
                wait.ticket.failed = True
            yield
        options = _options(call, wait)
        if not options.dependents:
            warn_of_dependents(call, entries)
        yield from operations.stop(supervisor, entries, call.by, wait.ticket, options)

    return _act(call, act)


def restart(call: Call) -> Steps[None]:
    """Stop and start, and answer when the programs run or have failed. Raises RequestError "usage"."""
    supervisor, request = call.context.supervisor, call.request
    if request.has("max_unavailable") and not request.has("rolling"):
        raise RequestError("usage", "--max-unavailable belongs to --rolling", 2)
    if request.has("rolling") and request.has("dependents"):
        raise RequestError("usage", "--dependents restarts all at once: leave out --rolling", 2)
    newer = call.context.configuration.newer_on_disk()
    if newer:
        newer = "the configuration" if call.sight.limited else newer  # an included file may be named after a program
        warn(call, f"{newer} has changed since it was loaded; restart uses the old configuration: run `reload`")

    def act(entries: tuple[Entry, ...], wait: ProgramWait) -> Steps[None]:
        options = _options(call, wait)
        if options.outdated:
            options = options.replace(newer=(yield from files.newer_files(call.context, entries)))
        found, kept = yield from _as_possible(call, entries, wait, options)
        yield from operations.restart(supervisor, found, call.by, wait.ticket, options.replace(as_before=kept))

    return _act(call, act)


def _as_possible(
    call: Call, entries: tuple[Entry, ...], wait: ProgramWait, options: OrderOptions
) -> Steps[tuple[tuple[Entry, ...], frozenset[Entry]]]:
    """Open what restarts need newly; return what can be restarted, and those of them that go on with what they have.

    Nothing goes down for an address that cannot be had: who restarts what is outdated, or one after the other, gets the reason.
    """
    refused: dict[Entry, str] = {}
    for entry in entries:
        if entry.pending and entry.pending.sockets and entry.process.alive and not entry.removed:
            problem = call.context.sockets().reach(entry)
            if problem:
                refused[entry] = problem
            yield
    kept = frozenset(entry for entry in refused if not (options.outdated or options.rolling or entry.newest.update))
    for entry, problem in refused.items():
        if entry in kept:
            warn(call, f"{call.context.supervisor.table.name(entry)}: {problem}; it goes on with its old sockets")
        else:
            wait.ticket.answer(entry, Outcome(ok=False, outcome="refused", because=problem))
    return tuple(entry for entry in entries if entry in kept or entry not in refused), kept


def _options(call: Call, wait: ProgramWait) -> OrderOptions:
    request = call.request
    return OrderOptions(
        free=request.has("no_deps"),
        dependents=request.has("dependents"),
        if_running=request.has("if_running"),
        outdated=request.has("outdated"),
        rolling=request.has("rolling"),
        most=int(request.text("max_unavailable", "0")),
        on_pull=wait.pulled,
    )


def _act(call: Call, act: Act) -> Steps[None]:
    context = call.context
    while context.configuration.applying:  # the plan was made before, and may be about the same processes
        yield
    entries = yield from call.chosen(call.request.targets, UNKNOWN_WHEN_ACTING)
    verb = call.request.verb
    require_others(call, entries, starts=verb != "stop", again=verb == "restart")
    wait = ProgramWait(context, call.connection, call.request)
    if verb != "stop":
        entries = yield from _passed_by(call, entries, wait)
    try:
        yield from act(entries, wait)
    except RequestError:
        wait.give_up()
        raise
    yield from wait.begin()


def _passed_by(call: Call, entries: tuple[Entry, ...], wait: ProgramWait) -> Steps[tuple[Entry, ...]]:
    """Return those of the entries that may be started; the others are disabled and were not named themselves, and are answered."""
    if all(entry.newest.enabled for entry in entries):
        return entries
    table, said = call.context.supervisor.table, set[str]()
    wanted: list[Entry] = []
    for entry in entries:
        if not entry.newest.enabled and not entry.process.goal_is_up:
            why = overlays.disabled_text(table, entry.program)
            if not named_itself(entry, call.request.targets):
                wait.ticket.answer(entry, Outcome(ok=True, outcome="skipped", because=why))
                continue
            if entry.program not in said:
                said.add(entry.program)
                warn(call, f"{entry.program} is {why}; it is started this once, and stays disabled")
        wanted.append(entry)
        yield
    return tuple(wanted)


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on waiting after an upgrade."""
    wait = ProgramWait(call.context, call.connection, call.request)
    wait.resume(wait.ticket, data)


def signal(call: Call) -> Steps[None]:
    """Send a signal to leaders."""
    word, *targets = call.request.targets
    table, performer = call.context.supervisor.table, call.context.performer
    number = _number(word, targets, call.context.identity.numbers)
    well = True
    for entry in (yield from call.chosen(targets, UNKNOWN_WHEN_ACTING)):
        yield
        alive = entry.process.pid is not None and entry.process.state in (STARTING, RUNNING, STOPPING)
        done = alive and performer.signal_leader(entry, number)
        refused = "it may not be signalled: operation not permitted" if alive else "nothing runs there"
        well = well and done
        call.connection.send(
            {
                "type": "result",
                "name": table.name(entry),
                "ok": done,
                "outcome": "signalled" if done else "failed",
                "state": entry.process.state,
                "pid": entry.process.pid,
                "reason": "" if done else refused,
            }
        )
    call.connection.end(end(0 if well else 1))


def _number(word: str, targets: list[str], numbers: Mapping[str, int]) -> int:
    """Return the number of the signal. Raises RequestError "unknown-signal", with the right order where the words are swapped."""
    try:
        return parse_signal(word, numbers)
    except ValueError as error:
        hints: tuple[str, ...] = () if ";" in str(error) else ("names: `signal --list`",)
        swapped = next((target for target in targets if _is_signal(target, numbers)), "")
        if swapped:
            others = " ".join(other for other in (word, *targets) if other != swapped)
            hints = (f"the signal comes first: signal {swapped} {others}",)
        raise RequestError("unknown-signal", str(error), 2, hints) from None


def _is_signal(word: str, numbers: Mapping[str, int]) -> bool:
    try:
        parse_signal(word, numbers)
    except ValueError:
        return False
    return True


VERBS = {"start": start, "stop": stop, "restart": restart, "signal": signal}

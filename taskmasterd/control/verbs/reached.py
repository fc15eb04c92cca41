"""Whom a request reaches besides those that it names: what has to be started with them, what goes on without them, what is passed by."""

from __future__ import annotations

from taskmaster_common.commands.table import OPERATE
from taskmaster_common.states import RUNNING
from taskmasterd.control.rights import denial
from taskmasterd.core.programs import reach
from taskmasterd.core.words.describe import names_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskmasterd.control.call import Call
    from taskmasterd.core.programs.table import Entry


def require_others(call: Call, entries: Sequence[Entry], *, starts: bool, again: bool = False) -> None:
    """Raise RequestError "permission" where the request reaches programs besides that the client may not operate.

    These are what has to be started because an entry needs it, if the request `starts` something, also what runs if `again`; and
    with --dependents what depends on it. What an edge with `restart: true` takes along asks for that in the file.
    """
    supervisor, sight, request = call.context.supervisor, call.sight, call.request
    if sight.rights is None or not supervisor.dependencies:
        return
    if request.has("dependents"):
        others = [entry for entry in reach.with_dependents(supervisor.table, entries) if entry not in entries]
        why = "what depends on it"
    elif not starts or request.has("no_deps"):
        return
    else:
        up = () if again else [entry for entry in entries if entry.process.state == RUNNING]
        needing = [entry for entry in entries if entry not in up]
        others = [entry for entry, _needing in reach.pulled(supervisor.table, needing, asked=True)]
        why = "what it needs and is down"
    denied = [entry for entry in others if not sight.may(OPERATE, entry.program)]
    seen = tuple(dict.fromkeys(entry.program for entry in denied if sight.sees(entry.program)))
    names = tuple(dict.fromkeys(entry.program for entry in entries))
    if denied:
        about = f"{request.verb} {names_text(names)} with {why}"
        about += f" ({names_text(seen)})" if len(seen) == len(denied) else " (some of it you may not see)"
        raise denial(call.connection.peer, sight.rights, OPERATE, about, seen or names)


def warn_of_dependents(call: Call, entries: Iterable[Entry]) -> None:
    """Send which programs depend on those that are stopped, and go on."""
    supervisor, sight, entries = call.context.supervisor, call.sight, tuple(entries)
    if not supervisor.dependencies:
        return
    going_on = [entry for entry in reach.going_on(supervisor.table, entries) if sight.sees(entry.program)]
    if going_on:
        names = [supervisor.table.name(entry) for entry in going_on]
        stopped = names_text(tuple(dict.fromkeys(entry.program for entry in entries)))
        depend, go = ("depends", "goes") if len(names) == 1 else ("depend", "go")
        warn(call, f"{names_text(names)} {depend} on {stopped} and {go} on")


def warn(call: Call, text: str) -> None:
    """Send a warning."""
    call.connection.send({"type": "warning", "text": text})


def named_itself(entry: Entry, targets: Iterable[str]) -> bool:
    """Return whether one of these targets is the name of the program, or of instances of it: no group, no pattern of programs."""
    return entry.program in {target.partition(":")[0] for target in targets}

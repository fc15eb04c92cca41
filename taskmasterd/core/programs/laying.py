"""Lays over one program what operators have changed: the plan of another number, and enabled or not in its slots. Pure."""

from __future__ import annotations

from taskmasterd.core.programs.plan import ADDED, SCALED, ReloadPlan, plan_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmaster_common.config import Config, ProgramConfig
    from taskmasterd.core.programs.overlay import Overlay
    from taskmasterd.core.programs.table import Entry, Table


def plan_for(table: Table, config: Config, overlay: Overlay, name: str) -> ReloadPlan:
    """Return the plan for one program of the configuration that is followed, under another overlay; it has to be there.

    What was scaled to 0 has no slots; an operator who asks for some wants them up.
    """
    wanted = next(overlay.over(program) for program in config.programs if program.name == name)
    plan = plan_of(table, wanted)
    if plan.change == ADDED:
        plan = plan.replace(change=SCALED, why="numprocs changed", start=plan.create if wanted.enabled else ())
    return ReloadPlan(config=config, programs=(plan,))


def enable_slots(table: Table, program: str, *, enabled: bool) -> Iterator[Entry]:
    """Let a program be enabled or not in what is wanted of each of its slots, and yield them; slots share their records as before."""
    known: dict[int, ProgramConfig] = {}

    def laid(wanted: ProgramConfig) -> ProgramConfig:
        if wanted.enabled == enabled:
            return wanted
        return known.setdefault(id(wanted), wanted.with_keys(enabled=enabled))

    for entry in table.slots(program):
        pending = entry.pending
        entry.want(laid(entry.wanted))
        if pending:
            entry.pend(laid(pending))
        yield entry

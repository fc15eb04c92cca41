"""What a reload will do, complete before anything is done: the difference between the table and a configuration.

Restart keys are compared with what each instance was *started with*, so that undoing an edit before it took effect changes
nothing. Order of keys, comments and formatting are gone before this: records are compared.
"""

from __future__ import annotations

from taskmaster_common.config import (
    DAEMON_LIVE_KEYS,
    LIVE,
    LIVE_OR_NEXT,
    NEXT,
    ONESHOT,
    RELOAD_CLASS,
    RESTART,
    Config,
    DaemonConfig,
    ProgramConfig,
)
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING
from taskmasterd.core.process.state import STOP
from taskmasterd.core.programs.table import WATCHDOG, Entry, Table, of_class
from taskmasterd.core.steps import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskmasterd.core.steps import Steps

    Refused = Callable[[ProgramConfig, ProgramConfig], tuple[str, ...]]

KEPT = "kept"
UPDATED = "updated"
SCALED = "scaled"
RESTARTED = "restarted"
ADDED = "added"
REMOVED = "removed"
APPLIED = " applied without a restart"


class ProgramPlan(Record):
    """What happens to one program.

    `wanted` is None for a removed one. `create` are the slots that come into being, `start`, `stop` and `restart` those that
    are told so (indices); a created slot is started only when it is in `start` too. `late` are keys that the kernel does not let
    be set on what runs, so that the next instance gets them. `put_off` is what the file wants of a program that cannot have it
    now: it stays as it is, outdated, until somebody restarts it.
    """

    name: str
    change: str
    why: str
    wanted: ProgramConfig | None = None
    keys: tuple[str, ...] = ()
    create: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    stop: tuple[int, ...] = ()
    restart: tuple[int, ...] = ()
    late: tuple[str, ...] = ()
    put_off: ProgramConfig | None = None

    @property
    def changes(self) -> bool:
        """Whether anything of it changes, now or when it is next started."""
        return self.change != KEPT or self.put_off is not None

    @property
    def rolls(self) -> bool:
        """Whether these starts and restarts happen one after the other, because `update` says so and some replace others."""
        return bool(self.wanted and self.wanted.update and {*self.restart, *self.start}.difference(self.create))


class ReloadPlan(Record):
    """A whole plan, programs in the order of the new file, removed ones last.

    `daemon_keys` are the changed keys of `taskmasterd:` that wait for the daemon's next start, `live_keys` the others.
    `groups_changed`: a group has come, has gone or has other programs. `alerts` says which alert rules change, and how.
    """

    config: Config
    programs: tuple[ProgramPlan, ...]
    daemon_keys: tuple[str, ...] = ()
    live_keys: tuple[str, ...] = ()
    groups_changed: bool = False
    alerts: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether applying it does anything."""
        return (
            bool(self.live_keys or self.alerts)
            or self.groups_changed
            or any(plan.change != KEPT for plan in self.programs)
        )


def _allowed(_before: ProgramConfig, _wanted: ProgramConfig) -> tuple[str, ...]:
    return ()


def diff(table: Table, running: DaemonConfig, config: Config, refused: Refused = _allowed) -> ReloadPlan:
    """Return the plan that leads from the table to `config`; `running` is what the daemon itself was started with.

    `refused` is that of `SupervisorEffects`.
    """
    return run(diffing(table, running, config, refused))


def diffing(
    table: Table, running: DaemonConfig, config: Config, refused: Refused = _allowed, *, again: bool = False
) -> Steps[ReloadPlan]:
    """Do `diff` in steps, a program a step.

    `again`: what runs outdated is restarted, though the file has said so before. Its restart was refused, or not wanted then.
    """
    kept: list[ProgramPlan] = []
    for program in config.programs:
        found = _program(table, program, again=again)
        if of_class(found.keys, LIVE_OR_NEXT):
            found = _with_late_keys(found, table.slots(program.name), refused)
        kept.append(found)
        yield
    names = {program.name for program in config.programs}
    gone: list[ProgramPlan] = []
    for name in tuple(table.names()):
        if name not in names:
            gone.append(_removed(name, table.slots(name)))
            yield
    keys = running.changed_fields(config.daemon)
    return ReloadPlan(
        config=config,
        programs=tuple(kept + [plan for plan in gone if plan.stop]),
        daemon_keys=tuple(key for key in keys if key not in DAEMON_LIVE_KEYS),
        live_keys=tuple(key for key in keys if key in DAEMON_LIVE_KEYS),
        groups_changed=table.groups != config.groups,
    )


def plan_of(table: Table, wanted: ProgramConfig) -> ProgramPlan:
    """Return what happens to one program where only that is wanted of it."""
    return _program(table, wanted, again=False)


def alert_changes(old: Config, new: Config) -> tuple[str, ...]:
    """Return how the alert rules of two configurations differ, a text for each rule: `page: for, batch`."""
    if old.alerts == new.alerts:
        return ()
    found = [f"{name}: removed" for name in old.alerts if name not in new.alerts]
    for name, rule in new.alerts.items():
        before = old.alerts.get(name)
        if before is None:
            found.append(f"{name}: new")
        else:
            keys = [key for key in {**before, **rule} if _plain(before.get(key)) != _plain(rule.get(key))]
            found += [f"{name}: {', '.join(key.rstrip('_') for key in keys)}"] if keys else []
    return tuple(found)


def _plain(value: object) -> object:
    """Return a value as JSON has it, which knows no tuples."""
    return list(value) if isinstance(value, tuple) else value


def without_restarts(plan: ReloadPlan) -> ReloadPlan:
    """Return the plan without its restarts: what it would restart goes on, outdated."""
    return plan.replace(programs=tuple(_without_restarts(program) for program in plan.programs))


def without_removals(plan: ReloadPlan, old: Config) -> ReloadPlan:
    """Return the plan without what it stops for good, under a configuration that still has the programs of the `old` one."""
    names = {program.name for program in plan.config.programs}
    kept = tuple(program for program in old.programs if program.name not in names)
    config = plan.config.replace(programs=(*plan.config.programs, *kept), groups={**old.groups, **plan.config.groups})
    programs = tuple(program.replace(stop=()) for program in plan.programs if program.change != REMOVED)
    return plan.replace(config=config, programs=programs)


def _without_restarts(program: ProgramPlan) -> ProgramPlan:
    if not program.restart:
        return program
    named = ", ".join(of_class(program.keys, RESTART))
    change = SCALED if program.stop or program.create else UPDATED
    return program.replace(change=change, why=f"{named} used at the next start; not restarted", restart=())


def _removed(name: str, slots: tuple[Entry, ...]) -> ProgramPlan:
    stop = tuple(entry.index for entry in slots if not entry.removed)
    return ProgramPlan(name, REMOVED, "no longer in the configuration", stop=stop)


def _program(table: Table, wanted: ProgramConfig, *, again: bool) -> ProgramPlan:
    slots = [entry for entry in table.slots(wanted.name) if not entry.removed]
    goes_on = wanted.name in table.rolling and len(slots) == wanted.numprocs
    if goes_on and all(entry.newest == wanted for entry in slots):
        return ProgramPlan(wanted.name, KEPT, "unchanged; its update goes on", wanted)
    same = len(slots) == wanted.numprocs and all(entry.wanted == wanted for entry in slots)
    if same and not (again and wanted.enabled and _outdated(slots, wanted, again=True)):
        return ProgramPlan(wanted.name, KEPT, "unchanged", wanted)  # soon said: nearly all of thousands
    if not slots:
        return _added(wanted)
    plan = _changed(wanted, slots, again=again)
    return plan if wanted.enabled else _passed_by(plan)


def _added(wanted: ProgramConfig) -> ProgramPlan:
    every = tuple(range(wanted.numprocs))
    hindrance = "autostart is false" if not wanted.autostart else "it is disabled" if not wanted.enabled else ""
    why = f"new; not started: {hindrance}" if hindrance else "new"
    return ProgramPlan(wanted.name, ADDED, why, wanted, create=every, start=() if hindrance else every)


def _passed_by(plan: ProgramPlan) -> ProgramPlan:
    """Return the plan of a disabled program: what runs goes on, and nothing is started."""
    if not (plan.start or plan.restart):
        return plan
    plan = _without_restarts(plan)
    why = plan.why.removesuffix("; not restarted")
    return plan.replace(why=f"{why}; it is disabled, so nothing is started", start=())


def _changed(wanted: ProgramConfig, slots: list[Entry], *, again: bool) -> ProgramPlan:
    here = {entry.index for entry in slots}
    surplus = tuple(index for index in sorted(here) if index >= wanted.numprocs)
    missing = tuple(index for index in range(wanted.numprocs) if index not in here)
    staying = [entry for entry in slots if entry.index < wanted.numprocs]
    outdated = _outdated(staying, wanted, again=again)
    waits = bool(wanted.schedule)  # what runs is not touched, and the next run is as the file says
    restart = tuple(entry.index for entry in outdated if _goes_on(entry) and not waits)
    revived = tuple(entry.index for entry in outdated if entry.process.state == FATAL and not waits)
    up = any(_is_used(entry, wanted) for entry in slots)
    present = {id(entry.wanted): entry.wanted for entry in slots}.values()  # thousands share one
    keys = {key for each in present for key in each.changed_keys(wanted)}.union(*outdated.values())
    ordered = tuple(key for key in RELOAD_CLASS if key in keys)
    change, why = _verdict(ordered, bool(restart or revived), bool(surplus or missing), bool(outdated))
    if any(_waits_for_a_start(each, wanted) for each in present) and not (restart or revived):
        why += "; its watchdog used at the next start"
    return ProgramPlan(
        wanted.name, change, why, wanted, _as_written(ordered),
        create=missing, start=(*revived, *(missing if up else ())), stop=surplus, restart=restart,
    )  # fmt: skip


def _with_late_keys(plan: ProgramPlan, slots: tuple[Entry, ...], refused: Refused) -> ProgramPlan:
    """Return the plan with the keys that the kernel will refuse for what goes on."""
    wanted, told = plan.wanted, {*plan.start, *plan.restart, *plan.stop}
    if wanted is None:
        return plan
    present = {id(each.present): each.present for each in slots if each.index not in told and _goes_on(each)}.values()
    found = {key for each in present for key in refused(each, wanted)}
    late = tuple(key for key in plan.keys if key in found)
    if not late or plan.change not in (UPDATED, SCALED):
        return plan.replace(late=late)
    scales = plan.change == SCALED
    not_now = (*late, "numprocs") if scales else late
    now = ", ".join(key for key in of_class(plan.keys, LIVE, LIVE_OR_NEXT) if key not in not_now)
    next_ = ", ".join(of_class(plan.keys, NEXT))
    why = [part for part in plan.why.split("; ") if not part.endswith(APPLIED)] if scales else []
    why += [f"{now}{APPLIED}"] if now else []
    why += [f"{next_} used at the next start"] if next_ and not scales else []
    forbidden = ", ".join(key for key in late if key != "limits")
    why += [f"{forbidden} used at the next start: not permitted"] if forbidden else []
    why += ["limits used at the next start: it has no control group"] if "limits" in late else []
    return plan.replace(late=late, why="; ".join(why))


def _waits_for_a_start(before: ProgramConfig, wanted: ProgramConfig) -> bool:
    """Return whether a watchdog has changed, of which an instance learns at its start only."""
    return wanted.health.get(WATCHDOG) not in (None, before.health.get(WATCHDOG))


def _is_used(entry: Entry, wanted: ProgramConfig) -> bool:
    """Return whether a slot is as somebody who wants the program has it: up, given up, or a job that is done."""
    process = entry.process
    over = process.state == EXITED if wanted.schedule else process.done
    return process.goal_is_up or process.state == FATAL or (wanted.policy.type == ONESHOT and over)


def _outdated(entries: list[Entry], wanted: ProgramConfig, *, again: bool) -> dict[Entry, tuple[str, ...]]:
    """Return those that need a new instance, and for which keys; thousands of them share their records, which are compared once."""
    known: dict[tuple[int, int, bool, bool], tuple[str, ...]] = {}
    found: dict[Entry, tuple[str, ...]] = {}
    for entry in entries:
        goes_on, late = _goes_on(entry) or entry.process.state == FATAL, again and _runs_on(entry)
        case = (id(entry.wanted), id(entry.present), goes_on, late)
        if case not in known:
            known[case] = _restart_keys(entry, wanted, late=late)
        if known[case]:
            found[entry] = known[case]
    return found


def _restart_keys(entry: Entry, wanted: ProgramConfig, *, late: bool) -> tuple[str, ...]:
    """Return the changed keys that need a new instance.

    Where no instance goes on, the file's change counts. Elsewhere a key that the present instance was not started with and the
    next start would not use: an edit that was undone before it took effect is none, nor is one that has been told already,
    unless it is `late`: its restart was refused, or not wanted then.
    """
    told = entry.present if late else entry.wanted
    keys = of_class(told.changed_keys(wanted), RESTART)
    if _goes_on(entry) or entry.process.state == FATAL:
        started_with = entry.present
        return tuple(key for key in keys if started_with.value(key) != wanted.value(key))
    return keys


def _runs_on(entry: Entry) -> bool:
    """Return whether an instance runs, and nobody has told it to go down."""
    return entry.process.state == RUNNING and not entry.process.leaving


def _goes_on(entry: Entry) -> bool:
    """Return whether a process is up or on its way up, and nobody has asked it to go down."""
    return entry.process.state in (STARTING, RUNNING, BACKOFF) and entry.process.leaving != STOP


def _as_written(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of the file: what is applied at once of `sockets` is a field of its own."""
    return tuple(dict.fromkeys("sockets" if key == "socket_options" else key for key in keys))


def _verdict(keys: tuple[str, ...], restarts: bool, scales: bool, outdated: bool) -> tuple[str, str]:
    named = ", ".join(of_class(keys, RESTART))
    if restarts:  # the new instance has all that is wanted
        return RESTARTED, f"{named} cannot change while it runs{'; numprocs changed' if scales else ''}"
    later = ", ".join(of_class(keys, NEXT, *((RESTART,) if outdated else ())))
    live = ", ".join(
        _as_written(key for key in of_class(keys, LIVE, LIVE_OR_NEXT) if not (scales and key == "numprocs"))
    )
    if scales:
        parts = (
            "numprocs changed",
            later and f"{later} used at the next start",
            live and f"{live}{APPLIED}",
        )
        return SCALED, "; ".join(part for part in parts if part)
    if later:
        return UPDATED, f"{later} used at the next start"
    if live:
        return UPDATED, f"{live}{APPLIED}"
    if keys:
        return UPDATED, f"{named} again as it was started with"
    return KEPT, "unchanged"

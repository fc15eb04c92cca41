"""The first moments of a daemon: it takes over what an earlier one left, then applies the configuration as a reload would.

What a state tells of is for `adoption`. Live processes of ours that no state tells of are searched for here, at every start.
"""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmaster_common.errors import TaskmasterError
from taskmasterd.core.process.events import Arm
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.orphans import KILL, REFUSE, UNKNOWN, Orphan, judge
from taskmasterd.core.programs.plan import KEPT, diff
from taskmasterd.core.programs.ticket import unheard
from taskmasterd.core.steps import run
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.output.targets import account_of
from taskmasterd.survival.disk.file import ASIDE
from taskmasterd.survival.state import Facts
from taskmasterd.system.child_reads import ask_in_child
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.paths.held import inode_of
from taskmasterd.system.procfs import TICKS_PER_S, each, look, owner_of, pipe_among, ticks_now
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.control.context import Context
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.programs import operations, overlay
    from taskmasterd.core.programs.orphans import Slot, Verdict
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import describe, plans
    from taskmasterd.processes.instance import Instances
    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.survival import adoption
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.system.procfs import Survivor
    from taskmasterd.telling.bus import Bus
else:
    describe = on_demand("taskmasterd.core.words.describe")
    operations = on_demand("taskmasterd.core.programs.operations")
    overlay = on_demand("taskmasterd.core.programs.overlay")
    plans = on_demand("taskmasterd.core.words.plans")
    adoption = on_demand("taskmasterd.survival.adoption")

BY = "the daemon's start"


class LeftBehindError(TaskmasterError):
    """Processes of an earlier daemon are alive, and the operator has forbidden to start programs beside them."""

    def __init__(self, orphans: Mapping[Slot, Verdict]) -> None:
        named = ", ".join(
            f"{one} of {program}:{index}" for (program, index), each in orphans.items() for one in each.all
        )
        super().__init__(f"an earlier daemon left {named}; end them, or use --orphans adopt or kill")


class Takeover:
    """The first moments of a daemon.

    `guard`, if there is one, knows which processes have ended meanwhile; `bus` gets to know of a plan, as after a reload.
    """

    def __init__(self, context: Context, proofs: Proofs, guard: Guard | None, bus: Bus) -> None:
        self._context = context
        self._proofs = proofs
        self._guard = guard
        self._bus = bus

    def begin(self, origin: Origin) -> None:
        """Fill the empty table and start the programs. Raises LeftBehindError if that is forbidden."""
        context, supervisor, guard = self._context, self._context.supervisor, self._guard
        self._note_beginning(origin)
        for level, text in origin.notes:
            context.log.write(level, text)
        self._lay_over(origin)
        run(supervisor.follow(origin.config))
        adopting = Made(
            lambda: adoption.Adoption(
                supervisor,
                context.performer,
                origin.legacy,
                context.inputs,
                adoption.AdoptionEffects(self._deliver, context.log.write, context.reactor.now),
            )
        )
        if origin.saved:
            adopting().take_over(origin.saved)
            self._note_adopted(upgraded=origin.legacy.same)
        facts = origin.saved.facts if origin.saved else Facts()
        rolls = facts.rolls
        if origin.legacy.same:
            adopting().finish()
            if rolls:
                supervisor.rolls().resume(rolls)
            if facts.trial:
                context.reloading().resume(facts.trial)
            return
        for row in rolls:
            context.log.write("warning", f"update of {row['program']} interrupted: the earlier daemon died meanwhile")
        if facts.trial:
            self._settle(origin, facts.trial)
        policy = origin.handed.orphans
        search = OrphanSearch(
            supervisor.table, context.performer.instances, self._proofs, partial(context.log.write, "warning")
        )
        orphans = search.found(origin)
        if orphans and policy == REFUSE and origin.launched:
            raise LeftBehindError(orphans)
        self._follow(origin)
        if origin.saved or orphans or origin.legacy.pipes:
            adopting().settle(orphans, search.began_at, guard.tell if guard else list, kill=policy == KILL)
            adopting().finish()

    def _lay_over(self, origin: Origin) -> None:
        """Read what operators have laid over the file."""
        place = origin.overrides_place
        there = place and (inode_of(place) or inode_of(f"{place}{ASIDE}"))
        trouble = self._context.overlays().read() if there else ""
        if trouble:
            self._context.log.write("error", trouble)

    def _note_beginning(self, origin: Origin) -> None:
        """Queue records of the history: how the daemon before has ended, if it has left a state, and how this one begins."""
        if origin.saved and not origin.legacy.same:
            self._context.log.note("", "crashed")
        word = "upgrade" if origin.legacy.same else "daemon-start"
        self._context.log.note("", word, pid=os.getpid(), version=__version__, config=origin.config.path)

    def _note_adopted(self, *, upgraded: bool) -> None:
        """Queue a record of the history for each instance that has outlived its daemon."""
        context = self._context
        for instance in () if upgraded else context.performer.instances:
            if instance.group.leader_alive:
                name = context.supervisor.table.name(instance.entry)
                context.log.note(name, "adopted", pid=instance.entry.process.pid)

    def _follow(self, origin: Origin) -> None:
        """Apply the configuration as a reload would."""
        context, supervisor = self._context, self._context.supervisor
        table, config = supervisor.table, origin.config
        if table.overlay:
            table.lay_over(overlay.in_force(table.overlay, config))
        wanted = overlay.laid_over(config, table.overlay) if table.overlay else config
        plan = diff(table, origin.running, wanted, supervisor.refused).replace(config=config)
        plan, refused = run(self._bus.preparing(plan))
        for name, text in refused.items():
            context.log.write("error", f"{name}: {text}; it stays as it is")
            context.log.note(name, "reload-failed", reason=text)
        if origin.saved and any(each.change != KEPT for each in plan.programs):
            for line in plans.plan_lines(plan):
                context.log.write("info", f"since the earlier daemon: {line}")
            for name, fields in plans.plan_records(plan, BY):
                context.log.note(name, "reload", **fields)
        run(apply(supervisor, plan, BY, unheard()))
        run(self._bus.applied(plan))
        if origin.launched and origin.saved and origin.saved.facts.stopping:
            run(_start_as_after_a_stop(supervisor))

    def _settle(self, origin: Origin, row: Mapping[str, Any]) -> None:
        """Let the newer configuration hold of a reload on trial. A daemon that an operator starts has read it already."""
        log, reloading = self._context.log, self._context.reloading
        log.write("warning", "reload with --rollback interrupted: the earlier daemon died; the new file holds")
        if not origin.launched:
            self._context.reactor.call_soon(lambda: reloading().settle(row))

    def _deliver(self, entry: Entry, event: Event) -> None:
        self._context.supervisor.handle(entry, event, self._context.reactor.now())


def _start_as_after_a_stop(supervisor: Supervisor) -> Steps[None]:
    """Start programs by `autostart`, as after an orderly stop: the earlier daemon died during its shutdown."""
    entries = [
        entry
        for entry in supervisor.table
        if entry.wanted.autostart and entry.wanted.enabled and not entry.removed and not entry.process.goal_is_up
    ]
    for entry in [entry for entry in entries if entry.wanted.schedule]:
        supervisor.handle(entry, Arm(BY), supervisor.now())
    return operations.start(supervisor, [entry for entry in entries if not entry.wanted.schedule], BY, unheard())


class OrphanSearch:
    """One search; the table holds only what was taken over. `began_at` is the moment, in clock ticks since boot."""

    def __init__(self, table: Table, instances: Instances, proofs: Proofs, warn: Callable[[str], None]) -> None:
        self.began_at = ticks_now()
        self._table = table
        self._instances = instances
        self._proofs = proofs
        self._warn = warn

    def found(self, origin: Origin) -> dict[Slot, Verdict]:
        """Return processes that prove to belong to our programs, and are neither adopted instances nor descendants of one.

        A state lacks at most the instance that the earlier daemon was spawning when it died; the pipes prepared for that instance
        identify it, too. Processes in `origin.left` were left running on purpose and are not reported.
        """
        spawning = origin.saved.spawning if origin.saved else {}
        if origin.saved and not spawning:
            return {}
        proofs, by_pipe = self._proofs, {inode: slot for slot, (_, inodes) in spawning.items() for inode in inodes}
        pids = self._candidates(origin, min((began for began, _ in spawning.values()), default=0.0))
        said = ask_in_child(pids, proofs.judged)
        found: list[tuple[Slot, Orphan]] = []
        for pid in pids if by_pipe else said:
            slot = proofs.slot_in(said.get(pid, "")) or _slot_by_pipe(pid, by_pipe)
            one = look(pid) if slot else None
            if slot and one and (self._table.slot(*slot) is None or _is_newer(one, spawning.get(slot))):
                uid = owner_of(pid)
                found.append((slot, Orphan(pid, one.started, one.session, UNKNOWN if uid is None else uid, one.name)))
        users = {program.name: _uid_of(program) for program in origin.config.programs}
        self._tell_claims(said, users)
        return judge(found, lambda slot: users.get(slot[0]))

    def _candidates(self, origin: Origin, since: float) -> list[int]:
        """Return the pids of all processes that began since then and of which nothing is known."""
        known = {session for one in self._instances for session in (one.group.pid, *one.group.sessions)}
        ourselves = (os.getpid(), os.getppid() if origin.legacy.guarded else 0)
        return [
            one.pid
            for one in each()
            if one.session not in known
            and one.pid not in ourselves
            and (one.pid, one.started) not in origin.left
            and one.started >= int(since * TICKS_PER_S) - 1
        ]

    def _tell_claims(self, said: Mapping[int, str], users: Mapping[str, int | None]) -> None:
        """Log processes with a plausible claim but no proof, such as those that a version without proofs has started."""
        proofs = self._proofs
        claims = [
            (pid, slot)
            for pid, text in said.items()
            if not proofs.slot_in(text) and (slot := proofs.slot_in(text, older=True))
        ]
        claims = [(pid, slot) for pid, slot in claims if slot[0] in users and owner_of(pid) == users[slot[0]]]
        if not claims:
            return
        named = [f"{one} of {slot[0]}:{slot[1]}" for pid, slot in claims[: describe.NAMED_LEFT] if (one := look(pid))]
        if named:
            more = f" and {len(claims) - describe.NAMED_LEFT} more" if len(claims) > describe.NAMED_LEFT else ""
            self._warn(f"left alone, since nothing proves what they say: {', '.join(named)}{more}")


def _is_newer(one: Survivor, spawn: tuple[float, tuple[int, ...]] | None) -> bool:
    """Return whether a process may be of the `spawn` that an earlier daemon was about when it died."""
    return spawn is not None and one.started >= int(spawn[0] * TICKS_PER_S) - 1


def _slot_by_pipe(pid: int, by_pipe: Mapping[int, Slot]) -> Slot | None:
    """Return the slot whose prepared pipe a process holds, or None."""
    inode = pipe_among(pid, by_pipe)
    return by_pipe[inode] if inode is not None else None


def _uid_of(program: ProgramConfig) -> int | None:
    """Return the uid of a program's instances, None if it is unknown."""
    try:
        who = account_of(program)
    except SetupError:
        return None
    return who.uid if who else os.geteuid()

"""Has running instances follow a reload: what they may use is set on all of their processes and threads.

What the kernel refuses is used at the next start: the instance is outdated until then.
"""

from __future__ import annotations

from taskmaster_common.config import LIVE_OR_NEXT, NEXT, RESTART
from taskmaster_common.errors import system_reason
from taskmaster_common.states import RUNNING, STARTING
from taskmaster_common.text.formats import format_size
from taskmasterd.core import limits as core
from taskmasterd.core.cgroups import limits_of, wants_group
from taskmasterd.core.process.events import Executed
from taskmasterd.core.programs.table import of_class
from taskmasterd.processes.limits.autogroups import Autogroups
from taskmasterd.system.limits import running
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.offspring import tree
from taskmasterd.system.procfs import look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from taskmaster_common.config import MayUse
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.ondemand import Made
    from taskmasterd.processes.instance import Instance, Instances
    from taskmasterd.processes.limits.cgroups import ControlGroups
    from taskmasterd.processes.limits.limits import Grants
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.procfs import Survivor

    LiveParts = tuple[Reactor, Instances, Made[Grants], Callable[[Entry], None], Made[ControlGroups], Table]
    """The loop, what lives, what may be set, who writes down what an instance has, where groups are, all slots."""

MEMORY = "memory"
LOST = "lost"
"""The event of the history."""
MOST_LOOKS = 20
"""Most looks for newcomers at one instance: one that forks on and on must not keep a reload busy for ever."""


class LiveLimits:
    """What has running instances follow; a member of the change bus. `say(entry, text)` is for people, `note(entry, event, reason)` for the history."""

    def __init__(
        self, parts: LiveParts, say: Callable[[Entry, str], None], note: Callable[[Entry, str, str], None]
    ) -> None:
        self._reactor, self._instances, self._limits, self._changed, self._cgroups, self._table = parts
        self._say = say
        self._note = note
        self._reactor.call_soon(self._sweep)
        self._autogroups = Autogroups(self._reactor)

    def happened(self, entry: Entry, _before: Process, event: Event, _after: Process) -> None:
        """Look at an instance that was executed: only now its session exists, and a reload may have come meanwhile."""
        if isinstance(event, Executed):
            self.added(entry)
            if _outdated(entry):
                self._reactor.rounds.begin(self.update(entry))

    def added(self, entry: Entry) -> None:
        """Look at the autogroup of an instance that was taken over, or executed."""
        may_use, pid = entry.present.may_use, entry.process.pid
        if pid is not None and wants_group(may_use):
            entry.lack(self._cgroups().lacking(may_use))
            instance = self._instances.of(entry)
            if instance and instance.group.cgroup and MEMORY in limits_of(may_use):
                self._cgroups().losses.begin(instance.group.cgroup, partial(self._lost, entry, instance))
        nice = may_use.nice
        if nice is not None and pid is not None and entry.process.state in (STARTING, RUNNING):
            self._set_autogroup(entry, pid, nice)

    def _lost(self, entry: Entry, instance: Instance, count: int) -> None:
        """Say that the kernel has killed processes of a running instance, which goes on."""
        if instance.group.leader_alive and self._instances.of(entry) is instance:
            may_use = entry.present.may_use
            text = f"{count} process{'' if count == 1 else 'es'} to limits.memory"
            entry.lack(self._cgroups().lacking(may_use), losses=f"lost {text}")
            reason = f"{text} ({format_size(int(limits_of(may_use)[MEMORY]))})"
            self._say(entry, f"lost {reason}")
            self._note(entry, LOST, reason)

    def _sweep(self) -> None:
        """End what an earlier daemon has left in groups that are no instance's; before anything is started."""
        if any(wants_group(entry.wanted.may_use) for entry in self._table):
            known = {instance.group.cgroup for instance in self._instances}
            free = {entry.program for entry in self._table if not entry.wanted.stopasgroup}
            self._cgroups().sweep(known, free)

    def update(self, entry: Entry) -> Steps[None]:
        """Set what is wanted on an instance that was started with something else."""
        instance, before, keys = self._instances.of(entry), entry.current, _outdated(entry)
        if instance is None or before is None or not keys:
            return
        known = self._limits().refused(before.may_use, entry.wanted.may_use)  # the plan has said it
        setting = _Setting(before.may_use, entry.wanted.may_use, self._limits().can, known)
        if "limits" in keys and "limits" not in known:
            self._change_limits(entry, instance.group.cgroup, before.may_use, setting)
        yield from self._set_on_all(instance, setting)
        if entry.current is not before:
            return  # another instance has been started meanwhile
        for key, reason in setting.refused.items():
            if reason:
                self._say(entry, f"{key} not set on what runs: {reason}; used at the next start")
        if "nice" in keys and "nice" not in setting.refused:
            self._set_autogroup(entry, instance.group.pid, entry.wanted.may_use.nice or 0)
        done = [key for key in keys if key not in setting.refused]
        if done:
            taken = before.with_keys(**{key: entry.wanted.value(key) for key in done})
            rest = of_class(taken.changed_keys(entry.wanted), RESTART, NEXT, LIVE_OR_NEXT)
            entry.current = taken if rest else entry.wanted  # thousands of instances share one record
            self._changed(entry)

    def _change_limits(self, entry: Entry, path: str, before: MayUse, setting: _Setting) -> None:
        wanted = entry.wanted.may_use
        try:
            if path:
                self._cgroups().change(path, before, wanted)
        except OSError as error:
            setting.refused["limits"] = system_reason(error)
        entry.lack(self._cgroups().lacking(wanted))

    def _set_on_all(self, instance: Instance, setting: _Setting) -> Steps[None]:
        """Set it on all processes, and look again until there is no newcomer: what forked before has the old values."""
        done: set[tuple[int, int]] = set()
        for _ in range(MOST_LOOKS):
            found = yield from self._members(instance)
            new = [one for one in found if (one.pid, one.started) not in done]
            if not new:
                return
            for one in new:
                setting.apply(one.pid)
                done.add((one.pid, one.started))
                yield

    def _members(self, instance: Instance) -> Generator[None, None, list[Survivor]]:
        leader = look(instance.group.pid) if instance.group.leader_alive else None
        found = (yield from tree(leader)) if leader else []
        others = yield from self._instances.groups.look([instance.group])
        return [*found, *others.get(instance.group, ())]

    def _set_autogroup(self, entry: Entry, pid: int, nice: int) -> None:
        try:
            self._autogroups.want(pid, nice)
        except OSError as error:
            self._say(entry, f"nice {nice} not set for its autogroup: {system_reason(error)}")


def _outdated(entry: Entry) -> tuple[str, ...]:
    """Return the keys whose wanted values the live instance could get now."""
    if entry.current is None or entry.process.pid is None or entry.current is entry.wanted:
        return ()
    return of_class(entry.current.changed_keys(entry.wanted), LIVE_OR_NEXT)


class _Setting:
    """What one instance gets; `refused` says of the keys that it cannot get why not, "" of those that were `known` before."""

    def __init__(self, before: MayUse, wanted: MayUse, can: core.Can, known: tuple[str, ...]) -> None:
        self.refused = dict.fromkeys(known, "")
        self._rlimits = core.changed_rlimits(before, wanted, can)
        self._nice = core.nice_of(wanted, can) if wanted.nice != before.nice else None
        self._cpus = core.cpus_of(wanted, can) if wanted.cpu_affinity != before.cpu_affinity else ()
        self._score = core.score_of(wanted, can) if wanted.oom_score_adj != before.oom_score_adj else None

    def apply(self, pid: int) -> None:
        """Set it on one process."""
        for limit in self._rlimits:
            self._attempt("rlimits", partial(running.set_rlimit, pid, limit))
        if self._nice is not None:
            self._attempt("nice", partial(running.set_nice, pid, self._nice))
        if self._cpus:
            self._attempt("cpu_affinity", partial(running.set_cpus, pid, self._cpus))
        if self._score is not None:
            self._attempt("oom_score_adj", partial(running.set_score, pid, self._score))

    def _attempt(self, key: str, act: Callable[[], None]) -> None:
        if key not in self.refused:
            try:
                act()
            except OSError as error:
                self.refused[key] = system_reason(error)

"""What becomes of `rlimits`, `nice`, `cpu_affinity` and `oom_score_adj`: where a value is set, and what the kernel will refuse. Pure."""

from __future__ import annotations

from taskmaster_common.config.limits import UNLIMITED, Rlimit, amount_text, cpus_text, exceeds, limit_text, rlimit_of
from taskmaster_common.config.words import value_files
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskmaster_common.config import MayUse, ProgramConfig

READY_FD = "fd"
"""The way of `ready` that gives a program a descriptor besides its streams."""
KEYS = ("rlimits", "nice", "cpu_affinity", "oom_score_adj")
PUT_BACK = frozenset(("core", "fsize", "memlock", "msgqueue", "nofile", "rtprio", "sigpending"))
"""Limits that a daemon can have itself for the length of a spawn.

Not those that could make the spawn fail: `as`, `data`, `stack` (ENOMEM) and `nproc` (EAGAIN); nor those that count on: `cpu`,
`rttime`.
"""


class Can(Record):
    """What a daemon may do, and what it has itself and so gives to programs without the keys.

    `resource` and `nicer`: it has CAP_SYS_RESOURCE, CAP_SYS_NICE. `rlimits` are its own pairs (soft, hard) by name, those that it
    was started with; `files` is the most of `nofile` that the kernel has.
    """

    uid: int
    resource: bool
    nicer: bool
    rlimits: Mapping[str, tuple[int, int]]
    nice: int
    cpus: tuple[int, ...]
    oom_score_adj: int
    files: int = UNLIMITED

    @property
    def nicest(self) -> int:
        """The lowest nice that processes may take without a privilege, 20 for none. Source: getrlimit(2), RLIMIT_NICE."""
        return 20 - self.rlimits.get("nice", (0, 0))[0]


# -- at a spawn


def rlimit_around(limit: Rlimit, can: Can) -> bool:
    """Return whether the daemon can take this limit for the length of a spawn and put its own back: no fork is needed."""
    return limit.name in PUT_BACK and (limit.hard is None or can.resource)


def nice_around(can: Can) -> bool:
    """Return likewise for `nice`: a lower one than the present takes a privilege."""
    return can.nicer


def oom_around(score: int, can: Can) -> bool:
    """Return likewise for `oom_score_adj`. Source: proc(5): below what root has once set it takes a privilege."""
    return score >= can.oom_score_adj or can.resource


def needs_fork(program: ProgramConfig, can: Can, *, grouped: bool) -> Iterator[str]:
    """Yield the keys for which the daemon has to fork, since only a child can do what they say; `grouped`: there are control groups."""
    may = program.may_use
    yield from (f"rlimits.{limit.name}" for limit in map(rlimit_of, may.rlimits) if not rlimit_around(limit, can))
    if may.nice is not None and not nice_around(can):
        yield "nice"
    if may.oom_score_adj is not None and not oom_around(may.oom_score_adj, can):
        yield "oom_score_adj"
    if grouped and (may.limits or may.cgroup):
        yield "limits" if may.limits else "cgroup"
    if program.env_file:
        yield "env_file"
    yield from (f"env.{name}" for name in value_files(program.env))
    if program.sockets:
        yield "sockets"
    if READY_FD in program.ready:
        yield "ready"
    if can.uid == 0:  # even for `user: root`, which sets its groups
        yield from (key for key in ("user", "group") if getattr(program.run_as, key) is not None)


# -- what cannot be set here


def impossible(wanted: MayUse, can: Can) -> Iterator[tuple[str, str]]:
    """Yield (key, reason) for each value that a child of this daemon cannot get."""
    for limit in map(rlimit_of, wanted.rlimits):
        reason = rlimit_refusal(limit, can)
        if reason:
            yield "rlimits", reason
    if wanted.nice is not None and wanted.nice < min(can.nice, can.nicest) and not can.nicer:
        yield "nice", nice_refusal(wanted.nice, can)
    if wanted.cpu_affinity and missing_cpus(wanted.cpu_affinity, can):
        yield "cpu_affinity", cpus_refusal(wanted.cpu_affinity, can.cpus)
    score = wanted.oom_score_adj
    if score is not None and score < can.oom_score_adj and not can.resource:
        yield "oom_score_adj", oom_refusal(score, can)


def rlimit_refusal(limit: Rlimit, can: Can) -> str:
    """Return why a limit cannot be set, or ""."""
    hard = can.rlimits.get(limit.name, (UNLIMITED, UNLIMITED))[1]
    most = limit.soft if limit.hard is None else limit.hard
    if limit.name == "nofile" and exceeds(most, can.files):
        return f"cannot set rlimits.nofile to {limit_text(limit)}: the most of this kernel is {can.files} (fs.nr_open)"
    if not exceeds(most, hard) or (can.resource and limit.hard is not None):
        return ""
    why = f"the hard limit is {amount_text(limit.name, hard)}"
    if limit.hard is not None:
        why += f" and the daemon runs as uid {can.uid}" + ("" if can.uid else " without CAP_SYS_RESOURCE")
    return f"cannot set rlimits.{limit.name} to {limit_text(limit)}: {why}"


def nice_refusal(nice: int, can: Can) -> str:
    """Return why a nice cannot be taken."""
    return (
        f"cannot set nice to {nice}: the lowest is {min(can.nice, can.nicest)} for a daemon that runs as uid {can.uid}"
    )


def missing_cpus(cpus: tuple[int, ...], can: Can) -> tuple[int, ...]:
    """Return those of some processors that the daemon may not use."""
    return tuple(cpu for cpu in cpus if cpu not in can.cpus)


def cpus_refusal(cpus: tuple[int, ...], there: tuple[int, ...]) -> str:
    """Return why processors cannot be used."""
    return f"cannot set cpu_affinity to {cpus_text(cpus)}: the daemon may use {cpus_text(there) or 'none'}"


def oom_refusal(score: int, can: Can) -> str:
    """Return why a score cannot be set."""
    return (
        f"cannot set oom_score_adj to {score}: the daemon's own is {can.oom_score_adj}, and lower takes CAP_SYS_RESOURCE, "
        f"which uid {can.uid} does not have"
    )


# -- while it runs


def changed_rlimits(before: MayUse, wanted: MayUse, can: Can) -> list[Rlimit]:
    """Return the limits to set on processes that have those of `before`; one that was taken out gets the daemon's own."""
    old, new = ({limit.name: limit for limit in map(rlimit_of, rows)} for rows in (before.rlimits, wanted.rlimits))
    found = [limit for name, limit in new.items() if old.get(name) != limit]
    gone = [name for name in old if name not in new and name in can.rlimits]
    return found + [Rlimit(name, *can.rlimits[name]) for name in gone]


def refused(before: MayUse, wanted: MayUse, can: Can) -> tuple[str, ...]:
    """Return the changed keys that the kernel will not let this daemon set on processes that have `before`."""
    found: list[str] = []
    present = {limit.name: limit.hard for limit in map(rlimit_of, before.rlimits) if limit.hard is not None}
    for limit in changed_rlimits(before, wanted, can):
        hard = present.get(limit.name, can.rlimits.get(limit.name, (UNLIMITED, UNLIMITED))[1])
        most = limit.soft if limit.hard is None else limit.hard
        if exceeds(most, hard) and not (can.resource and limit.hard is not None):
            found.append("rlimits")
    if nice_of(wanted, can) < min(nice_of(before, can), can.nicest) and not can.nicer:
        found.append("nice")
    score = score_of(wanted, can)
    if score < score_of(before, can) and score < can.oom_score_adj and not can.resource:
        found.append("oom_score_adj")
    if wanted.limits != before.limits and not (before.limits or before.cgroup):
        found.append("limits")  # moving a running tree is racy, and leaves its memory charged elsewhere
    return tuple(dict.fromkeys(found))


def nice_of(may: MayUse, can: Can) -> int:
    """Return the nice of a program, written or the daemon's."""
    return can.nice if may.nice is None else may.nice


def cpus_of(may: MayUse, can: Can) -> tuple[int, ...]:
    """Return the processors of a program, likewise."""
    return may.cpu_affinity or can.cpus


def score_of(may: MayUse, can: Can) -> int:
    """Return the oom_score_adj of a program, likewise."""
    return can.oom_score_adj if may.oom_score_adj is None else may.oom_score_adj

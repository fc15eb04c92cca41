"""Where control groups of programs may be, what of `limits` is in force there, and what is written into which file. Pure.

Source: cgroup-v2 of the kernel's documentation, systemd's "Control Group APIs and Delegation".
"""

from __future__ import annotations

from taskmaster_common.config.limits import PROCESS, SIZES, WHOLE_GROUP, quota_of
from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskmaster_common.config import MayUse

SUPERVISOR = "supervisor"
"""The control group of the daemon itself below a delegated one: an inner group must have no processes."""
CONTROLLERS = {
    "memory": "memory",
    "memory_high": "memory",
    "swap": "memory",
    "oom": "memory",
    "cpu": "cpu",
    "cpu_weight": "cpu",
    "tasks": "pids",
}
FILES = {
    "memory": "memory.max",
    "memory_high": "memory.high",
    "swap": "memory.swap.max",
    "oom": "memory.oom.group",
    "cpu": "cpu.max",
    "cpu_weight": "cpu.weight",
    "tasks": "pids.max",
}
UNSET = {
    "memory": "max",
    "memory_high": "max",
    "swap": "max",
    "oom": "0",
    "cpu": "max 100000",
    "cpu_weight": "100",
    "tasks": "max",
}
"""What a file has without the limit."""
PAGE = 65_536
"""Largest page of a machine, bytes."""
PERIOD_US = 100_000
"""Period of cpu.max, microseconds."""


class CgroupFacts(Record):
    """What is so on this host. `mount` is where cgroup v2 is mounted, "" for nowhere; `own` the daemon's group there, as a path.

    `read_only` and `writable` are about `mount`, or about `configured` where that is not ""; `delegated`: systemd has given `own`, or
    the group above it, to this daemon. `booted`: systemd is the host's init. `name` is that of a root of our own.
    """

    uid: int
    pid: int
    mount: str
    own: str
    configured: str
    delegated: bool
    booted: bool
    read_only: bool
    writable: bool
    name: str


class CgroupRoot(Record):
    """The group below which those of programs are, "" for none: then `reason` says why.

    `moved`: all processes in it move to SUPERVISOR first. `ours`: it was made for this daemon, and goes with it.
    """

    path: str = ""
    reason: str = ""
    moved: bool = False
    ours: bool = False


def choose(facts: CgroupFacts) -> CgroupRoot:
    """Return where control groups of programs may be: never in a group that is somebody else's."""
    if facts.configured:
        if facts.writable:
            return CgroupRoot(facts.configured, "cgroup_root", moved=facts.configured == facts.own)
        return CgroupRoot(reason=f"{facts.configured} is no cgroup v2 that uid {facts.uid} may write")
    if not facts.mount:
        return CgroupRoot(reason="this system has no cgroup v2")
    if facts.delegated:
        path = facts.own[: -len(SUPERVISOR) - 1] if facts.own.endswith(f"/{SUPERVISOR}") else facts.own
        return CgroupRoot(path, "delegated by systemd", moved=True)
    if facts.booted:
        return CgroupRoot(reason="not delegated: add Delegate=yes to the unit")
    if facts.read_only:
        return CgroupRoot(reason="read-only file system; the container's own limits hold")
    if not facts.writable:
        return CgroupRoot(reason=f"the daemon (uid {facts.uid}) may not write {facts.mount}")
    if facts.pid == 1:
        return CgroupRoot(facts.mount, "the container's own", moved=True)
    return CgroupRoot(f"{facts.mount}/{facts.name}", "made by this daemon", ours=True)


def wants_group(may_use: MayUse) -> bool:
    """Return whether a program has a control group of its own."""
    return bool(may_use.cgroup or may_use.limits)


def limits_of(may_use: MayUse) -> dict[str, str]:
    """Return the values of `limits` by name."""
    return dict(row.split(" ", 1) for row in may_use.limits)


def is_required(may_use: MayUse) -> bool:
    """Return whether a program is not to run without its limits."""
    return limits_of(may_use).get("required") == "true"


def contents(may_use: MayUse) -> Iterator[tuple[str, str, str]]:
    """Yield (limit, file, content) for each limit, what hinders least first: memory.high before memory.max."""
    limits = limits_of(may_use)
    for name, file in FILES.items():
        if name in limits:
            yield name, file, content_of(name, limits[name])


def content_of(name: str, value: str) -> str:
    """Return what is written for the value of a limit."""
    if name == "cpu":
        return f"{quota_of(value, PERIOD_US)} {PERIOD_US}"
    if name == "oom":
        return "1" if value == "group" else "0"
    return value


def shown(name: str, content: str) -> str:
    """Return what a file has as one would write the limit: "512MB", "1.5"."""
    first = content.split(" ", maxsplit=1)[0]
    if not first.isdigit():
        return content
    if name in SIZES:
        return format_size(int(first))
    if name == "cpu":
        return f"{int(first) / int(content.split(' ')[1]):g}"
    return WHOLE_GROUP if name == "oom" and first == "1" else PROCESS if name == "oom" else content


def equals(content: str, wanted: str) -> bool:
    """Return whether a file has what was written into it; the kernel rounds sizes down to pages."""
    if content.isdigit() and wanted.isdigit():
        return 0 <= int(wanted) - int(content) < PAGE
    return content == wanted


def changes(before: MayUse, wanted: MayUse) -> Iterator[tuple[str, str, str]]:
    """Yield (limit, file, content) for what has to be written into the group of an instance that has `before`."""
    old, new = limits_of(before), limits_of(wanted)
    for name, file in FILES.items():
        if old.get(name) != new.get(name):
            yield name, file, content_of(name, new[name]) if name in new else UNSET[name]


def lacking(may_use: MayUse, root: CgroupRoot, refused: Mapping[str, str]) -> str:
    """Return what of it is not in force, and why, or "". `refused` has the controllers that cannot be used, with the reason."""
    if not root.path:
        names = [f"limits.{name}" for name, _file, _content in contents(may_use)]
        named = ", ".join(names) or "cgroup"
        return f"{named} not in force: {root.reason}" if wants_group(may_use) else ""
    found: dict[str, list[str]] = {}
    for name, _file, _content in contents(may_use):
        if CONTROLLERS[name] in refused:
            found.setdefault(refused[CONTROLLERS[name]], []).append(f"limits.{name}")
    return "; ".join(f"{', '.join(names)} not in force: {reason}" for reason, names in found.items())

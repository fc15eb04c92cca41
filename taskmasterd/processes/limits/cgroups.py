"""The control groups of instances: one for each, made before its fork and removed when nothing of it is left."""

from __future__ import annotations

import os

from taskmaster_common.config import LIKE_THE_DAEMON
from taskmaster_common.config.limits import memory_text
from taskmaster_common.errors import system_reason
from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_size
from taskmasterd.core import cgroups as core
from taskmasterd.processes.limits.losses import Losses
from taskmasterd.system import cgroups
from taskmasterd.system.loop.cmodules import keyed_hash
from taskmasterd.system.spawner import SetupError, SetupStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from taskmaster_common.config import MayUse
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.system.loop.reactor import Reactor

AGAIN_S = 0.1
NAMED_AFTER = 20
"""Pause before a group that is still in use is removed again, seconds, and after how many attempts it is named."""


class Joining(Record):
    """The group that a child is to join, the step that does so, and the descriptor that is closed after the fork."""

    path: str
    step: SetupStep
    fd: int


def find_root(configured: str | None, socket: str, uid: int | None = None) -> core.CgroupRoot:
    """Return where control groups of programs may be; changes nothing. `uid` None is the present user."""
    mount = cgroups.mounted_at()
    own = f"{mount}{cgroups.own_group()}"
    above = own.rpartition("/")[0]
    judged = configured or mount
    here = os.geteuid()
    is_above = own.endswith(f"/{core.SUPERVISOR}") and cgroups.is_delegated(above)
    return core.choose(
        core.CgroupFacts(
            uid=here if uid is None else uid,
            pid=os.getpid(),
            mount=mount,
            own=own,
            configured=configured or "",
            delegated=bool(mount) and (cgroups.is_delegated(own) or is_above),
            booted=cgroups.is_booted(),
            read_only=cgroups.is_read_only(judged),
            writable=cgroups.is_group(judged) and _may_write(judged, here if uid is None else uid),
            name="taskmaster-" + keyed_hash(b"", socket.encode("utf-8", "surrogateescape")).hex()[:12],
        )
    )


def _may_write(path: str, uid: int) -> bool:
    if uid == os.geteuid():
        return os.access(path, os.W_OK)
    return uid == 0 or os.stat(path).st_uid == uid


def not_usable(root: core.CgroupRoot) -> dict[str, str]:
    """Return the controllers that a root cannot have, with the reason; changes nothing."""
    if not root.path:
        return {}
    parent = os.path.dirname(root.path)
    given = (
        cgroups.words(parent, "cgroup.subtree_control") if root.ours else cgroups.words(root.path, "cgroup.controllers")
    )
    return {name: f"{name} is not delegated" for name in {*core.CONTROLLERS.values()} if name not in given}


class ControlGroups:
    """Made with the first program that wants a group; the root is found then. `say(level, text)` is for people."""

    def __init__(self, reactor: Reactor, configured: str | None, socket: str, say: Callable[[str, str], None]) -> None:
        self._reactor = reactor
        self._say = say
        self._enabled: set[str] = set()
        self._said: set[str] = set()
        self._removing: dict[str, int] = {}
        self._emptied: dict[str, cgroups.FileNotice] = {}
        self.losses = Losses(reactor)
        self.root = self._prepared(find_root(configured, socket))
        self._refused = not_usable(self.root)

    def _prepared(self, root: core.CgroupRoot) -> core.CgroupRoot:
        """Make the root, and take out of it what must not be in an inner group."""
        try:
            if root.ours:
                cgroups.make(root.path)
            if root.moved:
                cgroups.make(f"{root.path}/{core.SUPERVISOR}")
                for pid in cgroups.words(root.path, "cgroup.procs"):
                    cgroups.write(f"{root.path}/{core.SUPERVISOR}", "cgroup.procs", pid)
        except OSError as error:
            return core.CgroupRoot(reason=f"cannot use {root.path}: {system_reason(error)}")
        return root

    @property
    def controllers(self) -> list[str]:
        """The controllers that groups of programs can have."""
        return sorted({*core.CONTROLLERS.values()} - {*self._refused}) if self.root.path else []

    # -- one instance

    def path_of(self, entry: Entry) -> str:
        """Return the group of a slot."""
        return f"{self.root.path}/{entry.program}-{entry.index}"

    def enter(self, entry: Entry) -> Joining | None:
        """Make the group of an instance that is about to be spawned, with its limits; None where there can be none.

        Raises SetupError where the program is not to run without them, or something of an earlier instance is still there.
        """
        may_use = entry.wanted.may_use
        self._enable(may_use)
        lacking = self.lacking(may_use)
        if lacking and core.is_required(may_use):
            raise SetupError("limits", lacking)
        entry.lack(lacking)
        if lacking and lacking not in self._said:
            self._said.add(lacking)
            self._say("warning", f"{entry.canonical}: {lacking}")
        if not self.root.path:
            return None
        path = self.path_of(entry)
        if cgroups.populated(path) and entry.wanted.stopasgroup:
            cgroups.kill(path)
            raise SetupError("cgroup", f"what an earlier instance has left in {path} is being killed")
        try:
            cgroups.make(path)
            self._write(path, core.changes(LIKE_THE_DAEMON, may_use))
            fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SetupError("cgroup", f"cannot make the control group {path}: {system_reason(error)}") from None
        self._removing.pop(path, None)
        return Joining(path, SetupStep("cgroup", f"join the control group {path}", lambda _setup: _join(fd)), fd)

    def lacking(self, may_use: MayUse) -> str:
        """Return what of it is not in force, and why, or ""."""
        return core.lacking(may_use, self.root, self._refused)

    def _enable(self, may_use: MayUse) -> None:
        """Have the controllers of these limits in the groups of programs; a refusal disables that controller only."""
        for name, _file, _content in core.contents(may_use):
            controller = core.CONTROLLERS[name]
            if self.root.path and controller not in self._enabled and controller not in self._refused:
                try:
                    cgroups.write(self.root.path, "cgroup.subtree_control", f"+{controller}")
                    self._enabled.add(controller)
                except OSError as error:
                    self._refused[controller] = f"{controller} cannot be enabled: {system_reason(error)}"

    def _write(self, path: str, rows: Iterable[tuple[str, str, str]]) -> None:
        for name, file, content in rows:
            if core.CONTROLLERS[name] not in self._refused:
                cgroups.write(path, file, content)

    def change(self, path: str, before: MayUse, wanted: MayUse) -> None:
        """Write changed limits into the group of a running instance. Raises OSError."""
        self._enable(wanted)
        used, size = cgroups.words(path, "memory.current"), core.limits_of(wanted).get("memory", "")
        if used and size and int(used[0]) > int(size):
            text = f"{memory_text(wanted.limits)} is less than the {format_size(int(used[0]))} in use"
            self._say("warning", f"{path}: {text}; the kernel takes some back, or kills")
        self._write(path, core.changes(before, wanted))

    # -- the end

    def starved(self, path: str, may_use: MayUse) -> str:
        """Return that the kernel has just killed in a group whose memory was used up, or ""."""
        return f"out of memory ({memory_text(may_use.limits)})" if self.losses.grown(path) else ""

    def await_empty(self, path: str, emptied: Callable[[], None]) -> bool:
        """Call `emptied()` once nothing is in a group any more; return whether the kernel will say so."""

        def changed() -> None:
            if not cgroups.populated(path):
                self._forget_notice(path)
                emptied()

        if path in self._emptied or not cgroups.populated(path):
            return path in self._emptied
        try:
            self._emptied[path] = cgroups.FileNotice(self._reactor, path, "cgroup.events", changed)
        except (OSError, ValueError):  # no descriptor, or a loop that cannot wait for it
            return False
        changed()
        return path in self._emptied

    def _forget_notice(self, path: str) -> None:
        notice = self._emptied.pop(path, None)
        if notice:
            notice.close()

    def release(self, path: str) -> None:
        """Remove a group of which nothing is left, again and again while the kernel still has it in use."""
        self.losses.end(path)
        self._forget_notice(path)
        self._removing[path] = 0
        self._remove(path)

    def _remove(self, path: str) -> None:
        if path not in self._removing:
            return  # the next instance is in it
        if cgroups.remove(path):
            del self._removing[path]
            return
        self._removing[path] += 1
        if self._removing[path] == NAMED_AFTER:
            self._say("warning", f"cannot remove the control group {path}: it is in use")
        if self._removing[path] <= NAMED_AFTER:
            self._reactor.call_later(AGAIN_S, lambda: self._remove(path))

    def sweep(self, known: Collection[str], free: Collection[str]) -> None:
        """Kill what an earlier daemon has left in groups that are no instance's, except of the programs `free`, and remove them."""
        for name in os.listdir(self.root.path) if self.root.path else ():
            path = f"{self.root.path}/{name}"
            if name == core.SUPERVISOR or path in known or not cgroups.is_group(path):
                continue
            if cgroups.populated(path) and name.rpartition("-")[0] not in free:
                pids = cgroups.members(path)
                self._say("warning", f"killing what an earlier daemon left in {path}: {len(pids)} processes")
                cgroups.kill(path)
            self.release(path)

    def close(self) -> None:
        """Remove the root that this daemon has made, at its orderly end; what is still in use stays."""
        if self.root.ours:
            cgroups.remove(self.root.path)


def _join(fd: int) -> None:
    os.write(fd, b"0")

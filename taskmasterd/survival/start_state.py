"""Reads the state with which a resident daemon starts: from the launcher, from a guardian, or from itself before an upgrade.

All three hand over the same JSON on a descriptor (`state.Handed`). This module reads that JSON and the state file of an earlier
daemon, and decides which configuration to begin with.
"""

from __future__ import annotations

import os

from taskmaster_common.config import DAEMON_LIVE_KEYS, Config, DaemonConfig, ProgramConfig
from taskmaster_common.errors import SystemFailure
from taskmaster_common.jsontext import read_json
from taskmaster_common.records import Record
from taskmasterd.ondemand import on_demand
from taskmasterd.output.targets import leads_to_a_pipe
from taskmasterd.survival.disk.file import (
    HISTORY,
    SUFFIX,
    file_name,
    overrides_place,
    pid_namespace,
    read_lines,
    set_aside,
)
from taskmasterd.survival.state import Facts, Handed, Legacy
from taskmasterd.system.paths.held import inode_of
from taskmasterd.system.procfs import boot_id, can_adopt, ticks_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.survival import guardian_channel
    from taskmasterd.survival.disk import reader
    from taskmasterd.survival.state import ProcessState, Saved
else:
    reader = on_demand("taskmasterd.survival.disk.reader")
    guardian_channel = on_demand("taskmasterd.survival.guardian_channel")

NOTHING_KEPT = "-"
RUNS = "runs"
ALERTS = "alerts"
"""The directory of all queues of alerts, below that of the state."""
CANNOT_ADOPT = "programs of a daemon that dies cannot be taken over here: that needs Linux 5.3 and /proc"


class Origin(Record):
    """The state with which this daemon begins.

    `handed` is what was handed over, `config` the configuration from now on, `saved` the usable state of an earlier daemon, or
    None. `launched`: an operator has started this daemon, so `config` was just read; otherwise `config` is the earlier daemon's.
    `running` is the configuration of the daemon itself at its launch. `notes` are (level, text) for the event log, `channel`
    leads to the guardian. `left` are processes, as (pid, start time), that the orderly stop of an earlier daemon left alone: they
    are not instances.
    """

    handed: Handed
    running: DaemonConfig
    config: Config
    saved: Saved | None
    legacy: Legacy
    launched: bool
    identity: Mapping[str, Any]
    notes: tuple[tuple[str, str], ...] = ()
    left: tuple[tuple[int, int], ...] = ()
    channel: int | None = None

    @property
    def state_path(self) -> str | None:
        """The path of the state file, None without a directory for it."""
        places = self.handed.places
        return places["state_dir"] and os.path.join(places["state_dir"], file_name(places["socket"]))

    @property
    def alerts_place(self) -> str | None:
        """The directory of the queues of alerts, None without a directory for the state."""
        path = self.state_path
        return path and os.path.join(os.path.dirname(path), ALERTS, os.path.basename(path).removesuffix(SUFFIX))

    @property
    def overrides_place(self) -> str | None:
        """The path of the file of overrides, None without a directory for the state."""
        places = self.handed.places
        return overrides_place(places["state_dir"], places["socket"])

    @property
    def programs(self) -> tuple[ProgramConfig, ...]:
        """The programs of the configuration, and those of an earlier daemon."""
        return (*self.config.programs, *(self.saved.config.programs if self.saved else ()))

    @property
    def has_schedules(self) -> bool:
        """Whether a program of the configuration, or of an earlier daemon, has a schedule."""
        return any(program.schedule for program in self.programs)

    @property
    def runs_place(self) -> tuple[str | None, str]:
        """The directory of the files of schedules' runs, None without a directory for the state, and the name of this daemon's file."""
        path = self.state_path or ""
        stem = os.path.basename(path).removesuffix(SUFFIX)
        return (path and os.path.join(os.path.dirname(path), RUNS)) or None, stem

    @property
    def history_place(self) -> str | None:
        """How the paths of the history's files begin, None without a directory for the state."""
        path = self.state_path
        return path and os.path.join(os.path.dirname(path), HISTORY, os.path.basename(path).removesuffix(SUFFIX))

    @property
    def configured(self) -> DaemonConfig:
        """The configuration of the daemon itself: as it was launched, with the live keys of the present configuration."""
        live = {key: getattr(self.config.daemon, key) for key in DAEMON_LIVE_KEYS}
        return self.running.replace(**live)

    @property
    def facts(self) -> Facts:
        """The facts that the parts of this daemon resume.

        A daemon that an operator has started keeps only the facts about live processes and how many of them are wanted: it has its own log level, socket and
        children, and none of its reloads has failed.
        """
        if self.saved is None:
            return Facts(left=self.left)
        facts = self.saved.facts
        if facts.proven_since is None:  # a version without proofs wrote it
            facts = facts.replace(proven_since=ticks_now())
        if not self.launched:
            return facts
        known = Facts(
            left=self.left,
            proven_since=facts.proven_since,
            pipes=facts.pipes,
            occupied=facts.occupied,
            sockets=facts.sockets,
            loggers=facts.loggers,
        )
        return known if facts.stopping else known.replace(scales=facts.scales)

    @property
    def stop_goes_on(self) -> bool:
        """Whether the orderly stop of the earlier daemon goes on; a daemon that an operator has started begins afresh."""
        facts = None if self.saved is None or self.launched else self.saved.facts
        return facts is not None and (facts.stopping or facts.cause is not None)

    @property
    def door(self) -> tuple[int, int] | None:
        """(device, inode) of our socket; its path may lead to another daemon's socket by now."""
        return self.facts.door or self.handed.door or inode_of(self.handed.places["socket"])


def read_state(fd: int) -> dict[str, Any]:
    """Return the JSON on a descriptor as data."""
    with open(fd, "rb") as file:
        state: dict[str, Any] = read_json(file.read().decode("ascii"))
    return state


def origin_of(state: Mapping[str, Any], kept: str) -> Origin:
    """Return the start state of the daemon; `kept` is the number of the guardian's descriptor, or NOTHING_KEPT.

    Raises StateError if this code cannot go on with the state of a living daemon.
    """
    handed = Handed.from_data(state)
    identity = _identity(handed)
    config = Config.from_data(handed.config)
    if handed.life:
        return _after_an_upgrade(handed, handed.life, config.daemon, identity)
    from_guardian = guardian_channel.read_kept(int(kept)) if kept != NOTHING_KEPT else None
    origin = Origin(handed, config.daemon, config, None, Legacy(), True, identity)
    notes = [*handed.notes]
    saved = _read_saved(origin.state_path, identity, handed.formerly, notes) if origin.state_path else None
    if saved:
        origin = origin.replace(left=saved.facts.left)
        saved = None if saved.facts.ended else saved
    if saved:
        _respell(saved, config)
    if from_guardian is None:
        return origin.replace(saved=saved, notes=tuple(notes))
    if from_guardian.again:
        handed = handed.replace(fds={**handed.fds, "ready": None})  # the launcher was answered long ago
    return origin.replace(
        handed=handed,
        config=saved.config if saved and from_guardian.again else config,
        saved=saved,
        legacy=_legacy(from_guardian),
        launched=not from_guardian.again,
        notes=tuple(notes),
        channel=from_guardian.channel,
    )


def _legacy(kept: guardian_channel.Kept) -> Legacy:
    """Return what a guardian has kept: pipes to logs, by their paths, and by texts of their own the channels of `ready`."""
    pipes = {inode: (fd, path) for inode, (fd, path) in kept.pipes.items() if leads_to_a_pipe(path)}
    announced = {text: fd for fd, text in kept.pipes.values() if not leads_to_a_pipe(text)}
    return Legacy(pipes, kept.ends, guarded=True, announced=announced)


def _after_an_upgrade(handed: Handed, life: ProcessState, running: DaemonConfig, identity: Mapping[str, Any]) -> Origin:
    """Return the start state of a daemon that has executed itself again. Raises StateError if it cannot go on."""
    saved = reader.saved_of([line.encode() for line in life.lines], identity)
    pipes = {inode: (fd, path) for inode, fd, path in life.pipes}
    handles = dict(life.handles)
    for fd in (*handles.values(), *(fd for fd, _path in pipes.values())):
        os.set_inheritable(fd, False)
    channel = handed.fds.get("channel")
    legacy = Legacy(pipes, {}, same=True, handles=handles, guarded=channel is not None)
    return Origin(handed, running, saved.config, saved, legacy, False, identity, (), saved.facts.left, channel)


def _respell(saved: Saved, config: Config) -> None:
    """Adopt the spelling of `config` for working directories that are the same ones: a new name alone is no change."""
    wanted = {program.name: program.workingdir for program in config.programs}
    for entry in (slot.entry for slot in saved.slots):
        name = wanted.get(entry.program, "")
        if entry.wanted.workingdir != name and _is_same(entry.wanted.workingdir, name):
            entry.want(entry.wanted.replace(workingdir=name))
        if entry.current and entry.current.workingdir != name and _is_same(entry.current.workingdir, name):
            entry.current = entry.current.replace(workingdir=name)


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _identity(handed: Handed) -> dict[str, Any]:
    """Return the identity of the daemon that owns the state: the first line of the file."""
    places = handed.places
    socket = places["socket"]
    return {
        "boot": boot_id(),
        "socket": socket,
        "uid": os.geteuid(),
        "named": places.get("named", socket),  # an older version, before an upgrade, did not hand it over
        "pidfile": places["pidfile"] and os.path.realpath(places["pidfile"]),
        "door": handed.door,
        "pid": os.getpid(),
        "pids": pid_namespace(),
        "config": handed.config["path"],
    }


def _read_saved(path: str, identity: Mapping[str, Any], formerly: str, notes: list[tuple[str, str]]) -> Saved | None:
    """Return the content of the state file, or None. Sets an unusable file aside, and adds a note."""
    if not can_adopt():
        notes.append(("info", CANNOT_ADOPT))
        return None
    try:
        lines = read_lines(path)
        return reader.saved_of(lines, identity, formerly) if lines is not None else None
    except SystemFailure as failure:
        reason = str(failure)
    except reader.StateError as error:
        if error.stale:
            notes.append(("info", f"{path} is not used: the machine was booted since"))
            return None
        reason = f"cannot use state file {path}: {error}"
    aside = set_aside(path)
    notes.append(("warning", f"{reason}; {f'set aside as {aside}' if aside else 'it could not be set aside'}"))
    return None

"""Keeps what operators have laid over the file; made with the first override or scale.

Overrides outlive the daemon and the host: they are a file of JSON, `overrides/STEM.json` below the directory of the state, 0600,
where STEM is the name of the daemon's state file. A new file is written beside the old one, and replaces it. Scales last until an
orderly stop: they are a fact of the state.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.core.programs.laying import enable_slots
from taskmasterd.core.programs.overlay import NOTHING, Overlay, Override, Scale
from taskmasterd.core.programs.plan import UPDATED, ProgramPlan, ReloadPlan
from taskmasterd.system.paths.held import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import Config, ProgramConfig
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps

    Row = tuple[str, int, int, str, float]
    """A scale as a fact: program, count, the file's number, who, seconds since 1970."""

MODE, DIRECTORY_MODE = 0o600, 0o700
DRAFT, ASIDE = ".new", ".unusable"
MOST_BYTES = 16 * 1024 * 1024
"""Largest file to read, bytes; overrides of 20 000 programs need less."""
VERSION = 1
MAY_START = "programs that `disable` has disabled may be started"
AGAIN = "`disable` again what they have disabled, and remove it"


class Overlays:
    """The overlay of a table, and the file of its overrides: `place`, None without a directory for the state.

    `tell(plan)` announces a plan that was carried out, as after a reload.
    """

    def __init__(self, table: Table, place: str | None, tell: Callable[[ReloadPlan], Steps[None]]) -> None:
        self._table = table
        self._place = place
        self._tell = tell
        self._unusable = False

    @property
    def overlay(self) -> Overlay:
        """What is laid over the file now."""
        return self._table.overlay or NOTHING

    def read(self) -> str:
        """Take the overrides that an earlier daemon has left. Returns what is wrong with the file, "" if it could be read."""
        overrides, reason = _found(self._place or "", os.geteuid())
        if not reason:
            if overrides:
                self._table.lay_over(self.overlay.replace(overrides=overrides))
            return self.trouble
        self._set_aside()
        aside = f"; it is {self.aside()} now" if self.aside() else ""
        return f"{reason}{aside}; {MAY_START}"

    def _set_aside(self) -> None:
        """Rename the file, now or where that is not possible before the next one is written."""
        self._unusable = True
        try:
            with Held(self._place or "", "set aside") as held:
                held.move(ASIDE)
        except (OSError, SystemFailure):
            return
        self._unusable = False

    def aside(self) -> str:
        """Return where a file is that could not be read, until somebody removes it; "" for none."""
        path = f"{self._place}{ASIDE}"
        return path if self._place and os.path.lexists(path) else ""

    @property
    def trouble(self) -> str:
        """Say that overrides could not be read, until somebody removes what they are in."""
        aside = self.aside()
        return f"the overrides in {aside} could not be read: {AGAIN}" if aside else ""

    def keep(self, overlay: Overlay) -> None:
        """Let another overlay hold; its overrides are written first. Raises SystemFailure, and then nothing has changed."""
        if overlay.overrides != self.overlay.overrides:
            self._write(overlay.overrides)
        self._table.lay_over(overlay)

    def enable(self, config: Config, changes: Mapping[str, bool]) -> Steps[None]:
        """Let programs be enabled or not in what is wanted of their slots, and tell everybody."""
        plans: list[ProgramPlan] = []
        for name, enabled in changes.items():
            wanted: ProgramConfig | None = None
            for entry in enable_slots(self._table, name, enabled=enabled):
                wanted = entry.newest
                yield
            if wanted:
                plans.append(ProgramPlan(name, UPDATED, "enabled applied without a restart", wanted, ("enabled",)))
        yield from self._tell(ReloadPlan(config, tuple(plans)))

    def rows(self) -> list[Row]:
        """Return the scales, as a fact for the next daemon."""
        return [(name, each.count, each.file, each.by, each.at) for name, each in self.overlay.scales.items()]

    def resume(self, rows: Sequence[Row]) -> None:
        """Take the scales of an earlier daemon."""
        scales = {name: Scale(count, file, by, at) for name, count, file, by, at in rows}
        self._table.lay_over(self.overlay.replace(scales=scales))

    def _write(self, overrides: Mapping[str, Override]) -> None:
        if self._place is None:
            raise SystemFailure("keep", "the override", "there is no directory for the state")
        try:
            _make_directory(os.path.dirname(self._place))
            with Held(self._place, "write") as held:
                if self._unusable:
                    held.move(ASIDE)
                    self._unusable = False
                held.discard(DRAFT)
                if not overrides:
                    held.discard()
                    return
                fd = held.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE, suffix=DRAFT)
                try:
                    _write_all(fd, write_json(_data(overrides)) + b"\n")
                finally:
                    os.close(fd)
                held.replace(DRAFT)
        except OSError as error:
            raise SystemFailure("write", self._place, system_reason(error), error.errno or 0) from None


def new_override(by: str, at: float, reason: str, *, enabled: bool) -> Override:
    """Return an override of this moment."""
    return Override(enabled, by, at, day_text(at, at), reason)


def day_text(at: float, now: float) -> str:
    """Return the day of a moment, with the year if it is another one: "28 Nov", "28 Nov 2025"."""
    day, today = time.localtime(at), time.localtime(now)
    text = f"{day.tm_mday} {time.strftime('%b', day)}"
    return text if day.tm_year == today.tm_year else f"{text} {day.tm_year}"


def _data(overrides: Mapping[str, Override]) -> dict[str, Any]:
    programs = {
        name: {"enabled": each.enabled, "by": each.by, "at": each.at, "reason": each.reason}
        for name, each in overrides.items()
    }
    return {"taskmaster_overrides": VERSION, "programs": programs}


def unreadable(path: str, owner: int) -> str:
    """Return why a daemon of this user could not read a file of overrides, or what it has put aside; changes nothing."""
    if os.path.lexists(f"{path}{ASIDE}"):
        return f"the overrides in {path}{ASIDE} could not be read: {AGAIN}"
    reason = _found(path, owner)[1]
    return f"{reason}; {MAY_START}" if reason else ""


def _found(path: str, owner: int) -> tuple[dict[str, Override], str]:
    """Return the overrides in a file, and why they cannot be read, "" if they can or there is no file."""
    try:
        return _read(path, owner), ""
    except FileNotFoundError:
        return {}, ""
    except SystemFailure as failure:
        return {}, "" if failure.errno == errno.ENOENT else str(failure)
    except OSError as error:
        return {}, f"cannot read {path}: {system_reason(error)}"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}, f"cannot read {path}: it makes no sense"


def _read(path: str, owner: int) -> dict[str, Override]:
    """Return the overrides in a file of this user. Raises OSError, SystemFailure, and ValueError, TypeError or KeyError if it makes no sense."""
    with Held(path, "read") as held:
        fd = held.open(os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        if not _is_ours(found, owner) or not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise SystemFailure("use", path, "it is no file that only this daemon may write")
        content = b"".join(iter(lambda: os.read(fd, MOST_BYTES), b""))
    finally:
        os.close(fd)
    data, now = read_json(content.decode("ascii")), time.time()
    if data["taskmaster_overrides"] != VERSION:
        raise ValueError("it is of another version")
    return {str(name): _override(row, now) for name, row in data["programs"].items()}


def _override(row: Mapping[str, Any], now: float) -> Override:
    at = float(row["at"])
    if not isinstance(row["enabled"], bool):
        raise TypeError(f"{row['enabled']!r} is no boolean")
    return Override(row["enabled"], str(row["by"]), at, day_text(at, now), str(row["reason"]))


def _make_directory(path: str) -> None:
    """Make the directory if it is missing, and judge it. Raises OSError or SystemFailure."""
    with Held(path, "use") as held:
        if held.status() is None:
            held.make_directory(DIRECTORY_MODE)
        found = held.status()
    if found is None or not stat.S_ISDIR(found.st_mode) or not _is_ours(found, os.geteuid()):
        raise SystemFailure("use", path, "it is no directory in which only this daemon may write", errno.EPERM)


def _is_ours(found: os.stat_result, owner: int) -> bool:
    return found.st_uid == owner and not stat.S_IMODE(found.st_mode) & 0o022


def _write_all(fd: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(fd, view) :]

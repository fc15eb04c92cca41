"""What operators have laid over the file: programs that are disabled or enabled, and other numbers of instances. Pure.

A configuration is laid over before it is compared with the table, so boot, reload, dry run and adoption see one wanted
configuration, and nothing else knows of this. Loaded with the first override.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from taskmaster_common.config import Config, ProgramConfig

    Value = TypeVar("Value")


class Override(Record):
    """Whether a program is enabled, whatever the file says.

    `by` asked for it at `at`, seconds since 1970; `since` is that day, for people.
    """

    enabled: bool
    by: str
    at: float
    since: str
    reason: str = ""


class Scale(Record):
    """Another number of instances. It holds as long as the file has the number that it had then, `file`."""

    count: int
    file: int
    by: str
    at: float


class Overlay(Record):
    """All overrides and scales, by the name of their program; of the first some may name programs that the file has no more."""

    overrides: Mapping[str, Override] = {}
    scales: Mapping[str, Scale] = {}

    def with_overrides(self, changes: Mapping[str, Override | None]) -> Overlay:
        """Return the overlay with other overrides of some programs, None for none."""
        return self.replace(overrides=_with(self.overrides, changes))

    def with_scale(self, name: str, scale: Scale | None) -> Overlay:
        """Return the overlay with another scale of a program, None for none."""
        return self.replace(scales=_with(self.scales, {name: scale}))

    def over(self, program: ProgramConfig) -> ProgramConfig:
        """Return what is wanted of a program; itself where nothing is laid over it."""
        override, scale = self.overrides.get(program.name), self.scales.get(program.name)
        enabled = override.enabled if override else program.enabled
        numprocs = scale.count if scale and _holds(scale, program) else program.numprocs
        if (enabled, numprocs) == (program.enabled, program.numprocs):
            return program
        return program.with_keys(enabled=enabled, numprocs=numprocs)

    def only(self, seen: Callable[[str], bool]) -> Overlay:
        """Return what is laid over the programs of which `seen(name)` is true."""
        return Overlay(
            {name: each for name, each in self.overrides.items() if seen(name)},
            {name: each for name, each in self.scales.items() if seen(name)},
        )


NOTHING = Overlay()


def reasoned(made: Override, before: Override | None) -> Override:
    """Return a new override; a `disable` that gives no reason keeps that of the one before."""
    if made.enabled or made.reason or before is None or before.enabled or not before.reason:
        return made
    return made.replace(reason=before.reason)


def laid_over(config: Config, overlay: Overlay) -> Config:
    """Return the wanted configuration; what nothing is laid over is the same value as before."""
    return config.replace(programs=tuple(map(overlay.over, config.programs)))


def in_force(overlay: Overlay, config: Config) -> Overlay:
    """Return the overlay without the scales that a configuration ends: its program has another `numprocs`, or is not there."""
    if not overlay.scales:
        return overlay
    programs = {program.name: program for program in config.programs if program.name in overlay.scales}
    scales = {
        name: scale for name, scale in overlay.scales.items() if name in programs and _holds(scale, programs[name])
    }
    return overlay if len(scales) == len(overlay.scales) else overlay.replace(scales=scales)


def _holds(scale: Scale, program: ProgramConfig) -> bool:
    return program.numprocs == scale.file and program.policy.type != ONESHOT


def _with(values: Mapping[str, Value], changes: Mapping[str, Value | None]) -> dict[str, Value]:
    found = {name: value for name, value in values.items() if name not in changes}
    found.update((name, value) for name, value in changes.items() if value is not None)
    return found

"""What decides over a process: the live keys of its program that `step` reads."""

from __future__ import annotations

from taskmaster_common.config import ProgramConfig
from taskmaster_common.records import Record


class Policy(Record):
    """The keys of the same names, as the configuration reference describes them. Durations are seconds.

    A class attribute is the default of the key.
    """

    autorestart: str = ProgramConfig.autorestart
    exitcodes: tuple[int, ...] = ProgramConfig.exitcodes
    startretries: int = ProgramConfig.startretries
    starttime: float = ProgramConfig.starttime
    stoptime: float = ProgramConfig.stoptime
    restart_delay: float = ProgramConfig.restart_delay
    restart_max_delay: float = ProgramConfig.restart_max_delay
    restart_burst: int = ProgramConfig.restart_burst
    restart_window: float = ProgramConfig.restart_window


MOST_SHARED = 64
"""Different policies that are shared; most programs keep the defaults."""
_shared: dict[Policy, Policy] = {}


def policy_of(program: ProgramConfig) -> Policy:
    """Return the policy of a program. Programs with equal policies share one record: 10 000 others would be 2 MB."""
    policy = Policy(*[getattr(program, name) for name in Policy.fields_])
    if len(_shared) >= MOST_SHARED:
        _shared.clear()
    return _shared.setdefault(policy, policy)

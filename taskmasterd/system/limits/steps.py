"""Steps of a child that set what it may use. Those with `around` can be taken by the daemon for the length of a posix_spawn."""

from __future__ import annotations

import os
import resource

from taskmaster_common.config.limits import UNLIMITED, cpus_text, limit_text
from taskmasterd.system.limits.own import SCORE, number_of
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.spawner import Setup, SetupError, SetupStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.config.limits import Rlimit

    PutBack = Callable[[], None]

AUTOGROUP = "/proc/self/autogroup"


def rlimit_step(limit: Rlimit, refusal: str, *, around: bool) -> SetupStep:
    """Return the step that sets a limit; `refusal` is why that will fail, "" where it will not."""
    what = f"set rlimits.{limit.name} to {limit_text(limit)}"

    def take() -> PutBack:
        number = number_of(limit.name)
        if number is None:
            raise SetupError("rlimits", f"cannot {what}: this system has no such limit")
        mine = resource.getrlimit(number)
        try:
            resource.setrlimit(number, (_kernels(limit.soft), mine[1] if limit.hard is None else _kernels(limit.hard)))
        except (OSError, ValueError) as error:  # ValueError is EINVAL, and in setrlimit EPERM, too
            raise SetupError("rlimits", refusal or f"cannot {what}: {str(error).lower()}") from None
        return partial(resource.setrlimit, number, mine)

    return _step("rlimits", what, take, around=around)


def _kernels(value: int) -> int:
    return resource.RLIM_INFINITY if value == UNLIMITED else value


def nice_step(nice: int, *, around: bool) -> SetupStep:
    """Return the step that sets nice, and in a forked child its autogroup. Source: sched(7), "The autogroup feature"."""

    def take() -> PutBack:
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        return lambda: os.setpriority(os.PRIO_PROCESS, 0, mine)

    def run(_setup: Setup) -> None:
        take()
        try:
            _write(AUTOGROUP, nice)
        except OSError:  # without privilege one write in 100 ms, and the daemon looks again; or there are no autogroups
            return

    return SetupStep("nice", f"set nice to {nice}", run, around=take if around else None)


def affinity_step(cpus: tuple[int, ...]) -> SetupStep:
    """Return the step that binds to processors."""

    def take() -> PutBack:
        mine = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, cpus)
        except OSError:  # none of them is there
            there: set[int] = set()
        else:
            there = os.sched_getaffinity(0)  # the kernel leaves out those that are not there
        if there != set(cpus):
            os.sched_setaffinity(0, mine)
            reason = f"cannot set cpu_affinity to {cpus_text(cpus)}: there are {cpus_text(sorted(mine))}"
            raise SetupError("cpu_affinity", reason)
        return lambda: os.sched_setaffinity(0, mine)

    return _step("cpu_affinity", f"set cpu_affinity to {cpus_text(cpus)}", take, around=True)


def oom_step(score: int, *, around: bool) -> SetupStep:
    """Return the step that sets the OOM score. Before `user`: after it /proc/self belongs to root (EACCES). Source: proc(5)."""

    def take() -> PutBack:
        mine = _read_score()
        _write(SCORE, score)
        return lambda: _write(SCORE, mine)

    return _step("oom_score_adj", f"set oom_score_adj to {score}", take, around=around)


def _read_score() -> int:
    fd = os.open(SCORE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(fd, 16))
    finally:
        os.close(fd)


def _write(path: str, value: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def _step(name: str, what: str, take: Callable[[], PutBack], *, around: bool) -> SetupStep:
    def run(_setup: Setup) -> None:
        take()

    return SetupStep(name, what, run, around=take if around else None)

"""The roles of a resident interpreter: run the daemon, or only check whether this code could run it."""

from __future__ import annotations

import sys

from taskmaster_common import __version__
from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmasterd.daemon import Daemon
from taskmasterd.fallbacks import limit
from taskmasterd.installed import Installed
from taskmasterd.ondemand import load_all, on_demand, unload
from taskmasterd.survival.holdings import give_back, report
from taskmasterd.system.paths.held import unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterd.survival import start_state
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.system.paths import locks
else:
    start_state = on_demand("taskmasterd.survival.start_state")
    locks = on_demand("taskmasterd.system.paths.locks")


OF_THE_START = (
    "taskmasterd.survival.takeover",
    "taskmasterd.survival.adoption",
    "taskmasterd.survival.start_state",
    "taskmasterd.survival.disk.reader",
    "taskmasterd.telling.segments",
    "taskmasterd.system.child_reads",
    "taskmasterd.core.programs.applying",
    "taskmasterd.core.programs.restarting",
    "taskmasterd.core.programs.checks",
    "taskmasterd.core.programs.order",
    "taskmasterd.core.programs.plan",
)
"""Modules that only a daemon's first moments need."""


class Strictness:
    """Decides about errors in a trial: an early one costs only a client its answer; after the begin each one fails the trial."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> None:
        """Let every error from now on fail the trial."""
        self._begun = True

    def failed(self, error: BaseException) -> None:
        """Handle an uncaught error: raise it, once the daemon has begun."""
        if self._begun:
            raise error


def resident(
    state_fd: int, kept: str, installed: Installed, trial: Callable[[dict[str, Any]], None] | None = None
) -> int:
    """Run the daemon until it has to stop; returns the exit code.

    `state_fd` holds the state as JSON, `kept` is the number of the descriptor with what the guardian has kept, or "-".
    With `trial`, which puts stand-ins into the state, it runs one turn of the loop only.
    """
    sys.path_importer_cache.clear()  # listings of directories: what comes later comes from the copy of our code
    state = start_state.read_state(state_fd)
    if trial:
        trial(state)
    origin, strictness = start_state.origin_of(state, kept), Strictness()
    try:
        _name_process("taskmasterd")
        daemon = Daemon(origin, installed, strictness.failed if trial else None)
        daemon.begin(origin)
        strictness.begin()
        daemon.listen(pid1=origin.handed.pid1)
    except Exception as error:
        # main()'s broad except: the launcher waits for an answer, which nothing else would send
        expected = isinstance(error, (TaskmasterError, OSError))
        text = _reason(error)
        if not trial:
            _tidy(origin, text)
        if not expected:
            raise
        print(f"taskmasterd: {text}", file=sys.stderr)
        return 1
    if not trial:
        daemon.end_orphans()
    del origin, state  # the daemon must not hold them in memory for the rest of its life
    if not trial:
        unload(*OF_THE_START)
    return daemon.run(turns=1 if trial else None)


def check(state_fd: int) -> int:
    """Check whether this code can go on with the state on a descriptor: if it can, the last line of output begins with "ok".

    It takes the path of `resident` to the end of the loop's first turn, with stand-ins for everything that is the daemon's.
    """
    _load_what_comes_later()
    from taskmasterd.survival.trial import acting_on_nothing  # noqa: PLC0415 - not for a daemon

    with acting_on_nothing() as stand_in:
        code = resident(state_fd, start_state.NOTHING_KEPT, Installed(), stand_in)
    if code == 0:
        print(f"ok {__version__}")
    return code


def _load_what_comes_later() -> None:
    """Import the modules that a daemon loads only on demand: without one of them some verb would never work."""
    import taskmasterd.configuration.host  # noqa: F401, PLC0415 - with the schema, and so the YAML parser

    load_all()


def _reason(error: Exception) -> str:
    if isinstance(error, SystemFailure):
        known = limit(error.errno)
        return f"{error}{'' if known in str(error) else known}"
    if isinstance(error, TaskmasterError):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot start: {system_reason(error)}{limit(error.errno)}"
    return f"cannot start: {error!r}"


def _tidy(origin: Origin, text: str) -> None:
    """Remove the files that a daemon leaves which could not begin, then report that to the launcher, whose caller may look."""
    fds, places = origin.handed.fds, origin.handed.places
    try:
        if origin.launched or origin.channel is None:  # otherwise the guardian keeps the files, and tries again
            unlink_own(places["socket"], origin.door)
            locks.release(places["pidfile"], fds["pidfile"])
            give_back(places, fds)
    finally:
        if fds["ready"] is not None:
            report(fds["ready"], 1, text)


def _name_process(name: str) -> None:
    """Make ps, top and pgrep show the daemon's name. Source: proc(5), /proc/pid/comm."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/comm", "wb", buffering=0) as comm:
                comm.write(name.encode())
        except OSError:  # a chroot or container without /proc: then they show python
            return

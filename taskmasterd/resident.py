"""What a resident interpreter does: be the daemon, or only say whether this code could be it."""

from __future__ import annotations

import sys

from taskmaster_common import __version__
from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmasterd.daemon import Daemon
from taskmasterd.fallbacks import limit
from taskmasterd.installed import Installed, refuse_other_code
from taskmasterd.survival.claims import give_back
from taskmasterd.survival.start_state import NOTHING_KEPT, origin_of, read_state
from taskmasterd.system.paths.held import unlink_own
from taskmasterd.system.paths.locks import release, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterd.survival.start_state import Origin


class Strictness:
    """What becomes of errors in a trial: none is forgiven once the daemon has begun; before that one costs a client its answer."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> None:
        """Forgive nothing from now on."""
        self._begun = True

    def failed(self, error: BaseException) -> None:
        """Raise an error that nobody has caught."""
        if self._begun:
            raise error


def resident(
    state_fd: int, kept: str, installed: Installed, trial: Callable[[dict[str, Any]], None] | None = None
) -> int:
    """Be the daemon until it is told to stop; returns the exit code.

    `state_fd` holds the state as JSON, `kept` is the number of the descriptor with what the guardian has kept, or "-".
    With `trial`, which puts stand-ins into the state, the end of the loop's first turn is the end.
    """
    state = read_state(state_fd)
    if trial:
        trial(state)
    origin, strictness = origin_of(state, kept), Strictness()
    try:
        _name_process("taskmasterd")
        daemon = Daemon(origin, installed, strictness.failed if trial else None)
        daemon.begin(origin)
        strictness.begin()
        daemon.listen(pid1=origin.handed.pid1)
    except Exception as error:
        # main()'s broad except: the launcher waits for an answer, and nobody else would tell it
        expected = isinstance(error, (TaskmasterError, OSError))
        text = _reason(error)
        if not trial:
            _tidy(origin, text)
        if not expected:
            raise
        print(f"taskmasterd: {text}", file=sys.stderr)
        return 1
    del origin, state  # what was handed over is not needed for as long as the daemon lives
    refuse_other_code(installed)
    return daemon.run(turns=1 if trial else None)


def check(state_fd: int) -> int:
    """Say whether this code could go on with the state on a descriptor; the last line begins with "ok" where it can.

    It goes the way of `resident` up to the end of the loop's first turn, on stand-ins for everything that is the daemon's.
    """
    _import_what_comes_later()
    from taskmasterd.survival.trial import acting_on_nothing  # noqa: PLC0415 - not for a daemon

    with acting_on_nothing() as stand_in:
        code = resident(state_fd, NOTHING_KEPT, Installed(), stand_in)
    if code == 0:
        print(f"ok {__version__}")
    return code


def _import_what_comes_later() -> None:
    """Import what a daemon does not need before somebody asks: where a part is missing, some verb would never work."""
    import taskmasterd.configuration.host  # noqa: PLC0415 - with the schema, and so the YAML parser
    import taskmasterd.control.verbs.eventfilter  # noqa: F401, PLC0415 - see above
    from taskmasterd.control.handlers import import_verbs  # noqa: PLC0415 - in its turn

    import_verbs()


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
    """Tell the launcher that the daemon could not begin, and remove what nobody will serve."""
    fds, places = origin.handed.fds, origin.handed.places
    ready = fds["ready"]
    if ready is not None:
        report(ready, 1, text)
    if origin.launched or origin.channel is None:  # otherwise they are the guardian's, who tries again
        unlink_own(places["socket"], origin.door)
        release(places["pidfile"], fds["pidfile"])
        give_back(places, fds)


def _name_process(name: str) -> None:
    """Make ps, top and pgrep show the daemon's name. Source: proc(5), /proc/pid/comm."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/comm", "wb", buffering=0) as comm:
                comm.write(name.encode())
        except OSError:  # a chroot or container without /proc: then it is called python
            return

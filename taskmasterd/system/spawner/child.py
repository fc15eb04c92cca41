"""The forked child, from its fork to its exec; loaded before the first fork. See `spec.ORDER` for the order of its steps."""

from __future__ import annotations

import errno
import fcntl
import os
import resource

from taskmaster_common.errors import shortened, system_reason
from taskmasterd.system.lineage import put_tag
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.spawner.spec import MAX_REASON, OPEN_CONTROLS, ORDER, Setup, SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskmasterd.system.spawner.spec import ChildSpec, Identity

    Run = Callable[[Setup], None]

ABOVE_EXTRAS = 256
"""Lowest number that no extra descriptor of a child can have."""
EXPLAIN_FOR_S = 2
"""Longest time that a child looks for the reason of a failed exec, in seconds."""


def become_child(
    spec: ChildSpec,
    streams: Sequence[int],
    report: int,
    extras: Sequence[tuple[int, int]] = (),
    explain: Callable[..., str] | None = None,
) -> None:
    """Set up this forked child and execute the program; never returns. A failed step is written to `report`."""
    setup, step, failed, words = Setup(spec, streams, report, extras), ORDER[0], 0, ""
    try:
        for name, what, run in _steps(spec):
            step, words = name, what
            run(setup)
    except OSError as error:
        failed = error.errno or 0
        words = words and f"cannot {words}: {system_reason(error)}"
    except SetupError as error:
        words = error.text
    except MemoryError:  # what the program may use is less than this child does
        failed = errno.ENOMEM
        words = words and f"cannot {words}: {os.strerror(failed).lower()}"
    finally:
        try:
            _tell(setup, step, failed, words, explain)
        finally:  # whatever happens above, this process must not continue as a second daemon
            os._exit(127)


def _tell(setup: Setup, step: str, failed: int, words: str, explain: Callable[..., str] | None) -> None:
    is_there = step != "exec" or failed != errno.ENOENT or os.path.exists(setup.path)
    os.write(setup.report, f"{step if is_there else 'search'} {failed}\n".encode())
    if step == "exec" and explain:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(EXPLAIN_FOR_S)
        spec, error = setup.spec, OSError(failed, os.strerror(failed))
        words = explain(spec.argv, setup.environment, setup.path, spec.workingdir, error)
    os.write(setup.report, shortened(words, MAX_REASON).encode("utf-8", "surrogateescape"))


def _steps(spec: ChildSpec) -> Iterator[tuple[str, str, Run]]:
    """Yield name, words and function of each step, in order. Those of every child have no words: the daemon finds them."""
    given = {step.name for step in spec.steps}
    for name in ORDER:
        if name in OWN:
            yield name, "", OWN[name]
        if name in given:
            yield from ((name, step.what, step.run) for step in spec.steps if step.name == name)


# -- the steps of every child


def _session(_setup: Setup) -> None:
    signal.set_wakeup_fd(-1)
    os.setsid()


def _terminal(setup: Setup) -> None:
    """Make a terminal the controlling one of this session, which has none. Source: ioctl_tty(2), TIOCSCTTY."""
    if setup.spec.terminal:
        fd = os.open(setup.spec.terminal, os.O_RDWR)
        if not OPEN_CONTROLS:
            import termios  # noqa: PLC0415 - in a child, and not on Linux

            fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
        setup.use((fd, fd, fd), setup.extras)


def _streams(setup: Setup) -> None:
    """Give all descriptors their numbers. None may have the number of another one, or of the report, on the way."""
    if setup.extras:
        report, streams = _out_of_the_way(setup.report), [_out_of_the_way(fd) for fd in setup.streams]
        setup.use(streams, [(number, _out_of_the_way(fd)) for number, fd in setup.extras], report)
    for number, fd in (*enumerate(setup.streams), *setup.extras):
        os.dup2(fd, number)


def _out_of_the_way(fd: int) -> int:
    """Return a copy of a descriptor whose number no extra descriptor can have."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ABOVE_EXTRAS)


def _limits(setup: Setup) -> None:
    """Give back the limit of open files that the daemon was started with, and mark the lineage."""
    if setup.spec.nofile:
        soft, most = setup.spec.nofile
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard), min(most, hard)))
    if setup.spec.tag is not None:
        put_tag(setup.spec.tag)


def _user(setup: Setup) -> None:
    if setup.spec.identity:
        _become(setup.spec.identity)


def _become(identity: Identity) -> None:
    """Take the identity for good. Raises PermissionError if the system did not apply it.

    Groups come first, because only root may set them. Source: setresuid(2).
    """
    if os.geteuid() == 0:
        os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise PermissionError(errno.EPERM, "the identity did not stick")


def _umask(setup: Setup) -> None:
    os.umask(setup.spec.umask)


def _workingdir(setup: Setup) -> None:
    os.chdir(setup.spec.workingdir)


def _exec(setup: Setup) -> None:
    os.execve(setup.path, setup.spec.argv, setup.environment)


OWN: dict[str, Run] = {
    "session": _session,
    "terminal": _terminal,
    "streams": _streams,
    "limits": _limits,
    "user": _user,
    "umask": _umask,
    "workingdir": _workingdir,
    "search": Setup.find,
    "exec": _exec,
}
"""What every child runs at these steps."""

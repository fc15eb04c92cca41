"""Starts one child, step by step, and reports the step that failed.

There are two ways to the same child. Without an identity to take: posix_spawn (vfork inside). The daemon swaps its working
directory, umask and soft limits around the call, which is safe because it has one thread, and the call returns when the
program was executed or could not be. With an identity: fork. The child reports a failed step over a pipe that exec closes.

Only a child finds out why a file cannot be executed: any user may own the file, and opening it may block for ever. So the
spawner tries a program again by fork if posix_spawn could not execute it.

The kernel copies the table of descriptors for the child and closes the copy at its exec, so a start costs more with each open
descriptor (`output.log.parking` keeps logs out of the table). A launcher process with few descriptors is no gain: measured,
cloning a child with CLONE_PARENT costs 1.2 to 1.7 ms of CPU, posix_spawn 0.5 ms, and 1.8 ms at 16 000 descriptors. A thread
with its own table is as fast as posix_spawn without descriptors; but the kernel takes it for the parent, and sends the
parent-death signal (prctl(2)) when an upgrade ends it.

A child gets descriptors 0 to 2, perhaps one more, and no other (all of Python's are close-on-exec), its own session, default
dispositions (the daemon ignores none) and an empty mask (the daemon blocks none).
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import sys

from taskmaster_common.errors import shortened, system_reason
from taskmaster_common.records import Record
from taskmasterd.fallbacks import SHORTAGES
from taskmasterd.ondemand import on_demand
from taskmasterd.system.lineage import put_tag
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.reactor import READ, Reactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.system.paths import executable
else:
    executable = on_demand("taskmasterd.system.paths.executable")

SEARCH_PATH = "/bin:/usr/bin"
"""PATH of a child without one, as in execvp(3)."""
MAX_REASON = 1024
"""Longest text of a failed step, in characters."""
ABOVE_EXTRA = 256
"""Lowest number that no extra descriptor of a child can have."""
OPEN_CONTROLS = sys.platform == "linux"
"""Whether a session without a terminal gets the one that its leader opens. Source: tty_ioctl(4); not so on the BSDs."""
EXPLAIN_FOR_S = 2
"""Longest time that a child looks for the reason of a failed exec, in seconds."""


class Identity(Record):
    """The identity that the child takes, in this order: supplementary groups, gid, uid."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class ChildSpec(Record):
    """All that a child needs to start.

    `nofile` is the pair (soft, hard) of limits to restore, None to leave them; `tag` marks its lineage, None for no tag.
    `forked`: the tag has to be there before the program runs, and posix_spawn sets it a moment later. `terminal` is the path of the
    terminal that controls the child and is its three streams, whatever other streams it has; "" for none.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    workingdir: str
    umask: int
    identity: Identity | None
    nofile: tuple[int, int] | None
    tag: int | None = None
    forked: bool = False
    terminal: str = ""


class SetupError(Exception):
    """A step of the set-up failed, so the program was not executed."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step
        self.text = shortened(text, MAX_REASON)


class Spawner:
    """Starts children, those without a standard input of their own with `null`, an open /dev/null.

    Calls `on_report(pid, None)` when a forked child has executed its program, `on_report(pid, (step, text))` if it could not.
    """

    def __init__(self, reactor: Reactor, null: int, on_report: Callable[[int, tuple[str, str] | None], None]) -> None:
        self._reactor = reactor
        self._on_report = on_report
        self._reports: dict[int, tuple[int, ChildSpec, bytearray]] = {}
        self._null = null
        self._can_posix_spawn = True

    def spawn(
        self, spec: ChildSpec, stdout: int, stderr: int, extra: tuple[int, int] | None = None, *, stdin: int = -1
    ) -> tuple[int, bool]:
        """Start a child with these descriptors as 1, 2 and 0; return (pid, executed). If it is not executed yet, a report follows.

        `extra` is (number, descriptor): the child, which is forked, gets that descriptor at that number, 3 to ABOVE_EXTRA - 1.
        Raises SetupError if a step has failed already, OSError if the system refuses a process or descriptor.
        """
        streams = (stdin if stdin >= 0 else self._null, stdout, stderr)
        forked = spec.forked or (spec.terminal and not OPEN_CONTROLS)
        if spec.identity is None and self._can_posix_spawn and extra is None and not forked:
            try:
                return self._posix_spawn(spec, streams), True
            except NotImplementedError:  # POSIX_SPAWN_SETSID is missing in this C library
                self._can_posix_spawn = False
            except _NotExecuted:  # a forked child can find out why
                pass
        return self._fork(spec, streams, extra), False

    def _posix_spawn(self, spec: ChildSpec, streams: tuple[int, int, int]) -> int:
        actions = _file_actions(spec, streams)
        try:
            os.chdir(spec.workingdir)
        except OSError as error:
            raise SetupError("workingdir", _step_text("workingdir", spec, error)) from None
        umask = os.umask(spec.umask)
        mine, path = None, ""
        try:
            if spec.nofile:
                mine = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(spec.nofile[0], mine[1]), mine[1]))
            path = _find(spec)
            if not path:
                raise SetupError("search", _not_found(spec))
            pid = os.posix_spawn(path, spec.argv, spec.environment, file_actions=actions, setsid=True)
        except OSError as error:
            if is_shortage(error):
                raise
            if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
                raise SetupError(
                    "search", _plain_text(spec, error)
                ) from None  # the most frequent failure needs no fork
            raise _NotExecuted from None
        else:
            if spec.tag is not None:  # not before: without privilege the daemon could not raise its own limits again
                put_tag(spec.tag, pid)
            return pid
        finally:
            if mine:
                resource.setrlimit(resource.RLIMIT_NOFILE, mine)
            os.umask(umask)
            os.chdir("/")

    def _fork(self, spec: ChildSpec, streams: tuple[int, int, int], extra: tuple[int, int] | None) -> int:
        explain = _explainer()
        report, write = os.pipe()
        try:
            os.set_blocking(report, False)
            pid = os.fork()
        except OSError:
            os.close(report)
            os.close(write)
            raise
        if pid == 0:
            _become_child(spec, streams, write, explain, extra)
        os.close(write)
        self._reports[pid] = (report, spec, bytearray())
        self._reactor.watch(report, READ, lambda _ready: self.settle(pid))
        return pid

    def settle(self, pid: int) -> None:
        """Read the report of a forked child, if it has arrived; call this again when the child was reaped."""
        if pid not in self._reports:
            return
        report, spec, received = self._reports[pid]
        try:
            while piece := os.read(report, 4096):
                received += piece
                if len(received) > 4096:
                    break
        except BlockingIOError:
            return
        del self._reports[pid]
        self._reactor.remove(report)
        os.close(report)
        self._on_report(pid, _failed_step(spec, received.decode("utf-8", "surrogateescape")) if received else None)


def _file_actions(spec: ChildSpec, streams: tuple[int, int, int]) -> list[tuple[Any, ...]]:
    """Return what posix_spawn does with descriptors, once the child is in its session."""
    if not spec.terminal:
        return [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)]
    opened = (os.POSIX_SPAWN_OPEN, 0, spec.terminal, os.O_RDWR, 0)
    return [opened, (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]


def _failed_step(spec: ChildSpec, report: str) -> tuple[str, str]:
    """Return step and text of a child's report: a line with the step and its errno, perhaps followed by an explanation."""
    first, _, words = report.partition("\n")
    step, _, number = first.partition(" ")
    error = OSError(int(number), os.strerror(int(number)))
    if step in ("search", "exec") and not words:
        words = _plain_text(spec, error) if step == "exec" or "/" in spec.argv[0] else _not_found(spec)
    return step, shortened(words or _step_text(step, spec, error), MAX_REASON)


class _NotExecuted(Exception):
    """The kernel did not execute a program, for another reason than a shortage."""


def _explainer() -> Callable[..., str] | None:
    """Return the function that explains a failed exec, loaded before the fork because the child may have no right to read it."""
    try:
        return executable.exec_text
    except Exception:  # noqa: BLE001 - whatever it is that keeps it from being loaded: the reason will be shorter
        return None


def is_shortage(error: OSError) -> bool:
    """Return whether an error means that the system lacks a resource for the moment."""
    return error.errno in SHORTAGES


def child_pipe(owner: tuple[int, int] | None) -> tuple[int, int]:
    """Return (read end, child's end) of a pipe for output.

    If /proc allows it, the child's end is open for reading, too: then the child is the pipe's last reader, and can go on writing
    after the daemon's death. `owner` gets the pipe, so that a child of another user may open /dev/stdout. Raises OSError.
    """
    read, write = os.pipe()
    try:
        os.set_blocking(read, False)
        if owner:
            os.fchown(write, *owner)
        child = os.open(f"/proc/self/fd/{write}", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if not is_shortage(error):  # no /proc, or one that is closed to us
            return read, write
        os.close(read)
        os.close(write)
        raise
    os.close(write)
    return read, child


def _become_child(
    spec: ChildSpec,
    streams: tuple[int, int, int],
    report: int,
    explain: Callable[..., str] | None = None,
    extra: tuple[int, int] | None = None,
) -> None:
    """Set up this forked child and execute the program; never returns. A failed step is written to `report`."""
    step, path, failed = "session", "", 0
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        if extra:
            step = "descriptor"
            report = _out_of_the_way(report)
            streams = tuple(_out_of_the_way(fd) for fd in streams)  # type: ignore[assignment]
            os.dup2(extra[1], extra[0])
            os.set_inheritable(extra[0], True)  # dup2 of a descriptor onto itself changes nothing
        if spec.nofile:
            step = "limits"
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(spec.nofile[0], hard), min(spec.nofile[1], hard)))
        if spec.tag is not None:
            put_tag(spec.tag)
        if spec.terminal:
            step = "terminal"
            terminal = _controlling(spec.terminal)
            streams = (terminal, terminal, terminal)
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        if spec.identity:
            step = "user"
            _become(spec.identity)
        step = "umask"
        os.umask(spec.umask)
        step = "workingdir"
        os.chdir(spec.workingdir)
        step = "search"
        path = _find(spec)
        if path:
            step = "exec"
            os.execve(path, spec.argv, spec.environment)
        failed = errno.ENOENT
    except OSError as error:
        failed = error.errno or 0
    finally:
        try:
            is_there = step != "exec" or failed != errno.ENOENT or os.path.exists(path)
            os.write(report, f"{step if is_there else 'search'} {failed}\n".encode())
            if step == "exec" and explain:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(EXPLAIN_FOR_S)
                words = explain(
                    spec.argv, spec.environment, path, spec.workingdir, OSError(failed, os.strerror(failed))
                )
                os.write(report, shortened(words, MAX_REASON).encode("utf-8", "surrogateescape"))
        finally:  # whatever happens above, this process must not continue as a second daemon
            os._exit(127)


def _controlling(path: str) -> int:
    """Open a terminal and make it the controlling one of this session, which has none. Source: ioctl_tty(2), TIOCSCTTY."""
    fd = os.open(path, os.O_RDWR)
    if not OPEN_CONTROLS:
        import termios  # noqa: PLC0415 - in a child, and not on Linux

        fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
    return fd


def _out_of_the_way(fd: int) -> int:
    """Return a copy of a descriptor whose number no extra descriptor can have."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ABOVE_EXTRA)


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


def _find(spec: ChildSpec) -> str:
    """Return the file to execute; a word without a slash is looked up in the child's PATH, as execvp(3) does.

    If no file found may be executed, return the first of them; "" if none was found.
    """
    word = spec.argv[0]
    if "/" in word:
        return word
    refused = ""
    for directory in spec.environment.get("PATH", SEARCH_PATH).split(":"):
        path = f"{directory or '.'}/{word}"
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            refused = refused or path
    return refused


def _plain_text(spec: ChildSpec, error: OSError) -> str:
    return f"cannot execute {shortened(spec.argv[0], 256)}: {system_reason(error)}"


def _not_found(spec: ChildSpec) -> str:
    path = shortened(spec.environment.get("PATH", SEARCH_PATH), 512)
    return f"cannot execute {shortened(spec.argv[0], 256)}: not found in PATH={path}"


def _step_text(step: str, spec: ChildSpec, error: OSError) -> str:
    reason = system_reason(error)
    what = {
        "workingdir": f"enter workingdir {spec.workingdir}",
        "user": f"become uid {spec.identity.uid}, gid {spec.identity.gid}" if spec.identity else "become the user",
        "umask": f"set umask {spec.umask:03o}",
        "limits": "set the limit of open files",
    }
    return f"cannot {what.get(step, f'set up the {step}')}: {reason}"

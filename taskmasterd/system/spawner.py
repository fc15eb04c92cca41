"""Brings up one child: its set-up step by step, and which step failed.

Two ways to the same child. Without an identity to take, posix_spawn (vfork inside): working directory, umask and soft
limits are swapped in the daemon around the call, which is safe because it has one thread; it returns when the program has
been executed or could not be. With one, fork: the child reports a failed step over a pipe that exec closes.

Only a child looks why a file cannot be executed: the file may be anybody's and make who opens it wait for ever. So what
posix_spawn could not execute is tried again by fork.

A child gets descriptors 0 to 2 and no other (all of Python's are close-on-exec), its own session, default dispositions
(the daemon ignores none) and an empty mask (the daemon blocks none).
"""

from __future__ import annotations

import errno
import os
import resource

from taskmaster_common.errors import shortened, system_reason
from taskmaster_common.records import Record
from taskmasterd.fallbacks import SHORTAGES
from taskmasterd.system.lineage import put_tag
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.reactor import READ, Reactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEARCH_PATH = "/bin:/usr/bin"
"""PATH of a child that has none, as execvp(3) has it."""
MAX_REASON = 1024
"""Longest text of a failed step, in characters."""
EXPLAIN_FOR_S = 2
"""How long a child may look for the reason why its exec failed."""


class Identity(Record):
    """Who the child becomes, in this order: supplementary groups, gid, uid."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class Launch(Record):
    """All that a child is made from.

    `nofile` is the pair of limits to give back, None to leave them; `tag` that of its lineage, None where there are none.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    workingdir: str
    umask: int
    identity: Identity | None
    nofile: tuple[int, int] | None
    tag: int | None = None


class SetupError(Exception):
    """A step of the set-up failed; the program was not executed."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step
        self.text = shortened(text, MAX_REASON)


class Spawner:
    """Spawns, with `null` (/dev/null, open) as standard input; tells `on_report(pid, None)` when a forked child was executed, `on_report(pid, (step, text))` when not."""

    def __init__(self, reactor: Reactor, null: int, on_report: Callable[[int, tuple[str, str] | None], None]) -> None:
        self._reactor = reactor
        self._on_report = on_report
        self._reports: dict[int, tuple[int, Launch, bytearray]] = {}
        self._null = null
        self._can_posix_spawn = True

    def spawn(self, launch: Launch, stdout: int, stderr: int) -> tuple[int, bool]:
        """Start a child with these descriptors as 1 and 2; returns (pid, executed); not executed: a report follows.

        Raises SetupError where a step failed already, OSError where the system refused a process or descriptor.
        """
        if launch.identity is None and self._can_posix_spawn:
            try:
                return self._posix_spawn(launch, stdout, stderr), True
            except NotImplementedError:  # POSIX_SPAWN_SETSID is missing in this C library
                self._can_posix_spawn = False
            except _NotExecuted:  # a forked child can find out why
                pass
        return self._fork(launch, stdout, stderr), False

    def _posix_spawn(self, launch: Launch, stdout: int, stderr: int) -> int:
        actions = [
            (os.POSIX_SPAWN_DUP2, self._null, 0),
            (os.POSIX_SPAWN_DUP2, stdout, 1),
            (os.POSIX_SPAWN_DUP2, stderr, 2),
        ]
        try:
            os.chdir(launch.workingdir)
        except OSError as error:
            raise SetupError("workingdir", _step_text("workingdir", launch, error)) from None
        umask = os.umask(launch.umask)
        mine = None
        try:
            if launch.nofile:
                mine = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(launch.nofile[0], mine[1]), mine[1]))
            path = _find(launch)
            if not path:
                raise SetupError("exec", _not_found(launch))
            pid = os.posix_spawn(path, launch.argv, launch.environment, file_actions=actions, setsid=True)
        except OSError as error:
            if is_shortage(error):
                raise
            if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
                raise SetupError(
                    "exec", _plain_text(launch, error)
                ) from None  # soon said, and the most frequent of all
            raise _NotExecuted from None
        else:
            if launch.tag is not None:  # not before: without privilege the daemon could not raise its own limits again
                put_tag(launch.tag, pid)
            return pid
        finally:
            if mine:
                resource.setrlimit(resource.RLIMIT_NOFILE, mine)
            os.umask(umask)
            os.chdir("/")

    def _fork(self, launch: Launch, stdout: int, stderr: int) -> int:
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
            _become_child(launch, (self._null, stdout, stderr), write, explain)
        os.close(write)
        self._reports[pid] = (report, launch, bytearray())
        self._reactor.watch(report, READ, lambda _ready: self.settle(pid))
        return pid

    def settle(self, pid: int) -> None:
        """Read the report of a forked child, if one is open and there; called again when the child was reaped."""
        if pid not in self._reports:
            return
        report, launch, received = self._reports[pid]
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
        self._on_report(pid, _failed_step(launch, received.decode("utf-8", "surrogateescape")) if received else None)


def _failed_step(launch: Launch, report: str) -> tuple[str, str]:
    """Return step and text of what a child has reported: the step and its errno, and a line of words where it found some."""
    first, _, words = report.partition("\n")
    step, _, number = first.partition(" ")
    error = OSError(int(number), os.strerror(int(number)))
    if step == "search":
        step, words = "exec", _not_found(launch)
    elif step == "exec" and not words:
        words = _plain_text(launch, error)
    return step, shortened(words or _step_text(step, launch, error), MAX_REASON)


class _NotExecuted(Exception):
    """The kernel did not execute a program, and the reason is not a shortage."""


def _explainer() -> Callable[..., str] | None:
    """Return what finds out why an exec failed; loaded before a fork, as the child may not be allowed to read our code."""
    try:
        from taskmasterd.system.paths.executable import exec_text  # noqa: PLC0415 - for forked children only
    except Exception:  # noqa: BLE001 - the installed code has changed or gone; the reason will be shorter
        return None
    return exec_text


def is_shortage(error: OSError) -> bool:
    """Return whether the system lacks something for the moment."""
    return error.errno in SHORTAGES


def child_pipe(owner: tuple[int, int] | None) -> tuple[int, int]:
    """Return (read end, child's end) of a pipe for output.

    The child's end is open for reading too where /proc allows it: then the child is its own last reader, and can go on
    writing when the daemon dies. `owner` gets the pipe, so that a child of another user may open /dev/stdout.
    Raises OSError.
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
    launch: Launch, streams: tuple[int, int, int], report: int, explain: Callable[..., str] | None = None
) -> None:
    """Set up this forked child and execute the program; never returns. A failed step is written to `report`."""
    step, failed = "session", 0
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        if launch.nofile:
            step = "limits"
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(launch.nofile[0], hard), min(launch.nofile[1], hard)))
        if launch.tag is not None:
            put_tag(launch.tag)
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        if launch.identity:
            step = "user"
            _become(launch.identity)
        step = "umask"
        os.umask(launch.umask)
        step = "workingdir"
        os.chdir(launch.workingdir)
        step = "search"
        path = _find(launch)
        if path:
            step = "exec"
            os.execve(path, launch.argv, launch.environment)
        failed = errno.ENOENT
    except OSError as error:
        failed = error.errno or 0
    finally:
        try:
            os.write(report, f"{step} {failed}\n".encode())
            if step == "exec" and explain:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(EXPLAIN_FOR_S)
                words = explain(
                    launch.argv, launch.environment, path, launch.workingdir, OSError(failed, os.strerror(failed))
                )
                os.write(report, shortened(words, MAX_REASON).encode("utf-8", "surrogateescape"))
        finally:  # whatever comes of that, where nobody reads it any more: this must not go on as a second daemon
            os._exit(127)


def _become(identity: Identity) -> None:
    """Take the identity for good, and look whether it stuck. Raises PermissionError otherwise.

    Source: setresuid(2); groups first, because only root may set them.
    """
    if os.geteuid() == 0:
        os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise PermissionError(errno.EPERM, "the identity did not stick")


def _find(launch: Launch) -> str:
    """Return the file to execute: a word without a slash is searched in the child's PATH, as execvp(3) does.

    Where only files were found that may not be executed it is the first of them; "" where none was found.
    """
    word = launch.argv[0]
    if "/" in word:
        return word
    refused = ""
    for directory in launch.environment.get("PATH", SEARCH_PATH).split(":"):
        path = f"{directory or '.'}/{word}"
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            refused = refused or path
    return refused


def _plain_text(launch: Launch, error: OSError) -> str:
    return f"cannot execute {shortened(launch.argv[0], 256)}: {system_reason(error)}"


def _not_found(launch: Launch) -> str:
    path = shortened(launch.environment.get("PATH", SEARCH_PATH), 512)
    return f"cannot execute {shortened(launch.argv[0], 256)}: not found in PATH={path}"


def _step_text(step: str, launch: Launch, error: OSError) -> str:
    reason = system_reason(error)
    what = {
        "workingdir": f"enter workingdir {launch.workingdir}",
        "user": f"become uid {launch.identity.uid}, gid {launch.identity.gid}"
        if launch.identity
        else "become the user",
        "umask": f"set umask {launch.umask:03o}",
        "limits": "set the limit of open files",
    }
    return f"cannot {what.get(step, f'set up the {step}')}: {reason}"

"""System calls that a sandbox may refuse, their substitutes, and the limits behind a refusal, in words.

A sandbox (seccomp, an emulation, an old kernel) may answer EPERM, ENOSYS, EINVAL or EACCES, so any error of a call that has a
substitute leads to the substitute. Only a shortage, which passes, does not. This module imports next to nothing, because the
guardian uses it, too.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator, Mapping
else:
    import _signal as signal

SHORTAGES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})
"""Errors that mean that the system lacks a resource for the moment. Source: fork(2), pipe(2), open(2)."""
POWER_SIGNALS = (signal.SIGPWR, signal.SIGRTMIN + 3) if hasattr(signal, "SIGPWR") else ()
"""Signals that ask process 1 to halt the machine; LXC and systemd send them. Source: systemd(1), "SIGNALS"."""
PLACES = ("/dev/shm", "/tmp", "/var/tmp", "/run")
CORE = 0x80
"""Bit of a wait status that means that a core was dumped. Source: wait(2), WCOREDUMP."""


def unnamed_file(directories: Iterable[str] = ()) -> int:
    """Return a close-on-exec descriptor of a file in memory, or else of an unlinked file in a directory.

    `directories` are tried before the usual ones. Raises OSError if all of these fail.
    """
    try:
        return os.memfd_create("taskmasterd", os.MFD_CLOEXEC)
    except AttributeError:
        refused = OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    except OSError as error:
        if error.errno in SHORTAGES:
            raise
        refused = error
    for directory in (*directories, os.environ.get("TMPDIR", ""), *PLACES):
        try:
            return unlinked_file(directory)
        except OSError:
            continue
    raise OSError(refused.errno, f"{refused.strerror} (memfd_create), and no directory takes a file; set TMPDIR")


def file_of(data: bytes, directories: Iterable[str] = ()) -> int:
    """Return a descriptor as `unnamed_file` does, from which these bytes can be read. Raises OSError."""
    fd = unnamed_file(directories)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


def unlinked_file(directory: str) -> int:
    """Return a close-on-exec descriptor of a file in `directory` that has no name any more. Raises OSError."""
    path = f"{directory}/.taskmasterd.{os.getpid()}.{os.urandom(8).hex()}"
    if not directory:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return fd


def spawn(argv: list[str], environment: Mapping[str, str], mask: Iterable[int]) -> int:
    """Execute one of our own programs as a child, with `mask` as its blocked signals; returns its pid. Raises OSError."""
    try:
        return os.posix_spawn(argv[0], argv, environment, setsigmask=mask)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and (error.errno in SHORTAGES or not os.access(argv[0], os.X_OK)):
            raise
    pid = os.fork()  # sandboxes refuse clone3(2) and vfork(2) more often than the call that fork(3) uses
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execve(argv[0], argv, environment)
    finally:
        os._exit(127)


def ended_children() -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now: the kernel merges SIGCHLD, so one signal may mean several.

    The kernel keeps a child's status until the caller asks for the next child: if we are killed before that, the process that
    inherits the child still learns it, and /proc still shows the child. Source: waitid(2), WNOWAIT. On macOS, and where the
    system refuses this call, the child is reaped before it is yielded.
    """
    while hasattr(os, "waitid"):
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        except OSError:
            break
        if found is None:
            return
        dumped = CORE if found.si_code == os.CLD_DUMPED else 0
        yield found.si_pid, found.si_status << 8 if found.si_code == os.CLD_EXITED else found.si_status | dumped
        os.waitpid(found.si_pid, 0)
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def limit(number: int | None) -> str:
    """Return the limit of this process that causes an errno, as a suffix for the system's error text, or ""."""
    try:
        import resource  # noqa: PLC0415 - only needed after a failure
    except (ImportError, OSError):  # no descriptor left to read the module with
        return " (a limit: ulimit -n)" if number == errno.EMFILE else ""
    limits = {
        errno.EMFILE: (resource.RLIMIT_NOFILE, "-n", "the limit of open files"),
        errno.EFBIG: (resource.RLIMIT_FSIZE, "-f", "the limit of file sizes, in bytes,"),
    }
    if number not in limits:
        return ""
    which, option, name = limits[number]
    try:
        soft = resource.getrlimit(which)[0]
    except OSError:
        return ""
    return "" if soft == resource.RLIM_INFINITY else f" ({name} is {soft}: ulimit {option})"

"""System calls that may be refused, and what stands in for them; and the limits behind a refusal, in words.

A sandbox (seccomp, an emulation, an old kernel) answers EPERM, ENOSYS, EINVAL or EACCES as it likes, so any error of a call
for which there is a substitute leads to that. A shortage, which passes, does not. Imports next to nothing: the guardian uses
it, too.
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
"""What the system lacks for the moment. Source: fork(2), pipe(2), open(2)."""
POWER_SIGNALS = (signal.SIGPWR, signal.SIGRTMIN + 3) if hasattr(signal, "SIGPWR") else ()
"""What asks process 1 to halt the machine: sent by LXC and by systemd. Source: systemd(1), "SIGNALS"."""
PLACES = ("/dev/shm", "/tmp", "/var/tmp", "/run")
CORE = 0x80
"""In a wait status: a core was dumped. Source: wait(2), WCOREDUMP."""


def unnamed_file(directories: Iterable[str] = ()) -> int:
    """Return a descriptor, which no exec inherits, of a file in memory, or else of one without a name in a directory.

    `directories` are tried before the usual ones. Raises OSError where none of all that is possible.
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
        path = f"{directory}/.taskmasterd.{os.getpid()}.{os.urandom(8).hex()}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600) if directory else -1
        except OSError:
            continue
        if fd >= 0:
            os.unlink(path)
            return fd
    raise OSError(refused.errno, f"{refused.strerror} (memfd_create), and no directory takes a file; set TMPDIR")


def spawn(argv: list[str], environment: Mapping[str, str], mask: Iterable[int]) -> int:
    """Execute a program of ours as a child with `mask` as its blocked signals; returns its pid. Raises OSError."""
    try:
        return os.posix_spawn(argv[0], argv, environment, setsigmask=mask)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and (error.errno in SHORTAGES or not os.access(argv[0], os.X_OK)):
            raise
    pid = os.fork()  # clone3(2) and vfork(2) are refused more often than what fork(3) uses
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execve(argv[0], argv, environment)
    finally:
        os._exit(127)


def ended_children() -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now; SIGCHLD is merged by the kernel, so ask until none.

    Until the next one is asked for, a child's status is the kernel's, too: if we are killed before that, whoever inherits the
    child learns it, and what /proc tells of it can be read. Source: waitid(2), WNOWAIT; not on macOS, and not where it is
    refused: there it has been reaped.
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
    """Return the limit of this process behind an errno, to be put behind the system's words; "" where there is none."""
    try:
        import resource  # noqa: PLC0415 - for those who fail only
    except (ImportError, OSError):  # no descriptor left to read it with
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

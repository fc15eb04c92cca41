"""The configuration read, parsed and checked in a forked child; the result comes back as lines of JSON over a pipe.

A child, because the parser and what it imports would stay resident, and because a huge or hostile file may then stall,
exhaust or crash nobody. The child is bounded in memory by RLIMIT_DATA and in time by its parent. Nothing here waits for
the child: whoever reaps all children reaps it too. What the decoder asks of the host is in `Host` (`host`).
"""

from __future__ import annotations

import os
import resource
import select
import sys
import time

from taskmaster_common.config import Config, DaemonConfig, ProgramConfig
from taskmaster_common.errors import ConfigError, ProtocolError, system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmaster_common.protocol import LineDecoder
from taskmaster_common.records import Record
from taskmasterd.fallbacks import SHORTAGES, limit
from taskmasterd.installed import CHANGED
from taskmasterd.system.loop.cmodules import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from taskmaster_common.schema import File, Surroundings
    from taskmasterd.installed import Installed

DEADLINE_S = 5.0
MAX_DATA = 512 * 1024 * 1024
"""RLIMIT_DATA of the child, in bytes; 10 000 programs need a fifth of it."""
MAX_RESULT = 32 * 1024 * 1024
"""Bytes of a decoded configuration; anchors can make much of little."""
CHUNK = 64 * 1024
CHUNKS_A_TURN = 1
RESULT_FD = 3


class Outcome(Record):
    """What came of it: a config with its warnings, or else `problems` of the configuration.

    Or else what prevented the reading and says nothing about the configuration: a `shortage` of the system, which passes, or
    a `failure` of what reads: a bug, a broken installation, a process that was killed.
    The public texts are the same without source lines and values of env, for logs and for those who may not see them.
    """

    config: Config | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    shortage: str = ""
    failure: str = ""
    public_warnings: tuple[str, ...] = ()
    public_problems: tuple[str, ...] = ()

    def public(self) -> Outcome:
        """Return the outcome as everybody may know it."""
        return self.replace(warnings=self.public_warnings, problems=self.public_problems or self.problems)


class Loading:
    """One configuration on its way: `fd` is readable when `feed` has something to do; -1 when it could not begin.

    `deadline` is monotonic; a `feed` after it ends the child. `pid` is the child's, 0 when there is none. The child imports
    the decoder from the disk: what it says counts only while that is the code of this process (`installed`).
    """

    def __init__(
        self,
        path: str,
        *,
        environment: Mapping[str, str],
        options: Mapping[str, bool],
        deadline_s: float = DEADLINE_S,
        installed: Installed | None = None,
        given: File | None = None,
    ) -> None:
        """`options` are daemonized, pid1 and lenient_users of `Surroundings`."""
        self.path = path
        self._installed = installed
        self._given = given
        self.pid = 0
        self.fd = -1
        self.deadline = time.monotonic() + deadline_s
        self._deadline_s = deadline_s
        self._outcome: Outcome | None = None
        self._decoder = LineDecoder(MAX_RESULT)
        self._received = 0
        self._programs: list[ProgramConfig] = []
        self._end: dict[str, Any] | None = None
        if installed and installed.changed():
            self._outcome = Outcome(failure=CHANGED)
            return
        try:
            self._fork(environment, options)
        except OSError as error:
            self._outcome = Outcome(
                shortage=f"the system refuses another process: {system_reason(error)}{limit(error.errno)}"
            )

    def _fork(self, environment: Mapping[str, str], options: Mapping[str, bool]) -> None:
        """Start the child. Raises OSError where there is no descriptor or process left."""
        result, child_end = os.pipe()
        # Blocked, so that no signal to the child is written to the daemon's wake-up pipe before it has let go of that.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                self._be_the_child(child_end, environment, options)
        except OSError:
            os.close(result)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(child_end)
        os.set_blocking(result, False)
        self.pid, self.fd = pid, result

    def _be_the_child(self, fd: int, environment: Mapping[str, str], options: Mapping[str, bool]) -> NoReturn:
        """Decode and report; never returns, whatever happens."""
        try:
            _leave_the_daemon(fd, self._deadline_s)
            lines = _result(self.path, environment, options, self._given)
            _send([_end(failure=CHANGED)] if self._installed and self._installed.changed() else lines)
        finally:
            # Nothing may escape from here: it would run the daemon's code a second time.
            try:
                error = sys.exc_info()[1]
                if error is not None:
                    _send([_death(error, self.path, self._installed)])
            finally:
                os._exit(0)

    def feed(self) -> Outcome | None:
        """Read what is there, a bounded amount, and return the outcome once it is known."""
        if self._outcome is not None:
            return self._outcome
        for _ in range(CHUNKS_A_TURN):
            try:
                received = os.read(self.fd, CHUNK)
            except BlockingIOError:
                return self._look_at_clock()
            try:
                self._take(received)
            except (ProtocolError, ValueError, TypeError, KeyError):
                return self._fail("the process that read it sent something incomprehensible")
            if not received:
                self._close()
                self._outcome = self._concluded()
                return self._outcome
        return None

    def cancel(self) -> None:
        """End the child, if it is still there, and forget about it."""
        if self.fd < 0:
            return
        # Its end of the pipe is open as long as it lives, and nobody else reaps while we look: the pid is still its own.
        ended = select.poll()
        ended.register(self.fd, 0)
        if not any(events & select.POLLHUP for _, events in ended.poll(0)):
            os.kill(self.pid, signal.SIGKILL)
        self._close()

    def _take(self, received: bytes) -> None:
        self._received += len(received)
        if self._received > MAX_RESULT + CHUNK:
            raise ProtocolError("cannot read the result: it is too long")
        for line in self._decoder.feed(received):
            message = read_json(line.decode())
            if "program" in message:
                self._programs.append(ProgramConfig.from_data(message["program"]))
            else:
                self._end = message

    def _look_at_clock(self) -> Outcome | None:
        if time.monotonic() < self.deadline:
            return None
        self.cancel()
        problem = f"{self.path}: error: reading it takes more than {self._deadline_s:g}s"
        self._outcome = Outcome(problems=(problem,))
        return self._outcome

    def _fail(self, failure: str) -> Outcome:
        self.cancel()
        changed = self._installed is not None and self._installed.changed()
        self._outcome = Outcome(failure=CHANGED if changed else failure)
        return self._outcome

    def _concluded(self) -> Outcome:
        end = self._end
        if end is None:
            return self._fail("the process that read it died before it was done")
        if end["failure"]:
            return Outcome(failure=end["failure"])
        if end["problems"] or end["shortage"]:
            problems, public = tuple(end["problems"]), tuple(end["public"])
            return Outcome(problems=problems, public_problems=public, shortage=end["shortage"])
        config = Config(
            path=end["path"],
            daemon=DaemonConfig.from_data(end["daemon"]),
            programs=tuple(self._programs),
            files=tuple((path, mtime_ns, size) for path, mtime_ns, size in end["files"]),
        )
        return Outcome(config=config, warnings=tuple(end["warnings"]), public_warnings=tuple(end["public"]))

    def _close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def load(
    path: str,
    *,
    environment: Mapping[str, str],
    options: Mapping[str, bool],
    deadline_s: float = DEADLINE_S,
    given: File | None = None,
) -> Outcome:
    """Return the outcome, waiting for it at most until the deadline. For the launcher and -t, not for the daemon.

    `given` is what is read at `path`, where that cannot be opened.
    """
    loading = Loading(path, environment=environment, options=options, deadline_s=deadline_s, given=given)
    while (outcome := loading.feed()) is None:
        ready = select.poll()
        ready.register(loading.fd, select.POLLIN)
        ready.poll(max(1, int((loading.deadline - time.monotonic()) * 1000) + 1))
    return outcome


# -- the child


def _leave_the_daemon(fd: int, deadline_s: float) -> None:
    """Let go of everything that is the daemon's: signals, descriptors, limits."""
    import gc  # noqa: PLC0415 - for the child only

    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.dup2(fd, RESULT_FD)
    os.closerange(RESULT_FD + 1, _highest_fd() + 1)
    try:  # noqa: SIM105 - there may be no descriptor left to import contextlib with
        _limit_memory()
    except OSError:  # a sandbox that refuses it has limits of its own
        pass
    signal.alarm(int(deadline_s) + 2)  # should the daemon die meanwhile, this ends the child
    gc.disable()


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MAX_DATA if hard == resource.RLIM_INFINITY else min(MAX_DATA, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _highest_fd() -> int:
    """Return the highest open descriptor; closing up to the limit could be a million calls."""
    try:
        return max(int(name) for name in os.listdir("/dev/fd"))
    except (OSError, ValueError):
        return os.sysconf("SC_OPEN_MAX")


def _result(path: str, environment: Mapping[str, str], options: Mapping[str, bool], given: File | None) -> list[bytes]:
    """Return the lines for the parent."""
    from taskmaster_common.schema import decode  # noqa: PLC0415 - yaml must never be resident
    from taskmasterd.configuration.host import HostShortage, read, surroundings  # noqa: PLC0415 - nor glob

    host: Surroundings = surroundings(environment, **options)
    if given is not None:
        host = host.replace(read=lambda wanted: given if wanted == path else read(wanted))
    try:
        loaded = decode(path, host)
    except ConfigError as error:
        return [_end(problems=list(error.problems), public=list(error.public))]
    except HostShortage as error:
        return [_end(shortage=str(error))]
    config = loaded.config
    lines: list[bytes] = []
    size = 0
    for program in config.programs:
        lines.append(_line({"program": program.to_data()}))
        size += len(lines[-1])
        if size > MAX_RESULT - CHUNK:
            return [_end(problems=[f"{path}: error: its values take more than {MAX_RESULT >> 20} MiB"])]
    warnings, public = list(loaded.warnings), list(loaded.public_warnings)
    daemon = config.daemon.to_data()
    lines.append(_end(path=config.path, daemon=daemon, files=config.files, warnings=warnings, public=public))
    return lines


def _end(**fields: object) -> bytes:
    return _line({"problems": [], "shortage": "", "failure": "", "warnings": [], "public": [], **fields})


def _line(message: Mapping[str, object]) -> bytes:
    return write_json(message) + b"\n"


def _send(lines: list[bytes]) -> None:
    left = memoryview(b"".join(lines))
    while left:
        left = left[os.write(RESULT_FD, left) :]


def _death(error: BaseException, path: str, installed: Installed | None) -> bytes:
    """Return the last line of a child that could not do its work."""
    if isinstance(error, MemoryError):
        limits = [resource.getrlimit(which)[0] for which in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
        least = min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=MAX_DATA)
        if least >= MAX_DATA:
            problem = f"{path}: error: reading it takes more than {MAX_DATA >> 20} MiB of memory"
            return _end(problems=[problem], public=[problem])
        return _end(failure=f"reading it takes more memory than is allowed: {least >> 20} MiB (ulimit -d, ulimit -v)")
    if installed and installed.changed():
        return _end(failure=CHANGED)
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        return _end(shortage=system_reason(error) + limit(error.errno))
    return _end(failure=f"the process that read it failed with {_named(error)}")


def _named(error: BaseException) -> str:
    """Return an exception by its kind and place. Its text may quote a value of env, unless it is about code."""
    kind = type(error).__name__
    if isinstance(error, (ImportError, SyntaxError)):
        return f"{kind}: {error}"
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{kind} at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else kind

"""Reads, parses and checks the configuration in a forked child, which sends the result back as lines of JSON.

A child, because the parser and what it imports would stay resident, and because a huge or hostile file may then stall,
exhaust or crash nobody: its memory and its time are limited. What the decoder asks of the host is in `host`.
"""

from __future__ import annotations

import os
import resource

from taskmaster_common.config import Config, DaemonConfig, ProgramConfig, alerts_data, groups_data, groups_of
from taskmaster_common.errors import ConfigError, ProtocolError, system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmaster_common.protocol import LineDecoder
from taskmaster_common.records import Record
from taskmasterd.fallbacks import SHORTAGES, limit
from taskmasterd.installed import CHANGED
from taskmasterd.processes.errand import Errand, Errands
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.reactor import Reactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from taskmaster_common.schema import File, Surroundings
    from taskmasterd.installed import Installed
    from taskmasterd.processes.errand import Ending

DEADLINE_S = 5.0
"""Longest time for reading a configuration, seconds."""
MAX_DATA = 512 * 1024 * 1024
"""Most memory that the child may take for itself, bytes; 10 000 programs need a fifth of it."""
MAX_RESULT = 32 * 1024 * 1024
"""Largest decoded configuration, bytes of JSON; anchors can make much of little."""
MARGIN = 64 * 1024
"""Room in the result for its last line, bytes."""

LOOK_EVERY_S = 0.05
"""Longest sleep of a process that only waits for a configuration, seconds."""
SETTLE_ROUNDS = 16
"""Rounds of queued callbacks before such a sleep; there are never so many."""


class LoadResult(Record):
    """A config with its warnings, or else the `problems` that it has.

    Or else why it could not be read, which says nothing about the configuration: a `shortage` of the system, which passes, or
    a `failure` of the reader: a bug, a broken installation, a killed process.
    The public texts are the same without source lines and values of env, for logs and for those who may not see them.
    """

    config: Config | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    shortage: str = ""
    failure: str = ""
    public_warnings: tuple[str, ...] = ()
    public_problems: tuple[str, ...] = ()

    def public(self) -> LoadResult:
        """Return the result as everybody may know it."""
        return self.replace(warnings=self.public_warnings, problems=self.public_problems or self.problems)


class Loading:
    """One configuration that is being read; the loop calls `done(result)` once, unless it is cancelled.

    The child imports the decoder from the disk: its result counts only while that is the code of this process (`installed`).
    """

    def __init__(  # noqa: PLR0913 - what a configuration means depends on all of it
        self,
        errands: Errands,
        path: str,
        done: Callable[[LoadResult], None],
        *,
        environment: Mapping[str, str],
        options: Mapping[str, bool],
        deadline_s: float = DEADLINE_S,
        installed: Installed | None = None,
        given: File | None = None,
    ) -> None:
        """`options` are daemonized, pid1 and lenient_users of `Surroundings`; `given` is what is read at `path`."""
        self.path = path
        self._installed = installed
        self._done: Callable[[LoadResult], None] | None = done
        self._deadline_s = deadline_s
        self._decoder = LineDecoder(MAX_RESULT)
        self._received = 0
        self._programs: list[ProgramConfig] = []
        self._records: dict[tuple[object, ...], Record] = {}
        self._end: dict[str, Any] | None = None
        self._errand: Errand | None = None
        if installed and installed.changed():
            errands.reactor.call_soon(partial(self._finish, LoadResult(failure=CHANGED)))
            return
        self._errand = Errand(
            errands,
            lambda fd: _read_and_send(fd, path, environment, options, given, installed),
            self._ended,
            timeout_s=deadline_s,
            limits={resource.RLIMIT_DATA: _own_data() + MAX_DATA},
            on_output=self._take,
        )

    @property
    def pid(self) -> int:
        """The child's pid; 0 where there has never been one."""
        return self._errand.pid if self._errand else 0

    def cancel(self) -> None:
        """End the child, and never call `done`."""
        self._done = None
        if self._errand:
            self._errand.cancel()

    def _take(self, received: bytes) -> None:
        try:
            self._decode(received)
        except (ProtocolError, ValueError, TypeError, KeyError):
            result = self._failed("the process that read it sent something incomprehensible")
            if self._errand:
                self._errand.cancel()
            self._finish(result)

    def _decode(self, received: bytes) -> None:
        self._received += len(received)
        if self._received > MAX_RESULT + MARGIN:
            raise ProtocolError("cannot read the result: it is too long")
        for line in self._decoder.feed(received):
            message = read_json(line.decode())
            if "program" in message:
                self._programs.append(ProgramConfig.from_data(message["program"], self._records))
            else:
                self._end = message

    def _ended(self, ending: Ending) -> None:
        if ending.refused:
            self._finish(LoadResult(shortage=ending.refused))
        elif ending.late:
            problem = f"{self.path}: error: reading it takes more than {self._deadline_s:g}s"
            self._finish(LoadResult(problems=(problem,)))
        else:
            self._finish(self._result())

    def _result(self) -> LoadResult:
        end = self._end
        if end is None:
            return self._failed("the process that read it died before it was done")
        if end["failure"]:
            return LoadResult(failure=end["failure"])
        if end["problems"] or end["shortage"]:
            problems, public = tuple(end["problems"]), tuple(end["public"])
            return LoadResult(problems=problems, public_problems=public, shortage=end["shortage"])
        config = Config(
            path=end["path"],
            daemon=DaemonConfig.from_data(end["daemon"]),
            programs=tuple(self._programs),
            files=tuple((path, mtime_ns, size) for path, mtime_ns, size in end["files"]),
            groups=groups_of(end),
            alerts=end.get("alerts", {}),
        )
        return LoadResult(config=config, warnings=tuple(end["warnings"]), public_warnings=tuple(end["public"]))

    def _failed(self, failure: str) -> LoadResult:
        changed = self._installed is not None and self._installed.changed()
        return LoadResult(failure=CHANGED if changed else failure)

    def _finish(self, result: LoadResult) -> None:
        done, self._done = self._done, None
        if done:
            done(result)


def load(
    path: str,
    *,
    environment: Mapping[str, str],
    options: Mapping[str, bool],
    deadline_s: float = DEADLINE_S,
    given: File | None = None,
) -> LoadResult:
    """Return the result, waiting for it at most until the deadline. For the launcher and -t, not for the daemon.

    `given` is what is read at `path`, where that cannot be opened.
    """
    results: list[LoadResult] = []
    try:
        reactor = Reactor(_escape)
    except OSError as error:
        return LoadResult(shortage=f"{system_reason(error)}{limit(error.errno)}")
    errands = Errands(reactor, set())
    loading = Loading(
        errands,
        path,
        results.append,
        environment=environment,
        options=options,
        deadline_s=deadline_s,
        given=given,
    )
    try:
        reactor.settle(SETTLE_ROUNDS)
        while not results:
            reactor.turn(LOOK_EVERY_S)
            if not results:  # a child that was killed may take its time
                errands.wait_for_silent()
                reactor.settle(SETTLE_ROUNDS)
    finally:
        loading.cancel()
        reactor.close()
    return results[0]


def _escape(error: BaseException) -> NoReturn:
    raise error


# -- the child


def _read_and_send(
    fd: int,
    path: str,
    environment: Mapping[str, str],
    options: Mapping[str, bool],
    given: File | None,
    installed: Installed | None,
) -> None:
    """Decode the file at `path` and write the result to `fd`, or why there is none."""
    import gc  # noqa: PLC0415 - for the child only

    gc.disable()
    try:
        lines = _result(path, environment, options, given)
        _send(fd, [_end(failure=CHANGED)] if installed and installed.changed() else lines)
    except BaseException as error:  # noqa: BLE001 - also KeyboardInterrupt and MemoryError: each has an answer
        _send(fd, [_death(error, path, installed)])


def _result(path: str, environment: Mapping[str, str], options: Mapping[str, bool], given: File | None) -> list[bytes]:
    """Return the lines for the parent."""
    from taskmaster_common.schema import decode  # noqa: PLC0415 - yaml must never be resident
    from taskmasterd.configuration.host import HostShortage, read, surroundings  # noqa: PLC0415 - nor glob

    def read_once(wanted: str) -> File:
        return read(wanted) if given is None or wanted != path else given

    host: Surroundings = surroundings(environment, **options).replace(read=read_once)
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
        if size > MAX_RESULT - MARGIN:
            return [_end(problems=[f"{path}: error: its values take more than {MAX_RESULT >> 20} MiB"])]
    warnings, public = list(loaded.warnings), list(loaded.public_warnings)
    daemon = config.daemon.to_data()
    named = {
        "path": config.path,
        "daemon": daemon,
        "files": config.files,
        **groups_data(config.groups),
        **alerts_data(config.alerts),
    }
    lines.append(_end(**named, warnings=warnings, public=public))
    return lines


def _end(**fields: object) -> bytes:
    return _line({"problems": [], "shortage": "", "failure": "", "warnings": [], "public": [], **fields})


def _line(message: Mapping[str, object]) -> bytes:
    return write_json(message) + b"\n"


def _send(fd: int, lines: list[bytes]) -> None:
    left = memoryview(b"".join(lines))
    while left:
        left = left[os.write(fd, left) :]


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


def _own_data() -> int:
    """Return the bytes of data that this process has, which its child begins with; 0 where nobody tells. Source: proc(5), statm."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[5]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def _named(error: BaseException) -> str:
    """Return an exception by its kind and place. Its text may quote a value of env, unless it is about code."""
    kind = type(error).__name__
    if isinstance(error, (ImportError, SyntaxError)):
        return f"{kind}: {error}"
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{kind} at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else kind

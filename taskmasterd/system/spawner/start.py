"""The daemon's side of a start: posix_spawn where that is enough, else a fork, and the report of the forked child."""

from __future__ import annotations

import os
import resource

from taskmaster_common.errors import BugError, system_reason
from taskmasterd.ondemand import on_demand
from taskmasterd.system.lineage import put_tag
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.loop.reactor import READ, Reactor
from taskmasterd.system.spawner.spec import OPEN_CONTROLS, ChildSpec, SetupError, SetupStep, find, is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from taskmasterd.system import signalling
    from taskmasterd.system.loop.reactor import Timer
    from taskmasterd.system.paths import executable
    from taskmasterd.system.spawner import child, texts
else:
    signalling = on_demand("taskmasterd.system.signalling")
    executable = on_demand("taskmasterd.system.paths.executable")
    child = on_demand("taskmasterd.system.spawner.child")
    texts = on_demand("taskmasterd.system.spawner.texts")


class Spawner:
    """Starts children, those without a standard input of their own with `null`, an open /dev/null.

    Calls `on_report(pid, None)` when a forked child has executed its program, `on_report(pid, (step, text))` if it could not.
    """

    def __init__(self, reactor: Reactor, null: int, on_report: Callable[[int, tuple[str, str] | None], None]) -> None:
        self._reactor = reactor
        self._on_report = on_report
        self._reports: dict[int, tuple[int, ChildSpec, bytearray]] = {}
        self._timers: dict[int, Timer] = {}
        self._null = null
        self._can_posix_spawn = True
        self._stuck: set[str] = set()

    def spawn(
        self, spec: ChildSpec, stdout: int, stderr: int, extras: Sequence[tuple[int, int]] = (), *, stdin: int = -1
    ) -> tuple[int, bool]:
        """Start a child with these descriptors as 1, 2 and 0; return (pid, executed). If it is not executed yet, a report follows.

        `extras` are pairs (number, descriptor): the child, which is forked, gets each descriptor at its number, 3 to 255.
        Raises SetupError if a step has failed already, OSError if the system refuses a process or descriptor.
        """
        streams = (stdin if stdin >= 0 else self._null, stdout, stderr)
        forked = spec.forked or extras or (spec.terminal and not OPEN_CONTROLS)
        forked = forked or any(step.around is None or step.name in self._stuck for step in spec.steps)
        if spec.identity is None and self._can_posix_spawn and not forked:
            try:
                return self._posix_spawn(spec, streams), True
            except NotImplementedError:  # POSIX_SPAWN_SETSID is missing in this C library
                self._can_posix_spawn = False
            except _NotExecuted:  # a forked child can find out why
                pass
        return self._fork(spec, streams, extras), False

    def _posix_spawn(self, spec: ChildSpec, streams: tuple[int, int, int]) -> int:
        undo: list[tuple[str, Callable[[], object]]] = []
        actions, path = _file_actions(spec, streams), ""
        try:
            _become_like(spec, undo)
            path = find(spec.argv, spec.environment)
            if not path:
                raise SetupError("search", texts.not_found(spec))
            pid = os.posix_spawn(path, spec.argv, spec.environment, file_actions=actions, setsid=True)
        except OSError as error:
            if is_shortage(error):
                raise
            if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
                raise SetupError(
                    "search", texts.plain_text(spec, error)
                ) from None  # the most frequent failure needs no fork
            raise _NotExecuted from None
        else:
            if spec.tag is not None:  # not before: without privilege the daemon could not raise its own limits again
                put_tag(spec.tag, pid)
            return pid
        finally:
            for name, put_back in reversed(undo):
                self._put_back(name, put_back)

    def _put_back(self, name: str, put_back: Callable[[], object]) -> None:
        """Give the daemon its own value back; where that fails, only children take such steps from now on."""
        try:
            put_back()
        except (OSError, ValueError) as error:
            self._stuck.add(name)
            text = f"taskmasterd cannot put back its own {name}: {error}"

            def complain() -> None:
                raise BugError(text)

            self._reactor.call_soon(complain)

    def _fork(self, spec: ChildSpec, streams: tuple[int, int, int], extras: Sequence[tuple[int, int]]) -> int:
        become_child, explain = (
            child.become_child,
            _explainer(),
        )  # before the fork: the child may have no right to read them
        report, write = os.pipe()
        try:
            os.set_blocking(report, False)
            pid = os.fork()
        except OSError:
            os.close(report)
            os.close(write)
            raise
        if pid == 0:
            become_child(spec, streams, write, extras, explain)
        os.close(write)
        self._reports[pid] = (report, spec, bytearray())
        self._reactor.watch(report, READ, lambda _ready: self.settle(pid))
        for step in spec.steps:
            if step.within_s:
                self._timers[pid] = self._reactor.call_later(step.within_s, partial(self._late, pid, step))
        return pid

    def _late(self, pid: int, step: SetupStep) -> None:
        """Kill a child that hangs in a step. It is not reaped yet, or its report would have been read."""
        self.settle(pid)
        if pid in self._reports:
            report = self._forget(pid)[0]
            signalling.send(os.kill, pid, signal.SIGKILL)
            os.close(report)
            self._on_report(pid, (step.name, step.late))

    def _forget(self, pid: int) -> tuple[int, ChildSpec, bytearray]:
        self._reactor.cancel(self._timers.pop(pid, None))
        found = self._reports.pop(pid)
        self._reactor.remove(found[0])
        return found

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
        self._forget(pid)
        os.close(report)
        self._on_report(pid, texts.failed_step(spec, received.decode("utf-8", "surrogateescape")) if received else None)


def _file_actions(spec: ChildSpec, streams: tuple[int, int, int]) -> list[tuple[Any, ...]]:
    """Return what posix_spawn does with descriptors, once the child is in its session."""
    if not spec.terminal:
        return [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)]
    opened = (os.POSIX_SPAWN_OPEN, 0, spec.terminal, os.O_RDWR, 0)
    return [opened, (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]


def _become_like(spec: ChildSpec, undo: list[tuple[str, Callable[[], object]]]) -> None:
    """Have this process as the child is to be; `undo` gets the name of each step with what puts the daemon's own value back."""
    try:
        os.chdir(spec.workingdir)
    except OSError as error:
        raise SetupError("workingdir", texts.step_text("workingdir", spec, error)) from None
    undo.append(("workingdir", partial(os.chdir, "/")))
    undo.append(("umask", partial(os.umask, os.umask(spec.umask))))
    if spec.nofile:
        mine = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(spec.nofile[0], mine[1]), mine[1]))
        undo.append(("limits", partial(resource.setrlimit, resource.RLIMIT_NOFILE, mine)))
    for step in spec.steps:
        if step.around:
            try:
                undo.append((step.name, step.around()))
            except OSError as error:
                raise SetupError(step.name, f"cannot {step.what}: {system_reason(error)}") from None


class _NotExecuted(Exception):
    """The kernel did not execute a program, for another reason than a shortage."""


def _explainer() -> Callable[..., str] | None:
    """Return the function that explains a failed exec."""
    try:
        return executable.exec_text
    except Exception:  # noqa: BLE001 - whatever it is that keeps it from being loaded: the reason will be shorter
        return None

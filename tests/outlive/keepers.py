"""Who keeps a daemon running: a script that starts it again, or a guardian; and how long there was none.

The daemon is always a descendant of this process, in the foreground, so that what is killed is known for certain.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests.soak import kernel
from tests.soak.wire import Gone, Silence, Wire
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.soak.stage import Stage

ANSWER_WITHIN_S = 60.0
LONGEST_PAUSE_S = 0.5


class Keeper:
    """Starts the daemon again by hand. `pid` is the daemon's, `gaps` are (killed, answered) in monotonic seconds.

    `killed` are the moments of all kills: one that begins is killed again in some gaps. `deaf_s`: how long before each gap somebody
    came to whom the daemon has said something. It may have got no processor since.
    """

    options: tuple[str, ...] = ()

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.dice = stage.dice("keeper")
        self.gaps: list[tuple[float, float]] = []
        self.deaf_s: list[float] = []
        self.killed: list[float] = []
        self.pid = 0
        self._killed = self._deaf_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """What was launched last."""
        assert self._process
        return self._process

    @property
    def kills(self) -> int:
        """How often it was killed."""
        return len(self.killed)

    def start(self) -> None:
        """Start it for the first time, and wait until it answers."""
        self._launch()
        self.answer()

    def kill(self) -> None:
        """Kill the daemon with -9."""
        self.killed.append(time.monotonic())
        if not self._killed:
            self._killed, self._deaf_s = self.killed[-1], self.killed[-1] - self.stage.answered_at
        os.kill(self.pid, signal.SIGKILL)
        self._gone()

    def again(self) -> None:
        """See to it that there is a new one, in whatever early moment of its life."""
        self.stage.pause(self.dice.uniform(0, LONGEST_PAUSE_S))
        self._launch()

    def answer(self) -> float:
        """Wait until the daemon answers; returns how long there was none."""
        limit = time.monotonic() + ANSWER_WITHIN_S
        while True:
            try:
                with Wire(self.stage.daemon.socket, patience_s=ANSWER_WITHIN_S) as wire:
                    self.pid = next(each["pid"] for each in wire.ask("version") if each["type"] == "daemon")
                    break
            except (Gone, Silence):
                if time.monotonic() > limit or self.process.poll() is not None:
                    raise
                self.stage.pause(0.002)
        if not self._killed:
            return 0.0
        self.gaps.append((self._killed, time.monotonic()))
        self.deaf_s.append(self._deaf_s)
        self._killed = 0.0
        return self.gaps[-1][1] - self.gaps[-1][0]

    def end_by_force(self) -> None:
        """Leave nothing running, whatever state it is in."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self.stage.daemon.foreground = None

    def _launch(self) -> None:
        daemon = self.stage.daemon
        with (daemon.home / "stdout").open("ab") as stdout, (daemon.home / "stderr").open("ab") as stderr:
            self._process = daemon.foreground = subprocess.Popen(
                [sys.executable, "-m", "taskmasterd", "-c", str(daemon.config), "-n", *self.options],
                env=daemon.environment,
                cwd=daemon.home,
                stdout=stdout,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
            )
        self.pid = self._process.pid

    def _gone(self) -> None:
        self.process.wait()


class Guarded(Keeper):
    """A guardian starts it again; after many deaths it pauses, which a signal for the daemon ends."""

    options = ("--guard",)
    _ticks = 0

    def kill(self) -> None:
        """Kill the daemon with -9; whatever the guardian starts from this moment on is the next one."""
        self._ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        super().kill()

    def again(self) -> None:
        """Have it started; the guardian does so by itself, but waits longer after each early death."""
        if self.kills > 1:
            os.kill(self.process.pid, signal.SIGUSR1)
        wait_until(self._daemon, within_s=ANSWER_WITHIN_S)
        self.pid = self._daemon()

    def end_by_force(self) -> None:
        """Kill the guardian first, which would start another one."""
        if self._process and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGSTOP)
            for pid in {self.pid, self._daemon()} - {0}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        super().end_by_force()

    def _daemon(self) -> int:
        """Return the pid of the guardian's child that it has started since the last kill, 0 where there is none yet.

        What a dead daemon had started before, such as who checks a configuration, may be its child as well.
        """
        socket = self.stage.daemon.socket
        children = [each for each in kernel.children(self.process.pid) if each.alive and each.started >= self._ticks]
        return max((each.pid for each in children if kernel.slot_of(each.pid, socket) is None), default=0)

    def _gone(self) -> None:
        pid = self.pid
        wait_until(lambda: (seen := kernel.look(pid)) is None or not seen.alive, within_s=30)

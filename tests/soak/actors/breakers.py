"""Those who kill what lives beside the daemon with -9: its keeper, and loggers of programs."""

from __future__ import annotations

import signal
import time

from tests.soak import kernel
from tests.soak.actors.rude import send
from tests.soak.stage import Actor
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tests.soak.stage import Stage

SOUND_S = 11.0
"""A keeper that has lived for ten seconds is replaced at once, an earlier one after a pause."""
QUIET_WITHIN_S = 3.0


def kill_keeper(stage: Stage) -> bool:
    """Kill the keeper; return whether there was one. What it was moving just then is lost: one chunk of each terminal."""
    seen = kernel.keeper_of(stage.daemon.socket)
    if seen is None:
        return False
    stage.count("keepers killed")
    send(seen, signal.SIGKILL)
    wait_until(lambda: not kernel.still_alive(seen), within_s=10)
    return True


def kill_logger(stage: Stage, choose: Any) -> bool:
    """Kill one of the loggers, which `choose` chooses from a list, once it has written all that it has read; return whether it was.

    What a logger has read and not written dies with it. So its program is stopped until the logger waits for more.
    """
    loggers = kernel.in_role(stage.daemon.socket, b"logger")
    if not loggers:
        return False
    logger, slot = choose(sorted(loggers.items()))
    writers = [seen for seen, whose in kernel.marked(stage.daemon.socket).items() if whose == slot]
    for writer in writers:
        send(writer, signal.SIGSTOP)
    try:
        wait_until(lambda: _waits(logger), within_s=QUIET_WITHIN_S)
        send(logger, signal.SIGKILL)
        wait_until(lambda: not kernel.still_alive(logger), within_s=10)
    except (AssertionError, OSError):  # it ended meanwhile, or somebody else writes
        return False
    finally:
        for writer in writers:
            send(writer, signal.SIGCONT)
    stage.count("loggers killed")
    return True


def _waits(logger: kernel.Seen) -> bool:
    """Return whether a logger sleeps with nothing to read, twice in a row: a turn of it in between would show."""
    for _ in range(2):
        now = kernel.look(logger.pid)
        if now is None or now.started != logger.started or now.state != "S" or kernel.unread(logger.pid):
            return False
        time.sleep(0.01)
    return True


class Breaker(Actor):
    """Kills the keeper, and loggers, now and then."""

    pause_s = 2.0

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage, name)
        self._sound = time.monotonic() + SOUND_S / 2

    def act(self) -> None:
        """Kill one of them."""
        if time.monotonic() >= self._sound:
            self.doing = "kill -9 of the keeper"
            if kill_keeper(self.stage):
                self._sound = time.monotonic() + SOUND_S
                return
        self.doing = "kill -9 of a logger"
        kill_logger(self.stage, self.dice.choice)

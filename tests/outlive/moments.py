"""The moments at which the daemon is killed: each prepares one, and returns when it has come."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from taskmasterd.survival.disk.file import DRAFT, file_name
from tests.outlive.cohort import kind_of
from tests.soak import kernel
from tests.soak.actors.breakers import kill_keeper, kill_logger
from tests.soak.wire import Gone, Silence
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from tests.outlive.cohort import Cohort
    from tests.outlive.keepers import Keeper
    from tests.soak.stage import Stage

KEEPER_OWN_FDS = 5
"""Three null devices, a channel, a listening socket."""
KEEPER_WITHIN_S = 20.0
POLL_S = 0.0002
"""A rename, or a draft of the state, lasts for less than a millisecond: looking has to be quick."""


class Moments:
    """One of each in turn, in a random order."""

    def __init__(self, stage: Stage, keeper: Keeper, cohort: Cohort, pace: float) -> None:
        self.pace = pace  # seconds that a moment is waited for at most, or so
        self.stage = stage
        self.keeper = keeper
        self.dice: random.Random = stage.dice("moments")
        self._names = cohort.programs
        self._held = cohort.held
        self._left: list[str] = []
        self._draft = str(stage.daemon.home / file_name(str(stage.daemon.socket))) + DRAFT

    def next(self) -> str:
        """Kill the daemon, once or more, and see to it that there is another one; returns what the moment was."""
        if not self._left:
            self._left = [name.removeprefix("at_") for name in dir(self) if name.startswith("at_")]
            self.dice.shuffle(self._left)
        name = self._left.pop()
        getattr(self, f"at_{name}")()
        self.keeper.kill()
        self.keeper.again()
        return name

    def at_random(self) -> None:
        """Whatever it is doing."""
        self.stage.pause(self.dice.uniform(0, self.pace))

    def at_start(self) -> None:
        """A new one, some hundredths of a second old."""
        self._anew()
        self.stage.pause(self.dice.uniform(0, 0.4))

    def at_draft(self) -> None:
        """A new one that is writing its whole state."""
        self._anew()
        self._watch(self._is_drafting, self.pace)

    def at_state(self) -> None:
        """It is writing its state anew, or has not for a while."""
        self._watch(self._is_drafting, self.pace)

    def at_reload(self) -> None:
        """It reads or applies an edited file."""
        with self.stage.file:
            self.stage.daemon.write(self._edited())
        self._send("reload", "reload")
        self.stage.pause(self.dice.uniform(0, 0.15))

    def at_stop(self) -> None:
        """It stops, starts and restarts many."""
        some = self.dice.sample(self.stage.targets, min(8, len(self.stage.targets)))
        self._send(*(f"{self.dice.choice(('stop', 'restart', 'start'))} --no-wait {name}" for name in some))
        self.stage.pause(self.dice.uniform(0, 0.05))

    def at_rotation(self) -> None:
        """It has just renamed a log."""
        names = [name for name in self._names if kind_of(name) in ("rotates", "turns")]
        log = self.stage.daemon.home / "log" / f"{self.dice.choice(names)}.log"
        before = _inode(log)
        self._watch(lambda: _inode(log) != before, 2 * self.pace)

    def at_keeper(self) -> None:
        """Its keeper was killed, and another one has just got all that it has to hold: without either, programs would end."""
        renew_keeper(self.stage, self._held)

    def at_logger(self) -> None:
        """A logger was killed, and perhaps there is another one."""
        kill_logger(self.stage, self.dice.choice)

    def at_upgrade(self) -> None:
        """It checks the code, executes it, or has just begun anew."""
        self._send("upgrade")
        self.stage.pause(self.dice.uniform(0, self.pace))

    # -- how

    def _is_drafting(self) -> bool:
        return os.path.exists(self._draft)

    def _anew(self) -> None:
        self.keeper.kill()
        self.keeper.again()

    def _edited(self) -> str:
        self.stage.population.edit()
        return self.stage.population.text()

    def _send(self, *requests: str) -> None:
        with suppress(Gone, Silence), self.stage.connect() as wire:
            wire.send("".join(f"{request}\n" for request in requests).encode())

    def _watch(self, condition: Callable[[], bool], within_s: float) -> None:
        limit = time.monotonic() + within_s
        while not condition() and time.monotonic() < limit:
            time.sleep(POLL_S)


def renew_keeper(stage: Stage, held: int) -> None:
    """Kill the keeper, and wait until its successor holds this many descriptors of programs."""
    if not kill_keeper(stage):
        return

    def holds_all() -> bool:
        keeper = kernel.keeper_of(stage.daemon.socket)
        return keeper is not None and len(kernel.descriptors(keeper.pid)) >= KEEPER_OWN_FDS + held

    try:
        wait_until(holds_all, within_s=KEEPER_WITHIN_S)
    except AssertionError:
        stage.found(
            f"the keeper was killed, and another one does not hold {held} descriptors: {kernel.keeper_of(stage.daemon.socket)}"
        )


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0

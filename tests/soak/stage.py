"""What all parts of a soak share: the daemon, the programs, the findings, the counts, and the curtain between acts.

A *finding* is something that must not be. An *actor* is a thread that does one thing after the other while the curtain is
up; a *calm* is the time with the curtain down, when everybody has finished what they were at.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter

from tests.soak.wire import Gone, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Protocol

    from tests.support.daemon import Daemon

    class Programs(Protocol):
        """The wanted programs, as a `Population` or a cohort of the long run has them."""

        def text(self) -> str:
            """Return the configuration as YAML."""

        def names(self) -> list[str]:
            """Return the programs that everybody may disturb."""

        def edit(self) -> str:
            """Change something as an operator would; returns what, in words."""


MOST_FINDINGS = 20
ACT_LIMIT_S = 60.0
"""An actor that has not come to the end of what it was at by then waits for an answer that will never come."""


class Stage:
    """One soak.

    `daemon_may_vanish`: somebody kills the daemon, so a connection that ends, a missing pid file and a missing process are
    no findings. `targets`: the programs that everybody may disturb; the editor replaces it. Who edits the configuration, or counts
    on it, holds `file` meanwhile.
    """

    def __init__(self, daemon: Daemon, population: Programs, seed: int) -> None:
        self.daemon = daemon
        self.population = population
        self.seed = seed
        self.daemon_may_vanish = False
        self.targets: tuple[str, ...] = tuple(population.names())
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        self.worst_status_s = 0.0
        self.began = self.answered_at = time.monotonic()
        self.file = threading.Lock()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._over = threading.Event()

    @property
    def directory(self) -> Path:
        """Where the programs write what they noticed."""
        return self.daemon.home / "soak"

    def dice(self, name: str) -> random.Random:
        """Return the choices of one actor, which depend on the seed alone."""
        return random.Random(f"{self.seed} {name}")

    def connect(self) -> Wire:
        """Return a new connection, on which the daemon has said something: it had a look at everything after `answered_at`."""
        began = time.monotonic()
        wire = Wire(self.daemon.socket)
        self.answered_at = max(self.answered_at, began)
        return wire

    def found(self, text: str) -> None:
        """Note a finding."""
        with self._lock:
            if len(self.findings) < MOST_FINDINGS:
                self.findings.append(f"[{time.monotonic() - self.began:.1f} s] {text}")
                print(f"FINDING {self.findings[-1]}", flush=True)

    def count(self, what: str, number: int = 1) -> None:
        """Count something for the summary."""
        with self._lock:
            self.counts[what] += number

    # -- the curtain

    @property
    def playing(self) -> bool:
        """Whether actors may begin something."""
        return self._open.is_set() and not self._over.is_set()

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be done, ever."""
        return self._over.is_set()

    def raise_curtain(self) -> None:
        """Let the actors act."""
        self._open.set()

    def lower_curtain(self, actors: Iterable[Actor]) -> None:
        """Let nobody begin anything, and wait until all have finished."""
        self._open.clear()
        limit = time.monotonic() + ACT_LIMIT_S
        for actor in actors:
            if not actor.idle.wait(max(0.0, limit - time.monotonic())):
                self.found(f"{actor.name} does not come to an end: {actor.doing}")

    def end(self) -> None:
        """Send everybody home."""
        self._over.set()
        self._open.set()

    def pause(self, seconds: float) -> bool:
        """Wait; returns whether it goes on afterwards."""
        return not self._over.wait(seconds)

    def wait_for_curtain(self) -> None:
        """Wait until actors may act, or all is over."""
        self._open.wait()


class Actor:
    """Does `act` again and again, `pause_s` apart on the average; an exception of one act is a finding."""

    pause_s = 0.3

    def __init__(self, stage: Stage, name: str) -> None:
        self.name = name
        self.stage = stage
        self.dice = stage.dice(name)
        self.idle = threading.Event()
        self.doing = ""

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def _run(self) -> None:
        while not self.stage.over:
            self.idle.set()
            self.stage.wait_for_curtain()
            self.idle.clear()
            if self.stage.playing:
                self._act_once()
        self.idle.set()

    def _act_once(self) -> None:
        try:
            self.act()
        except (Gone, FileNotFoundError, ProcessLookupError) as error:
            if not self.stage.daemon_may_vanish:
                self.stage.found(f"{self.name}: the daemon has gone ({error!r}): {self.doing}")
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.stage.found(f"{self.name}: {error!r} at {where.filename}:{where.lineno}: {self.doing}")
        self.stage.pause(self.dice.uniform(0, 2 * self.pause_s))

    def act(self) -> None:
        """Do one thing, said in `doing`."""
        raise NotImplementedError

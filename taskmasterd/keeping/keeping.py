"""Descriptors that outlive the daemon, each set under a key, in a keeper's hands.

Whoever has a descriptor that must outlive the daemon keeps it here under a KEY, a word without blanks that is nobody else's, and
holds it open itself until it drops the key. The keeper then has a second one. A later daemon, one after an upgrade too, claims what
it knows by the key, and drops the rest. Where the keeper dies another one is started and gets everything again.
Nothing waits here but `drain` and `take_back`, and no question is open for ever.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.records import Record
from taskmasterd.keeping.link import KeeperMeans, Link
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmasterd.keeping.link import Fds

    Renew = Callable[[], Fds]

LANGUAGE = "1"
"""`keeper.VERSION` of the keepers that we can talk to."""
KEEP, PUMP = "keep", "pump"
DRAIN_WITHIN_S, FIRST_DRAIN_WITHIN_S = 0.1, 1.0
"""Longest wait for an answer to `drain`, seconds; that of a keeper that may not have begun yet. Who was late is not waited for."""
TAKE_BACK_WITHIN_S = 5.0
ANSWER_WITHIN_S = 0.5
"""Longest wait for the modes of a terminal, seconds; the client sees it without them then."""
SOUND_S, RETRY_FIRST_S, RETRY_MOST_S = 10.0, 0.1, 30.0
"""Lifetime after which a keeper's death leads to another one at once; the first and the longest pause otherwise, seconds."""


class Item(Record):
    """What is kept under one key: the word that the keeper knows it by, the descriptors, what makes others for another keeper."""

    word: str
    fds: Fds
    renew: Renew | None = None


class Keeping:
    """All that a keeper holds for us. A keeper is started by the first key, and ends by itself after the last one."""

    def __init__(self, means: KeeperMeans) -> None:
        self._means = means
        self._link = Link(means, self._take, self._lost)
        self._kept: dict[str, Item] = {}
        self._given: dict[str, Item] = {}
        self._asked: dict[str, list[Callable[[tuple[str, ...]], None]]] = {}
        self._keeper = 0
        self._spoken = self._late = self._ending = self._refused = False
        self._started = 0.0
        self._quick_deaths = 0

    # -- what is kept

    def keep(self, key: str, fds: Fds) -> None:
        """Have these held under `key`, until `drop`. Starts a keeper where there is none: raises OSError, SystemFailure."""
        self._start()
        self._kept[key] = Item(KEEP, fds)
        self._link.send(f"{KEEP} {key}", tuple(map(os.dup, fds)))

    def pump(self, key: str, master: int, log: int, renew: Renew) -> None:
        """Have a terminal's output moved into `log`, -1 for nowhere, which is the keeper's alone from now on.

        For another keeper `renew()` returns the master and, where there is a log, the write end of another pipe. Raises as `keep`.
        """
        try:
            self._start()
            fds = (os.dup(master),)
        except BaseException:
            if log >= 0:
                os.close(log)
            raise
        self._kept[key] = Item(PUMP, (master,), renew)
        self._link.send(f"{PUMP} {key}", (*fds, log) if log >= 0 else fds)

    def drop(self, key: str) -> None:
        """Let the keeper let go of what it holds under `key`."""
        item = self._kept.pop(key, None)
        if item and not (item.word == KEEP and self._link.unsend(f"{KEEP} {key}")):
            self._link.send(f"drop {key}")

    def drain(self, key: str) -> bool:
        """Have moved what the terminal has now; return whether that is done. Waits, for a bounded time."""
        if self._late or not self._link.up:
            return False
        now, answer = self._means.reactor.now, f"drained {key}"
        until = now() + (DRAIN_WITHIN_S if self._spoken else FIRST_DRAIN_WITHIN_S)
        self._link.send(f"drain {key}")
        while self._link.up and (left := until - now()) > 0:
            if self._link.hear(left) == answer:
                return True
        self._late = self._link.up
        return False

    def modes(self, key: str, done: Callable[[tuple[str, ...]], None]) -> None:
        """Call `done` with the sequences, without their ESC, of the modes that are on in a terminal; () where that is unknown."""
        if self._late or not self._link.up:
            self._means.reactor.call_soon(partial(done, ()))
            return
        waiting = self._asked.setdefault(key, [])
        waiting.append(done)
        if len(waiting) == 1:
            self._link.send(f"modes {key}")
            self._means.reactor.call_later(ANSWER_WITHIN_S, partial(self._give_up, key, waiting))

    def _give_up(self, key: str, waiting: list[Callable[[tuple[str, ...]], None]]) -> None:
        """Answer those who still wait for the modes of a terminal: nobody asks a silent keeper again before it has said something."""
        if self._asked.get(key) is waiting:
            del self._asked[key]
            self._late = True
            for done in waiting:
                self._means.reactor.attempt(partial(done, ()), None)

    def tap(self, key: str, fd: int) -> None:
        """Have all output of a terminal copied into a pipe, whose write end is the keeper's alone from now on.

        A silent keeper is asked for nothing: what is on its way to it would grow with each client who looks.
        """
        if self._late:
            os.close(fd)
        else:
            self._link.send(f"tap {key}", (fd,))

    # -- another daemon

    @property
    def fd(self) -> int | None:
        """Our end of the channel, which the daemon after an upgrade inherits; None where there is none."""
        return self._link.fd

    def at_rest(self) -> bool:
        """Return whether the keeper has been sent everything. Replace a dead one now, without the usual pause.

        Called before an upgrade: the new code has only what a keeper hands over.
        """
        while self._link.hear(0.0):
            pass
        if not self._refused:
            self._start_again()
        return self._link.idle and (self._link.up or not self._kept)

    def take_back(self, fd: int | None) -> None:
        """Get all that a keeper holds for an earlier daemon: by the channel that was inherited, or at its socket.

        What it gives can be claimed until the end of this turn. Waits for the keeper, for a bounded time.
        """
        if not self._link.resume(fd):
            return
        now, self._keeper, self._late = self._means.reactor.now, 0, False
        self._link.send("give")
        until = now() + TAKE_BACK_WITHIN_S
        while self._link.up and not self._keeper and (left := until - now()) > 0:
            self._link.hear(left)
        if not self._keeper:
            self._means.say("error", "the keeper of an earlier daemon does not give back what it holds")
        elif fd is not None:
            self._link.is_child(self._keeper)
        else:
            self._link.is_no_child(self._keeper)
        self._started = now()
        self._means.reactor.call_soon(self._settle)

    def given(self) -> Mapping[str, Fds]:
        """Return what has been given back and not been claimed yet, by key, in the order in which it was kept."""
        return {key: item.fds for key, item in self._given.items()}

    def claim(self, key: str, renew: Renew | None = None) -> Fds | None:
        """Return what was kept under a key, and have it kept from now on; the caller owns the descriptors. None: it was not."""
        given = self._given.pop(key, None)
        if given is None:
            return None
        self._kept[key] = Item(given.word, given.fds[:1] if given.word == PUMP else given.fds, renew)
        return given.fds

    def _settle(self) -> None:
        """Let go of what nobody has claimed."""
        given, self._given = self._given, {}
        for key, item in given.items():
            for fd in item.fds:
                os.close(fd)
            self._link.send(f"drop {key}")

    def bye(self) -> None:
        """Let the keeper let go of all and end: the daemon ends on purpose."""
        self._ending = True
        self._link.send("bye")
        self._link.close()

    # -- the keeper's life

    def _start(self) -> None:
        """Start a keeper unless there is one, and send it everything that is kept. Raises OSError, SystemFailure."""
        if self._link.up:
            return
        self._link.start()
        self._spoken = self._late = False
        self._started = self._means.reactor.now()
        for key, item in tuple(self._kept.items()):
            self._means.reactor.attempt(partial(self._keep_again, key, item), None)

    def _lost(self, pid: int) -> None:
        """Handle the end of the channel: an idle keeper has ended, or one that is needed has died."""
        asked, self._asked = self._asked, {}
        for done in (done for waiting in asked.values() for done in waiting):
            self._means.reactor.attempt(partial(done, ()), None)
        if not self._kept or self._ending:
            return
        now = self._means.reactor.now()
        self._quick_deaths = self._quick_deaths + 1 if now - self._started < SOUND_S else 0
        pause_s = min(RETRY_FIRST_S * 2 ** (self._quick_deaths - 1), RETRY_MOST_S) if self._quick_deaths else 0.0
        self._means.say("error", f"the keeper (pid {pid}) has died; starting another one")
        self._means.reactor.call_later(pause_s, self._start_again)

    def _start_again(self) -> None:
        self._refused = False
        if self._link.up or self._ending or not self._kept:
            return
        try:
            self._start()
        except (OSError, SystemFailure) as error:
            reason = system_reason(error) if isinstance(error, OSError) else str(error)
            self._means.say("error", f"cannot start a keeper: {reason}; trying again in {RETRY_MOST_S:g}s")
            self._means.reactor.call_later(RETRY_MOST_S, self._start_again)
            self._refused = True

    def _keep_again(self, key: str, item: Item) -> None:
        if item.renew:
            master, *log = item.renew()
            self._link.send(f"{item.word} {key}", (os.dup(master), *log))
        else:
            self._link.send(f"{item.word} {key}", tuple(map(os.dup, item.fds)))

    def _take(self, words: list[str], fds: Fds) -> None:
        """Take a packet of the keeper."""
        self._late = False
        kind = words[0]
        if kind == "keeper":
            self._spoken = True
            if words[1] != LANGUAGE:
                self._means.say("error", "the keeper is of another version: run `taskmasterctl upgrade`")
        elif kind in (KEEP, PUMP) and fds:
            self._given[words[1]] = Item(kind, fds)
        elif kind == "given":
            self._keeper = int(words[1])
        elif kind == "modes":
            for done in self._asked.pop(words[1], ()):
                self._means.reactor.attempt(partial(done, tuple(filter(None, words[2:]))), None)

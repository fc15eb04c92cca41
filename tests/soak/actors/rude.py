"""Those who do not behave: clients that leave in the middle, send garbage, never read; and who kills processes."""

from __future__ import annotations

import os
import signal

from tests.soak import kernel
from tests.soak.population import OWNED
from tests.soak.stage import Actor
from tests.soak.wire import Gone, Silence, Wire

LONGEST_LINE = 65_536


class Rude(Actor):
    """One bad habit after the other."""

    pause_s = 0.4

    def act(self) -> None:
        """Connect and misbehave; that this ends the connection is what should happen."""
        habit = self.dice.choice(
            (self._leave, self._garbage, self._endless_line, self._half_a_line, self._follow, self._never_read, self._many,
             self._ask_and_leave, self._end_sending)
        )  # fmt: skip
        self.doing = habit.__name__
        self.stage.count("rude clients")
        with self.stage.connect() as wire:
            try:
                habit(wire)
            except Gone:
                if habit in (self._follow, self._end_sending):
                    raise

    def _leave(self, wire: Wire) -> None:
        pass

    def _garbage(self, wire: Wire) -> None:
        wire.send(self.dice.randbytes(self.dice.randint(1, 5000)) + b"\n")
        wire.patience(0.3)
        try:
            for _ in range(20):
                wire.read()
        except Silence:
            return

    def _endless_line(self, wire: Wire) -> None:
        wire.send(b"x" * (LONGEST_LINE + 100))
        end = wire.read()
        if end.get("error", {}).get("code") != "too-long":
            self.stage.found(f"an over-long line was answered by {end}")
        try:
            self.stage.found(f"the connection goes on after an over-long line: {wire.read()}")
        except Gone:
            return

    def _half_a_line(self, wire: Wire) -> None:
        wire.send(b"status" * self.dice.randint(1, 100))
        self.stage.pause(self.dice.uniform(0, 1))

    def _follow(self, wire: Wire) -> None:
        """Follow some logs for a while, reading."""
        names = [self.dice.choice(("writes*", "floods*", "flo*")), *self.dice.sample(self.stage.targets, 2)]
        wire.send(f"logs -f -n 5 {' '.join(names)}\n".encode())
        wire.patience(1.0)
        try:
            for _ in range(self.dice.randint(1, 200)):
                if wire.read()["type"] == "end":  # one of them has just been removed
                    return
                self.stage.count("objects of followed logs")
        except Silence:
            return

    def _never_read(self, wire: Wire) -> None:
        wire.send(self.dice.choice((b"subscribe\n", b"logs -f --daemon\n", b"logs -f floods*\n")))
        self.stage.pause(self.dice.uniform(0.5, 4))

    def _many(self, wire: Wire) -> None:
        wire.send(b"status\n" * self.dice.randint(10, 100))

    def _ask_and_leave(self, wire: Wire) -> None:
        wire.send(f"{self.dice.choice(('restart', 'stop', 'start'))} {self.dice.choice(self.stage.targets)}\n".encode())

    def _end_sending(self, wire: Wire) -> None:
        wire.send(b"status\npid\n")
        wire.end_sending()
        ends = 0
        while ends < 2:
            ends += wire.read()["type"] == "end"


class Killer(Actor):
    """Kills processes of programs with -9, sometimes many at once, and stops some with STOP."""

    pause_s = 0.5

    def act(self) -> None:
        """Choose among all that carry the daemon's mark; the owner's are spared."""
        alive = kernel.marked(self.stage.daemon.socket)
        victims = [seen for seen, slot in alive.items() if not slot[0].startswith(OWNED)]
        count = min(len(victims), self.dice.choice((1, 1, 1, 2, 3, 30)))
        number = self.dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP))
        self.doing = f"{number.name} to {count}"
        for victim in self.dice.sample(victims, count):
            send(victim, number)
            self.stage.count(f"{number.name} sent")


def send(seen: kernel.Seen, number: signal.Signals) -> None:
    """Signal that very process, and no later one with its pid."""
    try:
        handle = os.pidfd_open(seen.pid)
    except ProcessLookupError:
        return
    try:
        if kernel.still_alive(seen):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)

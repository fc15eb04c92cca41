"""The one who edits the configuration and reloads it: good edits, no edits, broken files, by the socket and by SIGHUP."""

from __future__ import annotations

import signal
import time
from typing import Any

from tests.soak.actors.clients import exit_of
from tests.soak.population import BROKEN
from tests.soak.stage import Actor

REFUSED = 6
LEARNS_WITHIN_S = 10.0
"""A daemon that takes over reads the URLs of alerts from the file: no state has them."""
FLAGS = ((), (), ("--no-wait",), ("--no-wait",), ("--no-restart",), ("--no-wait", "--rollback"))


class Editor(Actor):
    """Owns the file."""

    pause_s = 1.0

    def act(self) -> None:
        """Edit the file in one way or another and have it loaded."""
        self.dice.choice((self._edit, self._edit, self._edit, self._break, self._same, self._hang_up))()
        self.stage.count("reloads")

    def _write(self) -> None:
        self.stage.daemon.write(self.stage.population.text())
        self.stage.targets = tuple(self.stage.population.names())

    def _ask(self, *flags: str) -> list[dict[str, Any]]:
        with self.stage.connect() as wire:
            return wire.ask("reload", *flags)

    def _reload(self, *flags: str) -> int:
        return exit_of(self._ask(*flags))

    def _edit(self) -> None:
        self.doing = f"reload: {self.stage.population.edit()}"
        self._write()
        code = self._reload(*self.dice.choice(FLAGS))
        if code not in (0, 1):
            self.stage.found(f"{self.doing}: exit {code}")

    def _same(self) -> None:
        """What changes nothing has an empty plan: an earlier edit has been loaded by now, but for a SIGHUP under way."""
        self.doing = "reload of the same file"
        self._write()
        self._reload("--no-wait")
        reply = self._ask("--dry-run", "--exit-code")
        until = time.monotonic() + (LEARNS_WITHIN_S if self.stage.daemon_may_vanish else 0.0)
        while exit_of(reply) != 0 and time.monotonic() < until:
            self.stage.pause(0.2)
            reply = self._ask("--dry-run", "--exit-code")
        if exit_of(reply) != 0:
            plan = [each for message in reply for each in message.get("programs", ()) if each["change"] != "kept"]
            if plan and all(each["rolls"] for each in plan):
                return  # an update that somebody has ended is tried again
            self.stage.found(f"{self.doing}: the plan is not empty: {plan or reply[1:]}")

    def _break(self) -> None:
        broken = self.dice.choice(BROKEN)
        self.doing = f"reload of {broken[:60]!r}"
        self.stage.daemon.write(broken)
        code = self._reload()
        self._write()
        if code != REFUSED:
            self.stage.found(f"{self.doing}: exit {code}")
        self._reload("--no-wait")

    def _hang_up(self) -> None:
        self.doing = f"SIGHUP: {self.stage.population.edit()}"
        self._write()
        for _ in range(self.dice.choice((1, 1, 5))):
            self.stage.daemon.signal(signal.SIGHUP)
        self._reload("--no-wait")

"""Clients at terminals and pipes of programs: they attach, type, look for the echo, and leave in one way or another."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.soak.actors.clients import NOBODY, exit_of
from tests.soak.stage import Actor
from tests.soak.wire import Gone, Silence, Wire

ECHO_WITHIN_S = 10.0
LEFT_WITHIN_S = 3.0
NOT_NOW = (1, 2, *NOBODY)
"""Exit codes of a program that does not run, has several processes by now, or has just been removed."""
NOTHING_FOLLOWS = 3


class Viewer(Actor):
    """Attaches to a program with a terminal, and types.

    What is typed at a terminal comes back from the kernel, be the program awake or not. It may be missing only where the instance,
    the keeper, or who types has changed meanwhile.
    """

    pause_s = 0.5

    def act(self) -> None:
        """Attach once."""
        names = [name for name in self.stage.targets if name.startswith(("typed", "own2"))] + ["own2"]
        name = self.dice.choice(names)
        self.doing = f"attach {name}"
        with self.stage.connect() as wire:
            wire.send(f"attach --take {name}\n".encode())
            first = [wire.read(), wire.read()]
            while first[-1]["type"] not in ("attached", "end"):
                first.append(wire.read())
            if first[-1]["type"] == "end":
                if first[-1]["exit"] not in (*NOT_NOW, NOTHING_FOLLOWS):
                    self.stage.found(f"{self.doing}: {first}")
                return
            self.stage.count("attached")
            for _ in range(self.dice.randint(1, 3)):
                if not self._type(wire, first[-1]):
                    return
            self._leave(wire)

    def _type(self, wire: Wire, attached: dict[str, Any]) -> bool:
        """Type a word and wait for its echo; return whether all is as it was."""
        word = f"{self.dice.getrandbits(48):x}"
        keepers = self.stage.counts["keepers killed"]
        _say(wire, type="size", rows=self.dice.randint(1, 60), cols=self.dice.randint(80, 200))
        _say(wire, type="input", text=f"{word}\n")
        shown, until = "", time.monotonic() + ECHO_WITHIN_S
        try:
            while word not in shown:
                wire.patience(max(0.01, until - time.monotonic()))
                message = wire.read()
                if message["type"] == "output":
                    shown = (shown + message["text"])[-4096:]
                elif message["type"] not in ("size", "modes", "ack"):
                    return False  # another instance, an end, somebody else who types
        except Silence:
            if self.stage.counts["keepers killed"] == keepers:
                self.stage.found(
                    f"{self.doing}: {word!r} was typed, and did not come back in {ECHO_WITHIN_S:g} s; "
                    f"it showed {shown[-200:]!r}, attached was {attached}"
                )
            return False
        self.stage.count("words typed and seen")
        return True

    def _leave(self, wire: Wire) -> None:
        """Leave; not at once, sometimes, and without reading what comes."""
        for kind in self.dice.sample(("redraw", "take", "eof"), self.dice.choice((0, 0, 1, 2))):
            _say(wire, type=kind)
        if self.dice.random() < 0.3:
            self.stage.pause(self.dice.uniform(0, LEFT_WITHIN_S))


class Sender(Actor):
    """Writes to programs with `stdin: pipe`; some of it is never read, since they are stopped or killed."""

    pause_s = 1.0

    def act(self) -> None:
        """Send some lines, or leave in the middle."""
        names = [name for name in self.stage.targets if name.startswith("fed")] or ["own3"]
        self.doing = f"send {(name := self.dice.choice(names))}"
        with self.stage.connect() as wire:
            wire.patience(ECHO_WITHIN_S)
            wire.send(f"send {name}\n".encode())
            _say(wire, type="input", text="one\ntwo\n" * self.dice.choice((1, 10, 2000)))
            if self.dice.random() < 0.2:
                return
            _say(wire, type="eof")
            reply = [wire.read()]
            try:
                while reply[-1]["type"] != "end":
                    reply.append(wire.read())
            except (Silence, Gone) as error:
                if isinstance(error, Gone):
                    raise
                return  # it does not read
            self.stage.count("sent")
            if exit_of(reply) not in (0, 1, *NOBODY):
                self.stage.found(f"{self.doing}: {reply}")


def _say(wire: Wire, **message: object) -> None:
    wire.send(json.dumps(message).encode() + b"\n")

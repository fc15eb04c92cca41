"""Clients of the long run, besides those of the soak: one who remembers what it wanted, followers, an editor who is careful."""

from __future__ import annotations

import threading
from typing import Any

from tests.outlive.cohort import kind_of
from tests.outlive.numbers import Numbers
from tests.soak.actors.clients import exit_of
from tests.soak.actors.editor import Editor
from tests.soak.stage import Actor
from tests.soak.wire import Gone, processes
from tests.support.listening import ask_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.outlive.cohort import Cohort
    from tests.soak.stage import Stage

CALL_WITHIN_S = 60.0
UP = ("STARTING", "RUNNING")
DOWN = ("STOPPED",)


class Owner(Actor):
    """Nobody else touches its programs: what it was told has been done must stay so, whatever happens to the daemon.

    `_known` is (state, pid) of each, as answered; a program is not in it while nobody knows whether a request has arrived.
    """

    pause_s = 0.1

    def __init__(self, stage: Stage, cohort: Cohort) -> None:
        super().__init__(stage, "owner")
        self._names = [name for name in cohort.programs if kind_of(name) == "own"]
        self._known: dict[str, tuple[tuple[str, ...], int | None]] = {}

    def act(self) -> None:
        """Look whether all is as it was, then change one."""
        name, verb = self.dice.choice(self._names), self.dice.choice(("start", "stop", "stop", "restart", "start"))
        with self.stage.connect() as wire:
            self.doing = "status"
            self._look({slot[0]: process for slot, process in processes(wire.ask("status")).items()})
            self._known.pop(name, None)
            self.doing = f"{verb} {name}"
            reply = wire.ask(verb, name)
            self.stage.count("requests", 2)
            if exit_of(reply) != 0:
                self.stage.found(f"{self.doing}: {reply}")
            process = processes(wire.ask("status"))[name, 0]
            self._known[name] = (DOWN if verb == "stop" else UP, process["pid"])
            self._look({name: process})

    def look(self) -> None:
        """Look whether all is as it was."""
        with self.stage.connect() as wire:
            self._look({slot[0]: process for slot, process in processes(wire.ask("status")).items()})

    def _look(self, now: dict[str, dict[str, Any]]) -> None:
        for name, (states, pid) in self._known.items():
            process = now.get(name)
            if process and (process["state"] not in states or process["pid"] != pid):
                self.stage.found(f"{self.doing}: {name} was {states} with pid {pid}, is {process}")


class CarefulEditor(Editor):
    """Edits what can be loaded: a daemon may be started at any moment."""

    def act(self) -> None:
        """Edit the file and have it loaded."""
        with self.stage.file:
            self.dice.choice((self._edit, self._edit, self._same))()
        self.stage.count("reloads")


class Waiter(Actor):
    """Restarts some programs, and waits for that."""

    def act(self) -> None:
        """Restart once."""
        some = self.dice.sample(self.stage.targets, min(4, len(self.stage.targets)))
        self.doing = " ".join(("restart", *some))
        with self.stage.connect() as wire:
            reply = wire.ask("restart", *some)
        self.stage.count("requests")
        if exit_of(reply) not in (0, 1):
            self.stage.found(f"{self.doing}: {reply[-2:]}")


class Caller(Actor):
    """A client of programs that end after a few answers: it waits, and is never sent away, whatever happens to the daemon."""

    pause_s = 0.02

    def act(self) -> None:
        """Ask one of them."""
        name = self.dice.choice(self._names)
        self.doing = f"call {name}"
        try:
            ask_at(str(self.stage.daemon.home / f"{name}.sock"), within_s=CALL_WITHIN_S)
        except (OSError, EOFError) as error:
            self.stage.found(f"{self.doing}: {error!r}")
        self.stage.count("calls")

    def __init__(self, stage: Stage, names: list[str]) -> None:
        super().__init__(stage, "caller")
        self._names = names


class Follower(threading.Thread):
    """Follows the log of a program from a moment on, and has to get every line once."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(name=f"follower of {name}", daemon=True)
        self.stage = stage
        self.numbers = Numbers()
        self._program = name

    def run(self) -> None:
        """Read until the daemon ends."""
        try:
            with self.stage.connect() as wire:
                wire.patience(None)
                wire.send(f"logs -f -n 1 {self._program}\n".encode())
                while True:
                    self._take(wire.read())
        except Gone:
            if not self.stage.over:
                self.stage.found(f"{self.name}: it was ended")

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "output":
            data = message["text"].encode("utf-8", "surrogateescape")
            if not self.numbers.counts:
                self.numbers.begin_with(data)
            self.numbers.take(data)
        elif message["type"] == "end" and message.get("error", {}).get("code") == "stopping":
            raise Gone
        elif message["type"] != "ack":
            self.stage.found(f"{self.name}: {message}")
        while self.numbers.problems:
            self.stage.found(f"{self.name}: {self.numbers.problems.pop()}")

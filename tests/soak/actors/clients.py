"""Clients that know how to behave: operators, one who owns a few programs, one who uses the command."""

from __future__ import annotations

import time
from typing import Any

from tests.soak import kernel
from tests.soak.population import KINDS, OWNED
from tests.soak.stage import Actor
from tests.soak.wire import Reply, Silence, processes
from tests.support.wait import wait_until

VERBS = ("start", "start", "stop", "stop", "restart", "restart", "signal", "show", "pid", "status", "logs")
SIGNALS = ("HUP", "TERM", "KILL", "USR1", "STOP", "CONT", "INT", "SEGV")
EXITS = {"start": (0, 1), "stop": (0,), "restart": (0, 1), "signal": (0, 1), "show": (0,), "pid": (0, 1), "status": (0, 3), "logs": (0, 1)}  # fmt: skip
"""`logs` fails where a program writes to a logger: the daemon has nothing to read then."""
NOBODY = (4, 5)
"""Exit codes of a name that a reload has just removed."""
COMMANDS = (
    ("status",), ("status", "--json"), ("status", "--failed"), ("pid",), ("version",), ("reload", "--dry-run"),
    ("logs", "--daemon"), ("status", "nobody"), ("stop", "nobody"), ("help",), ("nonsense",), ("status", "--watch"),
)  # fmt: skip
DISAGREE_S = 2.0
"""A daemon that has not noticed the end of a process by then does not know what it says."""
ZOMBIE_S = 5.0
"""Time within which a daemon that got no processor for a while collects a child that has ended."""
COMMAND_EXITS = frozenset({0, 1, 2, 3, 4, 5, 6, 124, 130})
"""6: the editor's file may be a broken one at that moment."""
NO_DAEMON = 7


def exit_of(reply: Reply) -> int:
    """Return the exit code of a whole answer, which begins and ends as the protocol says."""
    assert reply[0]["type"] == "ack", reply[0]
    return int(reply[-1]["exit"])


class Operator(Actor):
    """Starts, stops, restarts, signals and looks, over the socket; a few requests on each connection."""

    pause_s = 0.2

    def act(self) -> None:
        """Make one connection and use it."""
        with self.stage.connect() as wire:
            for _ in range(self.dice.randint(1, 4)):
                words, verb = self._request()
                self.doing = " ".join(words)
                reply = wire.ask(*words)
                self.stage.count("requests")
                if exit_of(reply) not in (*EXITS[verb], *NOBODY):
                    self.stage.found(f"{self.doing}: exit {exit_of(reply)}: {reply[-3:]}")

    def _request(self) -> tuple[list[str], str]:
        verb = self.dice.choice(VERBS)
        words = [verb]
        if verb in ("start", "stop", "restart") and self.dice.random() < 0.4:
            words.append("--no-wait")
        if verb == "restart" and self.dice.random() < 0.3:
            words.append(self.dice.choice(("--rolling", "--outdated")))
        if verb == "signal":
            words.append(self.dice.choice(SIGNALS))
        return words + [self._target() for _ in range(self.dice.choice((1, 1, 1, 2, 5)))], verb

    def _target(self) -> str:
        if self.dice.random() < 0.05:
            return f"{self.dice.choice(tuple(KINDS))}*"
        name = self.dice.choice(self.stage.targets)
        return name + self.dice.choice(("", "", ":0", ":*"))


class Owner(Actor):
    """Nobody else touches its programs, so it knows what each of them must be."""

    pause_s = 0.3

    def act(self) -> None:
        """Tell one program something, and look whether it did that, and nothing else happened to any of them."""
        name = f"{OWNED}{self.dice.randint(0, 4)}"
        verb = self.dice.choice(("start", "stop", "restart"))
        with self.stage.connect() as wire:
            self.doing = f"status before {verb} {name}"
            before = self._own(wire.ask("status"))
            self.doing = f"{verb} {name}"
            reply = wire.ask(verb, name)
            after = self._own(wire.ask("status"))
        self.stage.count("requests", 3)
        if exit_of(reply) != 0:
            self.stage.found(f"{self.doing}: exit {exit_of(reply)}: {reply}")
        for other in before:
            settled = before[other]["state"] in ("RUNNING", "STOPPED")  # after a calm they are all being started
            if other != name and settled and before[other]["pid"] != after[other]["pid"]:
                self.stage.found(f"{self.doing}: {other} was {before[other]}, is {after[other]}")
        self._check(verb, before[name], after[name])

    @staticmethod
    def _own(reply: Reply) -> dict[str, dict[str, Any]]:
        return {slot[0]: process for slot, process in processes(reply).items() if slot[0].startswith(OWNED)}

    def _check(self, verb: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        wanted = "STOPPED" if verb == "stop" else "RUNNING"
        same = before["pid"] == after["pid"]
        if after["state"] != wanted or (verb == "restart" and same):
            self.stage.found(f"{self.doing}: was {before}, is {after}")
        if verb == "start" and before["state"] == "RUNNING" and not same:
            self.stage.found(f"{self.doing}: a running process was replaced: was {before}, is {after}")
        if not same and before["pid"]:
            for seen, slot in kernel.marked(self.stage.daemon.socket).items():
                if seen.pid == before["pid"] and slot[0] == before["program"]:
                    self.stage.found(f"{self.doing}: the old process is alive: {seen}")


class Commander(Actor):
    """Uses taskmasterctl, as people and scripts do."""

    pause_s = 1.0

    def act(self) -> None:
        """Run one command."""
        words: tuple[str, ...] = self.dice.choice(COMMANDS)
        if words == ("status", "--watch"):
            words = ("--timeout", "1", "restart", self.dice.choice(self.stage.targets))
        self.doing = "taskmasterctl " + " ".join(words)
        began = time.monotonic()
        done = self.stage.daemon.ctl(*words)
        self.stage.count("commands")
        allowed = COMMAND_EXITS | ({NO_DAEMON} if self.stage.daemon_may_vanish else set())
        if done.returncode not in allowed or "Traceback" in done.stderr:
            self.stage.found(
                f"{self.doing}: exit {done.returncode} after {time.monotonic() - began:.1f} s: {done.stderr}"
            )


class Sampler(Actor):
    """Asks for the status all the time, and compares it with what the kernel says.

    A process that is alive both before and after an answer was alive at its time; where the answer says that nothing of
    that slot is alive, one of the two is wrong.
    """

    pause_s = 0.25
    rest = 4
    """So many questions are for the latency alone, for each one that looks at every process."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._turn = 0
        self._zombies: set[tuple[int, int]] = set()

    def act(self) -> None:
        """Ask once."""
        self._turn += 1
        thorough = self._turn % self.rest == 0
        there = kernel.marked(self.stage.daemon.socket) if thorough else {}
        self.doing = "status"
        with self.stage.connect() as wire:
            reply, seconds = wire.timed("status")
        self.stage.count("status")
        self.stage.worst_status_s = max(self.stage.worst_status_s, seconds)
        if thorough:
            self._compare(there, processes(reply))
            self._look_for_zombies()

    def _compare(self, there: dict[kernel.Seen, kernel.Slot], told: dict[kernel.Slot, dict[str, Any]]) -> None:
        self.stage.count("comparisons with /proc")
        for seen, slot in there.items():
            state = told[slot]["state"] if slot in told else "not in the table"
            if state not in ("STARTING", "RUNNING", "STOPPING") and kernel.still_alive(seen):
                self.stage.found(f"{slot} is {state}, and {seen} is alive")
        owners = {seen.pid: slot for seen, slot in there.items()}
        for slot, process in told.items():
            pid = process["pid"]
            if process["state"] == "RUNNING" and owners.get(pid) != slot:
                self._confirm(slot, pid)

    def _confirm(self, slot: kernel.Slot, pid: int) -> None:
        """It may have been started after the look, or have ended meanwhile; one of the two must soon be seen."""
        socket = self.stage.daemon.socket

        def agree() -> bool:
            there = kernel.slot_of(pid, socket) == slot
            with self.stage.connect() as wire:
                now = processes(wire.ask("status")).get(slot, {})
            return there or (now.get("state"), now.get("pid")) != ("RUNNING", pid)

        try:
            wait_until(agree, within_s=DISAGREE_S)
        except AssertionError:
            self.stage.found(f"{slot} is RUNNING with pid {pid}, which is {kernel.look(pid)}")

    def _look_for_zombies(self) -> None:
        zombies = {(seen.pid, seen.started) for seen in kernel.children(self.stage.daemon.pid) if not seen.alive}
        for pid, started in zombies & self._zombies:

            def reaped(pid: int = pid, started: int = started) -> bool:
                seen = kernel.look(pid)
                return seen is None or seen.alive or seen.started != started

            try:
                wait_until(reaped, within_s=ZOMBIE_S)
            except AssertionError:
                self.stage.found(f"{pid} has been a zombie for {ZOMBIE_S:g} s: {kernel.look(pid)}")
        self._zombies = zombies


class Patient(Actor):
    """Asks for things that take long, and notices when the daemon is silent meanwhile."""

    pause_s = 1.0

    def act(self) -> None:
        """Restart some programs at once and wait."""
        words = ["restart", *self.dice.sample(self.stage.targets, 10)]
        self.doing = " ".join(words)
        try:
            with self.stage.connect() as wire:
                reply, seconds = wire.timed(*words)
        except Silence as silence:
            self.stage.found(f"{self.doing}: {silence}")
            return
        self.stage.count("requests")
        if exit_of(reply) not in (0, 1, *NOBODY):
            self.stage.found(f"{self.doing}: exit {exit_of(reply)} after {seconds:.1f} s")

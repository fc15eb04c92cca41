"""What a client waits for: status with few and with many programs, status while a program floods, a reload."""

from __future__ import annotations

import os
import select
import socket
import sys
import time

from tests.bench.contestants import NULL, Contestant, Ours, Supervisor
from tests.bench.stage import settle
from tests.bench.table import Limit, Row, median
from tests.bench.tools import Tools

ROUNDS = 30
FLOODED_ROUNDS = 100
RATIOS = {10: 1.6, 1000: 2.0}
"""The most that `status` may take, as a ratio to the start of the bare interpreter."""


def run(words: list[str], environment: dict[str, str]) -> float:
    """Return the milliseconds that a command takes; it has to succeed."""
    began = time.monotonic()
    pid = os.posix_spawn(words[0], words, environment, file_actions=NULL)
    _, status_ = os.waitpid(pid, 0)
    took = time.monotonic() - began
    if status_:
        raise SystemExit(f"{words} ended with {os.waitstatus_to_exitcode(status_)}")
    return took * 1000


def status(tools: Tools) -> list[Row]:
    """The client's status, as installed, beside the bare interpreter."""
    return [*(_status(tools, count) for count in RATIOS), _flooded(tools)]


def _status(tools: Tools, count: int) -> Row:
    with Ours(tools) as ours:
        ours.start(count)
        settle(ours.pid)
        contenders = {"ours": ours.client("status"), "bare": [sys.executable, "-c", "pass"]}
        times = _in_turns(contenders, ours)
    theirs: float | None = None
    if Supervisor.installed():
        with Supervisor(tools) as supervisor:
            supervisor.start(count)
            settle(supervisor.pid)
            theirs = median(_in_turns({"theirs": supervisor.client("status")}, supervisor, rounds=10)["theirs"])
    quantity = f"status, {count} programs; floor: bare interpreter"
    mine, bare = median(times["ours"]), median(times["bare"])
    return Row(quantity, "ms", mine or 0.0, bare, theirs, Limit(RATIOS[count], times=True))


def _in_turns(contenders: dict[str, list[str]], contestant: Contestant, rounds: int = ROUNDS) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, words in contenders.items():
            took = run(words, contestant.environment)
            if turn:  # the first one writes the bytecode
                times[name].append(took)
    return times


def _flooded(tools: Tools) -> Row:
    """The worst of many while a program writes as fast as it can."""
    with Ours(tools) as ours:
        words = ", ".join((tools.writer, str(ours.births.path), "1000000000000", "65536", "0"))
        ours.write_text(f"  w: {{cmd: [{words}], starttime: 0}}\n")
        ours.launch()
        ours.find()
        ours.births.take(1)
        times = [run(ours.client("status"), ours.environment) for _ in range(FLOODED_ROUNDS)]
    return Row(f"status while a program floods, worst of {FLOODED_ROUNDS}", "ms", max(times), limit=Limit(100))


def reload(tools: Tools, count: int = 2000) -> list[Row]:
    """One program of many changed: until the answer, and how long others wait meanwhile."""
    with Ours(tools) as ours:
        ours.start(count)
        settle(ours.pid)
        answers, waits = [], []
        for turn in range(3):
            ours.write([f"p{n}" for n in range(count)], last=f", env: {{TURN: {turn}}}")
            took, longest = reload_once(ours)
            answers.append(took)
            waits.append(longest * 1000)
            ours.births.take(1)
    return [
        Row(f"reload, {count} programs, one changed", "s", median(answers) or 0.0, limit=Limit(2)),
        Row("longest wait of another request meanwhile", "ms", max(waits), limit=Limit(50)),
    ]


def reload_once(ours: Ours) -> tuple[float, float]:
    """Return the seconds that `reload` takes, and those that the slowest of other requests took meanwhile."""
    other = Talk(str(ours.home / "taskmaster.sock"))
    began = time.monotonic()
    words = ours.client("reload")
    pid = os.posix_spawn(words[0], words, ours.environment, file_actions=NULL)
    end = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(end, select.POLLIN)
    longest = 0.0
    while not poll.poll(1):
        longest = max(longest, other.ask())
    took = time.monotonic() - began
    os.close(end)
    _, code = os.waitpid(pid, 0)
    if code:
        raise SystemExit(f"{words} ended with {os.waitstatus_to_exitcode(code)}")
    other.close()
    return took, longest


class Talk:
    """A connection that asks for the daemon's version, again and again."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._await(b'"hello"')

    def ask(self) -> float:
        """Return the seconds until the answer."""
        began = time.monotonic()
        self._socket.sendall(b"version\n")
        self._await(b'"end"')
        return time.monotonic() - began

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _await(self, last: bytes) -> None:
        received = b""
        while not (last in received and received.endswith(b"\n")):
            piece = self._socket.recv(65_536)
            if not piece:
                raise SystemExit("the daemon has hung up")
            received += piece

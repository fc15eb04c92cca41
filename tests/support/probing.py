"""A loop with the children of probes and hooks, in a process that inherits their orphans as the daemon does."""

from __future__ import annotations

import ctypes
import os

from taskmaster_common.config import ProgramConfig
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.output.sinks import Sinks
from taskmasterd.output.streams import Outputs
from taskmasterd.probing.children import ChildCommand, Children, Order
from taskmasterd.processes.errand import Errands
from taskmasterd.processes.members.groups import Groups
from taskmasterd.processes.members.proofs import PROBE, Proofs
from taskmasterd.processes.preparation import Inherited
from taskmasterd.system.procfs import keep_reserve
from tests.support.errands import ErrandLoop
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from taskmasterd.probing.text.result import Result

PROOFS = Proofs(os.urandom(16), "/tmp/none.sock")  # nobody else's: tests end the orphans that have proofs of this key
OURS = os.getpid()
"""Tells the processes of these tests from those of tests that run beside them."""
SIGNALS = {9: "KILL", 11: "SEGV", 15: "TERM"}
PR_SET_CHILD_SUBREAPER = 36


class ProbingStage:
    """Children of probes and hooks of one program; `results` are those of all that began."""

    def __init__(self, home: Path, **keys: Any) -> None:
        self.home = home
        self.loop = ErrandLoop()
        self.reactor = self.loop.reactor
        self.results: list[Result] = []
        self.said: list[tuple[str, str]] = []
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.sinks = Sinks(lambda text: self.said.append(("warning", text)), None)
        self.outputs = Outputs(self.reactor, self.sinks, str(home), self.null)
        self.inherited = Inherited(dict(os.environ), PROOFS, 0o022, str(home), None, self.null)
        self.program = ProgramConfig.of(**{"name": "p", "cmd": ("sleep", "300"), "workingdir": str(home), **keys})
        self.entry = Entry(self.program, 0, Process(since=0.0))
        self.children = self.new_children()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        keep_reserve()

    def new_children(self) -> Children:
        """Return the children of a daemon that has none yet; the earlier ones are not expected any more."""
        self.groups = Groups(PROOFS, ignored=())
        self.loop.errands = Errands(self.reactor, self.groups.below.ignored)
        self.loop.ignored = self.groups.below.ignored
        return Children(self.reactor, self.loop.errands, self.groups, self.inherited)

    def order(self, script: str, **variables: str) -> Order:
        """Return an exec probe that runs a script."""
        return Order(PROBE, self.program, 0, ChildCommand((script,), shell=True), variables)

    def turn_until(self, condition: Callable[[], object], within_s: float = 30) -> None:
        """Run turns until `condition()` is true."""
        self.loop.turn_until(condition, within_s)

    def result(self) -> Result:
        """Return the one result once it is there, and forget it."""
        result: Result = self.loop.take(self.results)
        return result

    def close(self) -> None:
        """Release what it holds; no child may be left."""
        self.turn_until(lambda: not self.groups.below.ignored)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        self.sinks.close()
        os.close(self.null)
        self.reactor.close()
        assert self.loop.errors == []


def carrying(text: str) -> list[int]:
    """Return the live processes whose command line holds this text, without this one."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read()
        except OSError:
            continue
        if name.isdecimal() and text.encode() in command and int(name) != os.getpid():
            found.append(int(name))
    return found


def wait_for_file(path: Path) -> str:
    """Return what is in a file once it holds a whole line."""
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return path.read_text()

"""The child that says whether the installed code can go on: whatever it does, the answer is one sentence within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.processes.members.groups import Groups
from taskmasterd.processes.members.marks import Marks
from taskmasterd.survival.upgrade import MOST_ANSWER, Check
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.procfs import listing

pytestmark = pytest.mark.slow
listing("/proc")  # opens the one descriptor that this process keeps for such looks


class Checks:
    """Checks of code that is written by the test. `answers` are the problems, "" for none."""

    def __init__(self, home: Path) -> None:
        self.errors: list[BaseException] = []
        self.reactor = Reactor(self.errors.append)
        self.groups = Groups(Marks(bytes(16), "/socket"))
        self.answers: list[str] = []
        self._package = home / "taskmasterd"
        self._package.mkdir()
        (self._package / "__init__.py").touch()

    def begin(self, code: str, within_s: float = 10) -> Check:
        """Begin the check of a module `resident` with this text."""
        (self._package / "resident.py").write_text(code)
        state = {"path": [str(self._package.parent)]}
        return Check(self.reactor, self.groups, state, self.answers.append, within_s)

    def wait(self) -> None:
        """Turn the loop until there is an answer; the test's time-out ends it otherwise."""
        while not self.answers:
            self.reactor.turn(0.05)

    def run(self, code: str, within_s: float = 10) -> str:
        """Return the answer; the child has ended by then."""
        check = self.begin(code, within_s)
        self.wait()
        assert os.waitpid(check.pid, 0)[0] == check.pid
        assert not self.errors
        return self.answers.pop()


@pytest.fixture
def checks(short_dir: Path) -> Iterator[Checks]:
    """Checks without a daemon."""
    checks = Checks(short_dir)
    yield checks
    checks.reactor.close()


def test_the_last_line_decides(checks: Checks) -> None:
    assert checks.run("def check(fd): print('a warning of some library'); print('ok 9.9, 3 processes'); return 0") == ""
    assert checks.run("def check(fd): print('ok 9.9'); raise ValueError('afterwards')") == "ValueError: afterwards"
    assert checks.run("def check(fd): return 0") == "it says nothing"
    assert checks.run("import os; os.kill(os.getpid(), 9)") == "it says nothing"


def test_the_state_is_on_its_descriptor(checks: Checks) -> None:
    code = "import os\ndef check(fd): print('ok' if b'\"path\"' in os.read(fd, 999) else '', '!'); return 0"
    assert checks.run(code) == ""


def test_a_child_that_hangs_is_ended(checks: Checks) -> None:
    code = "import time\ndef check(fd): print('ok, but', flush=True); time.sleep(300)"
    assert checks.run(code, within_s=0.3) == "it did not answer within 0.3s"


def test_a_child_that_never_stops_talking_is_not_listened_to_for_ever(checks: Checks) -> None:
    check = checks.begin("def check(fd):\n  while True: print('x' * 999)")
    checks.wait()
    assert len(checks.answers[0]) <= MOST_ANSWER
    assert os.waitpid(check.pid, 0)[0] == check.pid


def test_a_check_that_is_cancelled_answers_nobody(checks: Checks) -> None:
    check = checks.begin("import time; time.sleep(300)")
    check.cancel()
    assert os.waitpid(check.pid, 0)[1] == 9
    checks.reactor.turn(0)
    assert checks.answers == []

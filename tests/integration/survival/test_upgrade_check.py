"""The child that says whether the installed code can go on: whatever it does, the answer is one sentence within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.processes.errand import OUTPUT_KEPT, Ending, Errand
from taskmasterd.survival.upgrade import begin_check, problem_of
from tests.support.errands import ErrandLoop
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow


class Checks:
    """Checks of code that is written by the test."""

    def __init__(self, home: Path) -> None:
        self.loop = ErrandLoop()
        self.endings: list[Ending] = []
        self.home = home
        self._package = home / "taskmasterd"
        self._package.mkdir()
        (self._package / "__init__.py").touch()

    def begin(self, code: str, within_s: float = 60) -> Errand:
        """Begin the check of a module `resident` with this text."""
        (self._package / "resident.py").write_text(code)
        state = {"path": [str(self._package.parent)]}
        return begin_check(self.loop.errands, state, self.endings.append, within_s)

    def run(self, code: str, within_s: float = 60) -> str:
        """Return the problem, "" for none."""
        self.begin(code, within_s)
        self.loop.wait(self.endings)
        return problem_of(self.endings.pop(), within_s)


@pytest.fixture
def checks(short_dir: Path) -> Iterator[Checks]:
    """Checks without a daemon."""
    checks = Checks(short_dir)
    yield checks
    checks.loop.wait_for_ends()
    checks.loop.reactor.close()


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


def test_a_child_that_never_stops_talking_has_no_more_time_and_memory_than_others(checks: Checks) -> None:
    said = checks.home / "said"
    talks = f"os.write(1, b'x' * {OUTPUT_KEPT}); open({str(said)!r}, 'x').close()"  # as much as a pipe holds
    checks.begin(f"import os\ndef check(fd):\n  {talks}\n  while True: print('x' * 999)", within_s=1)
    wait_until(said.exists)  # the loop stands still meanwhile, and reads before it looks at the time
    ending = checks.loop.wait(checks.endings)
    assert len(ending.output) == OUTPUT_KEPT
    assert problem_of(ending, 1) == "it did not answer within 1s"


def test_a_check_that_is_cancelled_has_no_ending(checks: Checks) -> None:
    checks.begin("import time; time.sleep(300)").cancel()
    checks.loop.wait_for_ends()
    assert checks.endings == []

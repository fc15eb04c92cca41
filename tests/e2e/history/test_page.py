"""docs/why/README.md: its example comes out as it says, and its commands run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from tests.support.daemon import ROOT, Daemon

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs" / "why" / "README.md").read_text()
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CONSOLE, SHORT = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = SHORT.splitlines()


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon with the programs of the page, once they have given up."""
    slow = "startretries: 3\n    starttime: 30"  # on a machine that stops for a second a try would be no failed one
    daemon = share_daemon(EXAMPLE.replace("startretries: 3", slow)).start()
    daemon.wait_for("web", "FATAL")
    daemon.wait_for("front", "BACKOFF")
    return daemon


def shape(text: str) -> str:
    """Return a text without what differs from run to run: times, pids, durations."""
    text = re.sub(r"[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME", text)
    text = re.sub(r"pid [0-9]+", "pid N", text)
    return re.sub(r"[0-9]+(\.[0-9])?s\b", "Ns", text)


def test_the_example_is_told_as_on_the_page(shared: Daemon) -> None:
    said = "".join(f"$ taskmasterctl why {name}\n{shared.ctl('why', name).stdout}" for name in ("web", "front"))
    assert shape(said) == shape(CONSOLE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_succeeds(shared: Daemon, command: str) -> None:
    name, *words = shlex.split(command)
    assert name == "taskmasterctl"
    done = shared.ctl(*words)
    assert done.returncode == 0, done.stderr

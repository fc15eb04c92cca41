"""docs/protocol.md: the client that it shows works."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.packaging.test_readme import blocks
from tests.support.daemon import ROOT, Daemon

pytestmark = pytest.mark.slow
(CLIENT,) = [block.text for block in blocks(ROOT / "docs" / "protocol.md") if block.language == "python"]
(SHOWN,) = [block.text for block in blocks(ROOT / "docs" / "protocol.md") if "client.py" in block.text]


def test_the_client_of_the_page_acts_and_exits_with_the_code_of_the_daemon(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: sleep 300, numprocs: 2, starttime: 0}}")
    daemon.start()
    command = [sys.executable, "-c", CLIENT, str(daemon.socket)]
    done = subprocess.run([*command, "restart", "web"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == SHOWN.splitlines()[1:], "who is ready first is told first"
    unknown = subprocess.run([*command, "restart", "wbe"], capture_output=True, text=True, check=False)
    assert (unknown.stdout, unknown.returncode) == ("", 5)

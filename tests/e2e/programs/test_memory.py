"""The memory of a daemon that has a hundred programs, no feature in use, and no client yet."""

from __future__ import annotations

import compileall
import subprocess
import sys

import pytest

from tests.support.daemon import Daemon, marked, own_kb
from tests.support.guarded import config, copy_code, state_of
from tests.support.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.sweep]
COUNT = 100
MOST_KB = 3950
"""What it may have more than a bare interpreter, of CPython 3.11: a little more than the 3720 and 3870 that were measured with two builds."""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="measured with Python 3.11")
def test_a_daemon_without_features_has_little_more_than_a_bare_interpreter(daemon: Daemon) -> None:
    # compiled before, as an installed one is: compiling costs more than all that it holds
    compileall.compile_dir(copy_code(daemon).parent, quiet=1)
    daemon.write(config(**{f"p{n}": {"cmd": "sleep 300", "starttime": 0} for n in range(COUNT)}))
    daemon.start()
    wait_until(lambda: len(marked(daemon.socket)) == COUNT)
    wait_until(lambda: state_of(daemon.pid) == "S")
    bare = [sys.executable, "-I", "-S", "-X", "utf8", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(bare, stdin=subprocess.PIPE) as other:
        wait_until(lambda: state_of(other.pid) == "S")
        least = own_kb(other.pid)
        assert other.stdin
        other.stdin.close()
    assert own_kb(daemon.pid) - least < MOST_KB

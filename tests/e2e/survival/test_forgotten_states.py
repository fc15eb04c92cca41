"""A daemon removes what another one has left whose socket is gone, once nothing of that one is alive, and not before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon, process_exists
from tests.support.wait import wait_until

pytestmark = pytest.mark.sweep  # five starts of daemons
TWO_DAYS_S = 2 * 86_400


def test_the_state_of_a_killed_daemon_stays_as_long_as_its_programs_and_then_goes(
    make_daemon: Callable[..., Daemon],
) -> None:
    gone, other = make_daemon(), make_daemon("programs: {}")
    gone.environment["STATE_DIRECTORY"] = str(other.home)
    gone.write(f"taskmasterd: {{pidfile: {gone.pidfile}}}\nprograms: {{web: {{cmd: sleep 300, starttime: 0}}}}")
    gone.start()
    pid = gone.status()["web"]["pid"]
    state = other.home / gone.state_file.name

    def state_after_a_start() -> bool:
        if state.exists():
            then = os.stat(state).st_mtime - TWO_DAYS_S
            os.utime(state, (then, then))
        other.start()
        assert other.ctl("shutdown").returncode == 0
        return state.exists()

    assert state_after_a_start(), "its daemon is alive"
    gone.kill()
    assert state_after_a_start(), "its socket is there"
    gone.socket.unlink()
    assert state_after_a_start(), "its program is alive"
    gone.start()
    assert gone.status()["web"]["pid"] == pid
    gone.kill()
    gone.socket.unlink()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not process_exists(pid))
    assert not state_after_a_start()
    assert not state.with_name(f"{state.name}.key").exists()

"""Real-time signals by the names that `kill -l` and systemd use: in the configuration, the verb, the log and the status."""

from __future__ import annotations

import signal

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until
from tests.support.wire import ask

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no real-time signals"),
]


def test_a_real_time_signal_has_its_name_everywhere(daemon: Daemon) -> None:
    counts = "trap 'echo got' RTMIN+5; trap 'echo bye; exit 0' RTMAX-2; echo ready; while :; do sleep 0.05; done"
    daemon.write(
        f'programs: {{p: {{cmd: [bash, -c, "{counts}"], stopsignal: SIGRTMAX-2, starttime: 0}}, '
        "q: {cmd: sleep 300, starttime: 0, autorestart: never}}"
    )
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    assert ask(daemon, b"signal RTMIN+5 p")[-1]["exit"] == 0
    wait_until(lambda: daemon.log("p") == b"ready\ngot\n")
    (shown,) = [each for each in ask(daemon, b"show p") if each["type"] == "program"]
    assert "RTMAX-2" in str(shown["settings"]["stopsignal"])
    assert ask(daemon, b"stop p")[-1]["exit"] == 0
    assert daemon.log("p").endswith(b"bye\n")
    assert ask(daemon, b"signal sigrtmin+3 q")[-1]["exit"] == 0
    ended = daemon.wait_for("q", "EXITED")
    assert ended["exit"]["signal"] == "RTMIN+3"
    assert "killed by SIGRTMIN+3" in ended["detail"]
    assert "killed by SIGRTMIN+3" in daemon.events()
    refused = ask(daemon, b"signal RTMIN+31 q")[-1]
    assert (refused["exit"], refused["error"]["code"], refused["error"]["hints"]) == (2, "unknown-signal", [])


def test_the_lists_have_all_of_them(daemon: Daemon) -> None:
    listed = daemon.ctl("signal", "--list").stdout.split()
    completed = daemon.ctl("_complete", "signals").stdout
    first, last = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
    for number in (first + 1, first + 3, last - 1, last - 14):
        assert str(number) in listed
    for name in ("RTMIN", "RTMIN+3", "RTMAX-14", "RTMAX-1", "RTMAX"):
        assert name in listed
        assert f"{name}\t" in completed

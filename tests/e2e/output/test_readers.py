"""What reads the output of a program reads its last words, too, and costs a stop nothing else."""

from __future__ import annotations

import json
import shutil
import sys
import time

import pytest

from taskmasterd.core.process.readers import GRACE_S
from tests.support.daemon import Daemon, marked
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who reads a pipe"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="process substitution is bash's"),
]
TOOLS = {
    "sed": "sed 's/^/x /'",
    "awk": "awk '{ print \"x\", $0 }'",
    "cat": "cat",
    "loop": 'while read -r line; do echo "x $line"; done',
    "chain": "sed 's/^/x /' | cat",
    "helpers": "xargs -n1 sh -c 'sleep 0.1; echo x $0'",
}
FORMS = {
    "pipe": "%(prog)s | { %(tool)s; }",
    "substitution": "exec %(prog)s > >(%(tool)s)",
    "fifo": "rm -f fifo; mkfifo fifo; { %(tool)s; } <fifo & exec %(prog)s >fifo",
}


def _run(daemon: Daemon, form: str, tool: str, script: str, **keys: object) -> None:
    """Start p, a shell's script whose output a tool reads."""
    (daemon.home / "prog").write_text(script)
    words = ["bash", "-c", FORMS[form] % {"prog": "sh prog", "tool": TOOLS.get(tool, tool)}]
    daemon.write(json.dumps({"programs": {"p": {"cmd": words, "starttime": 0, **keys}}}))
    daemon.start()


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_program_says_before_it_crashes_arrives_though_its_reader_is_left_behind(
    daemon: Daemon, tool: str
) -> None:
    _run(daemon, "substitution", tool, "echo one; echo two; exit 3", autorestart="always", restart_burst=5)
    daemon.wait_for("p", "BACKOFF")
    assert daemon.log("p").count(b"\n") == 12
    assert "exit 3" in daemon.events()
    assert "SIGKILL" not in daemon.events()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_program_says_when_it_is_stopped_arrives(daemon: Daemon, form: str, tool: str) -> None:
    _run(daemon, form, tool, "trap 'echo bye; exit 0' TERM; echo ready; >up; while :; do sleep 0.05; done", stoptime=30)
    wait_until((daemon.home / "up").exists)
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.log("p").endswith(b"bye\n")
    assert marked(daemon.socket) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_reader_waits_for_a_program_that_takes_its_time_to_end(daemon: Daemon, form: str) -> None:
    slow = f"trap 'sleep {GRACE_S + 0.3}; echo bye; exit 0' TERM; echo ready; >up; while :; do sleep 0.05; done"
    _run(daemon, form, "cat", slow, stoptime=30)
    wait_until((daemon.home / "up").exists)
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.log("p").endswith(b"bye\n")


@pytest.mark.parametrize("form", FORMS)
def test_a_reader_that_does_not_end_with_its_input_gets_the_stop_signal_after_its_grace(
    daemon: Daemon, form: str
) -> None:
    stays = "trap 'echo asked; exit 0' TERM; cat; while :; do sleep 0.05; done"
    _run(
        daemon, form, stays, "trap 'echo bye; exit 0' TERM; echo ready; >up; while :; do sleep 0.05; done", stoptime=30
    )
    wait_until(lambda: daemon.log("p") == b"ready\n")  # so the reader has set its trap
    began = time.monotonic()
    assert daemon.ctl("stop", "p").returncode == 0
    assert time.monotonic() - began < 28
    assert daemon.log("p").endswith(b"bye\nasked\n")
    assert "SIGKILL" not in daemon.events()


def test_a_reader_that_ignores_everything_is_killed_at_stoptime(daemon: Daemon) -> None:
    _run(daemon, "pipe", "trap '' TERM; cat; sleep 300", "echo ready; >up; sleep 300", stoptime=0.5)
    wait_until(lambda: daemon.log("p") == b"ready\n")  # so the reader is deaf by now
    assert daemon.ctl("stop", "p").returncode == 0
    assert marked(daemon.socket) == []
    assert "SIGKILL was needed" in daemon.events()


def test_a_child_that_its_parent_feeds_by_another_descriptor_hears_the_stop_while_the_parent_waits_for_it(
    daemon: Daemon,
) -> None:
    parent = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "script = 'trap \"echo asked; exit 0\" TERM; echo ready; while :; do sleep 0.05; done'\n"
        "child = subprocess.Popen(['sh', '-c', script], stdin=subprocess.PIPE)\n"
        "child.wait()\n"
    )
    daemon.write(
        json.dumps({"programs": {"p": {"cmd": [sys.executable, "-c", parent], "starttime": 0, "stoptime": 30}}})
    )
    daemon.start()
    wait_until(lambda: b"ready\n" in daemon.log("p"))
    assert daemon.ctl("stop", "p").returncode == 0
    assert b"asked\n" in daemon.log("p")
    assert "SIGKILL" not in daemon.events()

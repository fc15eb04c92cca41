"""`why` of a real daemon: each cause is named, every command that it proposes exists, and the story goes on over daemons."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PROGRAMS = r"""
defaults: {starttime: 0, autorestart: never}
programs:
  gives-up: {cmd: "sh -c 'echo address already in use >&2; exit 1'", starttime: 30, startretries: 1, restart_delay: 0.1, autorestart: true}
  stranger: {cmd: sleep 300}
  stopped: {cmd: sleep 300}
  deaf: {cmd: "sh -c 'trap : TERM; echo ready; while :; do sleep 0.05; done'", stoptime: 0.2}
  faults: {cmd: "sh -c 'kill -SEGV $$'"}
  limited: {cmd: "sh -c 'kill -XCPU $$'"}
  no-program: {cmd: /etc/passwd, startretries: 0}
  shells: {cmd: "sh -c 'exit 137'"}
  sick: {cmd: sleep 300, health: {exec: "false", interval: 0.1, retries: 1, start_period: 0, action: stop}}
  needs: {cmd: sleep 300, depends_on: gives-up}
  needs-more: {cmd: sleep 300, depends_on: needs}
  edited: {cmd: sleep 300}
  asked: {cmd: sleep 300}
  off: {cmd: sleep 300, autostart: false}
"""
SENTENCES = {
    "gives-up": "gave up after 2 tries; each ended with exit 1 within",
    "stranger": "killed by SIGKILL after {}, not sent by Taskmaster",
    "stopped": "was stopped by uid {uid}",
    "deaf": "it did not end within stoptime, so Taskmaster killed it",
    "faults": "a segmentation fault, not sent by Taskmaster",
    "limited": "more processor time than its limit (RLIMIT_CPU)",
    "no-program": "gave up: cannot execute /etc/passwd",
    "shells": "exit 137 after {}: a child of it was killed by SIGKILL",
    "sick": "was stopped because it was unhealthy: exec",
    "needs": "cannot start: needs gives-up, which is FATAL: exit 1",
    "needs-more": "cannot start: needs needs, which needs gives-up, which is FATAL: exit 1",
    "edited": "started by a reload (uid {uid})",
    "asked": "killed by SIGUSR1 after {}, sent by Taskmaster: uid",
    "off": "nobody has started it (autostart: false)",
}


@pytest.fixture(scope="module")
def daemon_with_a_past(share_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon whose programs are in their states for all kinds of reasons."""
    daemon = share_daemon(PROGRAMS)
    daemon.start()
    os.kill(daemon.wait_for("stranger", "RUNNING")["pid"], signal.SIGKILL)
    daemon.wait_for("asked", "RUNNING")
    wait_until(lambda: daemon.log("deaf") == b"ready\n")
    assert daemon.ctl("stop", "stopped", "deaf").returncode == 0
    assert daemon.ctl("signal", "USR1", "asked").returncode == 0
    daemon.write(PROGRAMS.replace("edited: {cmd: sleep 300", "edited: {cmd: sleep 301"))
    daemon.ctl("reload")
    for name in ("gives-up", "sick", "no-program"):
        daemon.wait_for(name, "FATAL")
    for name in ("stranger", "asked", "faults", "limited", "shells"):
        daemon.wait_for(name, "EXITED")
    return daemon


def stories(daemon: Daemon, *words: str) -> dict[str, dict[str, Any]]:
    done = daemon.ctl("--json", "why", *words)
    assert done.returncode == 0, done.stderr
    return {story["name"]: story for story in json.loads(done.stdout)["why"]}


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_each_cause_is_named_and_memory_is_never_blamed(daemon_with_a_past: Daemon, name: str) -> None:
    story = stories(daemon_with_a_past, name)[name]
    for part in SENTENCES[name].replace("{uid}", str(os.getuid())).split("{}"):
        assert part in story["sentence"], story
    assert "memory" not in story["sentence"]
    text = daemon_with_a_past.ctl("why", name).stdout
    assert text.startswith(f"{name} is {story['state']}"), text


def test_every_command_that_it_proposes_is_one(daemon_with_a_past: Daemon) -> None:
    proposed = {words for story in stories(daemon_with_a_past, "all").values() for words in story["do"]}
    assert len({words.split()[1] for words in proposed}) >= 4
    for words in sorted(proposed):
        program, *rest = shlex.split(words)
        assert program == "taskmasterctl"
        done = daemon_with_a_past.ctl(
            "--json", *([*rest[:1], "--no-wait", *rest[1:]] if rest[0] in ("start", "restart") else rest)
        )
        assert done.returncode in (0, 1), (words, done.stderr)


def test_without_a_name_it_tells_of_those_that_are_not_as_wanted(daemon_with_a_past: Daemon) -> None:
    daemon_with_a_past.wait_for("shells", "EXITED")  # the commands of the test before have started it again
    lines = daemon_with_a_past.ctl("why").stdout.splitlines()
    assert "off" not in [line.split()[0] for line in lines]
    assert next(line for line in lines if line.startswith("shells ")).endswith("(autorestart: never).")
    assert daemon_with_a_past.ctl("why", "gives").returncode == 4


@pytest.mark.sweep
def test_the_story_goes_on_over_a_kill_an_upgrade_and_an_orderly_restart(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: sleep 300, starttime: 0}, db: {cmd: sleep 300, starttime: 0, numprocs: 2}}")
    daemon.start()
    os.kill(daemon.wait_for("web", "RUNNING")["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["web"]["restarts"] == 1)
    assert daemon.ctl("wait", "all").returncode == 0
    assert daemon.ctl("why").stdout == "all is as wanted\n"
    assert "db is RUNNING" in daemon.ctl("why", "db").stdout
    assert "all 2 instances are as wanted" in daemon.ctl("why", "db").stdout
    restarts = "1 restart in the last day: killed by SIGKILL, not sent by Taskmaster"
    assert restarts in stories(daemon, "web")["web"]["sentence"]
    daemon.kill()
    daemon.start()
    assert restarts in stories(daemon, "web")["web"]["sentence"]
    assert any("the daemon before this one died" in event["text"] for event in stories(daemon, "web")["web"]["events"])
    assert daemon.ctl("upgrade").returncode == 0
    assert restarts in stories(daemon, "web")["web"]["sentence"]
    assert daemon.ctl("shutdown").returncode == 0
    daemon.start()
    daemon.wait_for("web", "RUNNING")
    assert restarts in stories(daemon, "web")["web"]["sentence"]
    assert "started at the daemon's start" in stories(daemon, "web")["web"]["sentence"]


LOOKS = """
import sys
from taskmasterctl.cli import main
main(sys.argv[1:])
print(sorted({name.partition(".")[0] for name in sys.modules} & {"ssl", "yaml", "prompt_toolkit", "json", "re"}), file=sys.stderr)
"""


@pytest.mark.parametrize("verb", ["why", "events"])
def test_the_client_needs_no_heavy_module_for_it(daemon_with_a_past: Daemon, verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{LOOKS}", verb],
        env=daemon_with_a_past.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


@pytest.mark.sweep
def test_a_kill_at_the_hard_limit_of_processor_time_is_named_and_no_other_one(daemon: Daemon) -> None:
    daemon.write(
        "defaults: {starttime: 0, autorestart: never, rlimits: {cpu: 1}}\n"
        """programs: {busy: {cmd: "sh -c 'while :; do :; done'"}, idle: {cmd: sleep 300}}\n"""
    )
    daemon.start()
    os.kill(daemon.wait_for("idle", "RUNNING")["pid"], signal.SIGKILL)
    daemon.wait_for("idle", "EXITED")
    daemon.wait_for("busy", "EXITED")
    told = stories(daemon, "busy", "idle")
    limit = "s of processor time, and the kernel kills at 1s (RLIMIT_CPU), not sent by Taskmaster"
    assert limit in told["busy"]["sentence"]
    assert "processor" not in told["idle"]["sentence"]
    assert "memory" not in str(told)

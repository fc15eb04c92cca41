"""A daemon that dies while it starts an instance: the next one finds out what became of it, though the state has no pid."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, marked, process_exists
from tests.support.guarded import config, copy_code, insert, state_of, stopped, wait_until_older
from tests.support.talk import Talk
from tests.support.wait import wait_until
from tests.support.wire import resident

pytestmark = pytest.mark.slow
BEFORE_IT_IS_SPAWNED = "        self._recorder.spawning(entry, before, inodes)\n"
BEFORE_THE_LOG_SAYS_SO = "        group = _group_of(entry, pid, inodes, place)\n"
BEFORE_THE_STATE_SAYS_SO = "            self._happen(instance, SPAWNED if executed else FORKED)\n"
BEFORE_ANYBODY_IS_ADOPTED = (
    "        self, orphans: Mapping[Slot, Verdict], searched_at: int, tell: Callable[[], list[End]], *, kill: bool\n"
    "    ) -> None:\n"
)


def dies(daemon: Daemon, cmd: str, moment: str, *options: str, other: str = "exec sleep 300") -> Path:
    """Prepare a daemon that dies once, at that moment of the start of `p`; returns the file with the pid of the instance."""
    code, note = copy_code(daemon), daemon.home / "note"
    insert(
        code / "processes" / "starts.py",
        moment,
        f"if entry.program == 'p' and not os.path.exists({str(note)!r}):",
        "    known = locals()",
        "    its_pid = known.get('pid') or (known['instance'].group.pid if 'instance' in known else '')",
        f"    open({str(note)!r}, 'w').write(str(its_pid))",
        "    os.kill(os.getpid(), 9)",
    )
    p = {"cmd": cmd, "shell": True, "starttime": 0, "autorestart": "never", "autostart": False}
    daemon.write(config(p=p, other=other))
    daemon.start(*options)
    return note


def start_p(daemon: Daemon) -> None:
    """Ask for the start of `p`, of which the daemon dies."""
    pid = resident(daemon)
    with Talk(daemon) as talk:
        talk.say("start p")
        wait_until(lambda: not process_exists(pid))


@pytest.mark.sweep
@pytest.mark.parametrize("moment", [BEFORE_THE_LOG_SAYS_SO, BEFORE_THE_STATE_SAYS_SO])
def test_an_instance_that_ended_before_anybody_had_noted_its_pid_has_its_status_and_is_started_once(
    daemon: Daemon, moment: str
) -> None:
    note = dies(daemon, "echo last words; exit 5", moment, "--guard")
    with stopped(daemon.pid):
        start_p(daemon)
        wait_until(lambda: note.read_text() and state_of(int(note.read_text())) == "Z")
    told = daemon.status()["p"]
    assert (told["state"], told["exit"]["code"]) == ("EXITED", 5)
    wait_until(lambda: daemon.log("p") == b"last words\n")
    assert f"p started (pid {note.read_text()})" in daemon.events()
    assert daemon.events().count("p exited: exit 5") == 1
    assert daemon.status()["other"]["state"] == "RUNNING"


@pytest.mark.sweep
def test_what_it_left_behind_is_ended_and_then_it_has_ended_as_it_did(daemon: Daemon) -> None:
    note = dies(daemon, "sleep 300 & exit 5", BEFORE_THE_STATE_SAYS_SO, "--guard")
    with stopped(daemon.pid):
        start_p(daemon)
        wait_until(lambda: note.read_text() and state_of(int(note.read_text())) == "Z")
        assert len(marked(daemon.socket)) == 2, "it, and the other program"
    daemon.wait_for("p", "EXITED")
    assert daemon.status()["p"]["exit"]["code"] == 5
    assert marked(daemon.socket) == [daemon.status()["other"]["pid"]]
    assert "not started" not in daemon.events()


@pytest.mark.sweep
def test_an_instance_that_ends_just_as_it_would_be_adopted_has_its_status(daemon: Daemon) -> None:
    go = daemon.home / "go"
    note = dies(
        daemon,
        f"while ! test -e {go}; do sleep 0.01; done; echo last words; exit 5",
        BEFORE_THE_STATE_SAYS_SO,
        "--guard",
    )
    insert(
        daemon.home / "code" / "taskmasterd" / "survival" / "adoption.py",
        BEFORE_ANYBODY_IS_ADOPTED,
        f"open({str(go)!r}, 'w').close()",
        f"while os.path.exists('/proc/' + open({str(note)!r}).read()): pass",
    )
    start_p(daemon)
    daemon.wait_for("p", "EXITED")
    assert daemon.status()["p"]["exit"]["code"] == 5
    wait_until(lambda: daemon.log("p") == b"last words\n")
    assert "not started" not in daemon.events()


@pytest.mark.sweep
@pytest.mark.parametrize("options", [["--guard"], []])
def test_an_instance_that_was_not_spawned_yet_is_spawned_and_nobody_elses_end_is_taken_for_its(
    daemon: Daemon, options: list[str]
) -> None:
    old = daemon.home / "old"
    leaves = f"(setsid sh -c 'echo $$ > {old}; exec sleep 300' &); exec sleep 300"
    dies(daemon, "exec sleep 300", BEFORE_IT_IS_SPAWNED, *options, other=leaves)
    wait_until(lambda: old.exists() and old.read_text().endswith("\n"))
    wait_until_older(int(old.read_text()))
    if options:
        with stopped(daemon.pid):
            start_p(daemon)
            os.kill(int(old.read_text()), signal.SIGKILL)
            wait_until(lambda: state_of(int(old.read_text())) == "Z")
    else:
        start_p(daemon)
        daemon.start()
    daemon.wait_for("p", "RUNNING")
    assert daemon.status()["p"]["exit"] is None
    assert daemon.events().count("p started") == 1
    assert "p:0: an earlier daemon died while it was starting it; starting it again" in daemon.events()

"""Programs whose files are watched, with a real daemon: what a change does in each state, and what pauses or ends a watch."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, lives
from tests.support.wait import wait_until

QUICK = 0.1
"""Debounce of the tests, seconds."""
FILES = ("web", "fixed", "stopped", "told", "slow", "noisy", "job", "rolled", "checked", "maker")
OF_OWN = ("noisy", "maker")
"""Programs that change their own files."""


def watching(name: str, **more: object) -> dict[str, object]:
    """Return a value of `watch` for a directory of that name."""
    return {"paths": [name], "debounce": QUICK, **more}


PROGRAMS: dict[str, dict[str, object]] = {
    "web": {"cmd": "sleep 91", "numprocs": 2, "starttime": 0},
    "fixed": {"cmd": "sh -c 'test -f fixed/ok && exec sleep 92'", "starttime": 0.1, "startretries": 0},
    "stopped": {"cmd": "sleep 93", "starttime": 0},
    "told": {"cmd": ["sh", "-c", "trap 'echo hup' HUP; echo begun; while :; do sleep 0.1; done"], "starttime": 0.1},
    "slow": {
        "cmd": [
            "sh",
            "-c",
            "trap 'until test -e go; do sleep 0.05; done; exit' TERM; echo begun; while :; do sleep 0.05; done",
        ],
        "starttime": 0.1,
        "stoptime": 60,
    },
    "noisy": {
        "cmd": [
            "sh",
            "-c",
            "echo log; while ! test -e noise; do sleep 0.05; done; echo $$ > noisy/cache.db; exec sleep 94",
        ],
        "starttime": 0,
        "stdout": "noisy/own.log",
    },
    "job": {"cmd": "true", "type": "oneshot"},
    "maker": {"cmd": "sh -c 'echo $$ > maker/result'", "type": "oneshot"},
    "rolled": {"cmd": "sleep 96", "numprocs": 2, "starttime": 0, "update": {"monitor": 600}},
    "checked": {"cmd": "sleep 97", "starttime": 0, "pre_restart": "false"},
}


def configuration(home: Path) -> str:
    """Return the configuration of all of them, whose files are in directories of their names."""
    found = {name: {"workingdir": str(home), "watch": watching(name), **program} for name, program in PROGRAMS.items()}
    found["told"]["watch"] = watching("told", action="signal HUP")
    return json.dumps({"programs": found})


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that watches files of all these programs."""
    daemon = share_daemon("")
    for name in FILES:
        (daemon.home / name).mkdir()
    (daemon.home / "noise").touch()
    daemon.write(configuration(daemon.home))
    daemon.start()
    wait_until(lambda: all(each["watch"] == "on" for name, each in daemon.status().items() if name not in OF_OWN))
    daemon.wait_for("fixed", "FATAL")
    daemon.wait_for("job", "EXITED")
    wait_until(lambda: daemon.log("told") == daemon.log("slow") == b"begun\n")
    daemon.ctl("stop", "stopped")
    return daemon


def save(daemon: Daemon, name: str, file: str = "app.py") -> None:
    """Save a file as an editor does."""
    draft = daemon.home / name / ".app.py.swp"
    draft.write_text(str(os.urandom(8)))
    draft.replace(daemon.home / name / file)


def watchers(daemon: Daemon) -> list[int]:
    """Return the processes that watch files for a daemon."""
    return [pid for pid in lives(daemon.socket) if "--watch" in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has ended meanwhile
        return ""


def pid(daemon: Daemon, name: str) -> int:
    """Return the pid of a process."""
    found = daemon.status()[name]["pid"]
    assert isinstance(found, int)
    return found


def restarts(daemon: Daemon, name: str) -> int:
    """Return how often a process was restarted."""
    return int(daemon.status()[name]["restarts"])


def test_a_saved_file_restarts_all_instances_and_why_names_it(shared: Daemon) -> None:
    before = [restarts(shared, f"web:{index}") for index in (0, 1)]
    save(shared, "web")
    wait_until(lambda: [restarts(shared, f"web:{index}") for index in (0, 1)] == [count + 1 for count in before])
    shared.wait_for("web:0", "RUNNING")
    assert "restarted: web/app.py changed" in shared.ctl("why", "web:0").stdout
    assert "restarting: web/app.py changed" in shared.events()


def test_a_file_that_fixes_what_has_failed_starts_it_and_what_was_stopped_stays_down(shared: Daemon) -> None:
    save(shared, "stopped")
    save(shared, "fixed", "ok")
    shared.wait_for("fixed", "RUNNING")
    assert "started: fixed/ok changed" in shared.ctl("why", "fixed").stdout
    assert shared.state("stopped") == "STOPPED"


def test_a_job_runs_again_for_a_changed_file(shared: Daemon) -> None:
    save(shared, "job")
    wait_until(lambda: shared.events().count("job started") == 2)
    assert shared.wait_for("job", "EXITED")["exit"]["code"] == 0


def test_action_signal_sends_one_and_restarts_nothing(shared: Daemon) -> None:
    before = shared.log("told").count(b"hup")
    save(shared, "told")
    wait_until(lambda: shared.log("told").count(b"hup") == before + 1)
    assert restarts(shared, "told") == 0
    assert "told/app.py changed: HUP to its leader" in shared.events()


def saved_and_seen(daemon: Daemon, name: str) -> None:
    """Save a file, and wait until the daemon knows of it: it hears of all changes in their order.

    The last one is of a program that gets a signal: one that is restarted again and again would be paused.
    """
    before = daemon.log("told").count(b"hup")
    save(daemon, name)
    save(daemon, "told")
    wait_until(lambda: daemon.log("told").count(b"hup") > before)


def test_changes_while_it_stops_are_one_restart_more(shared: Daemon) -> None:
    save(shared, "slow")
    wait_until(lambda: shared.state("slow") == "STOPPING")
    for _ in range(2):
        saved_and_seen(shared, "slow")
    assert shared.state("slow") == "STOPPING"
    (shared.home / "go").touch()
    wait_until(lambda: restarts(shared, "slow") == 2)
    shared.wait_for("slow", "RUNNING")
    saved_and_seen(shared, "web")
    assert restarts(shared, "slow") == 2


def test_with_update_the_next_instance_waits(shared: Daemon) -> None:
    assert [restarts(shared, f"rolled:{index}") for index in (0, 1)] == [0, 0]
    saved_and_seen(shared, "rolled")
    assert [restarts(shared, f"rolled:{index}") for index in (0, 1)] == [0, 0], "none of them is up long enough"


def test_pre_restart_may_refuse(shared: Daemon) -> None:
    save(shared, "checked")
    wait_until(lambda: "checked not restarted: pre_restart: exit 1" in shared.events())
    assert restarts(shared, "checked") == 0


def test_a_program_that_changes_its_own_files_at_each_start_is_paused_and_its_log_does_not_count(
    shared: Daemon,
) -> None:
    wait_until(
        lambda: (
            "watch paused: noisy/cache.db changes whenever noisy starts; ignore it"
            in str(shared.status()["noisy"]["detail"])
        )
    )
    assert "noisy/own.log" not in shared.events()
    count = restarts(shared, "noisy")
    saved_and_seen(shared, "noisy")
    assert restarts(shared, "noisy") == count
    (shared.home / "noise").unlink()
    assert shared.ctl("restart", "noisy").returncode == 0
    assert shared.status()["noisy"]["watch"] == "on"


def test_a_job_that_changes_its_own_files_is_paused_too_though_it_has_ended_by_then(shared: Daemon) -> None:
    wait_until(lambda: "watch paused: maker/result changes" in str(shared.status()["maker"]["detail"]))
    assert shared.status()["maker"]["state"] == "EXITED"


def test_a_watcher_that_dies_is_started_again_and_nothing_is_missed(shared: Daemon) -> None:
    assert len(watchers(shared)) == 1

    def off() -> bool:
        for each in watchers(shared):  # the next one, too, where this looks so late that there is one
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        return bool(shared.status()["web:0"]["detail"] == "watch off, restarting")

    wait_until(off)
    before = restarts(shared, "web:0")
    save(shared, "web")
    wait_until(lambda: restarts(shared, "web:0") > before)
    wait_until(lambda: shared.status()["web:0"]["watch"] == "on")


def test_without_watch_there_is_no_watcher_and_a_reload_begins_and_ends_it(daemon: Daemon) -> None:
    web = {"cmd": "sleep 98", "starttime": 0, "workingdir": str(daemon.home)}
    (daemon.home / "src").mkdir()

    daemon.write(json.dumps({"programs": {"web": web}}))
    daemon.start()
    before = daemon.wait_for("web", "RUNNING")["pid"]
    assert (watchers(daemon), daemon.status()["web"]["watch"]) == ([], None)
    daemon.write(json.dumps({"programs": {"web": {**web, "watch": watching("src")}}}))
    assert daemon.ctl("reload").returncode == 0
    wait_until(lambda: len(watchers(daemon)) == 1 and daemon.status()["web"]["watch"] == "on")
    assert daemon.status()["web"]["pid"] == before, "watch is live"
    daemon.write(json.dumps({"programs": {"web": web}}))
    assert daemon.ctl("reload").returncode == 0
    wait_until(lambda: not watchers(daemon))


@pytest.mark.sweep
def test_changes_while_no_daemon_watches_are_seen_by_the_next_one(daemon: Daemon) -> None:
    (daemon.home / "src").mkdir()
    web = {"cmd": "sleep 98", "starttime": 0, "workingdir": str(daemon.home), "watch": watching("src")}
    daemon.write(json.dumps({"programs": {"web": web}}))
    daemon.start()
    wait_until(lambda: daemon.status()["web"]["watch"] == "on")
    before = pid(daemon, "web")
    assert daemon.ctl("upgrade").returncode == 0
    wait_until(lambda: daemon.status()["web"]["watch"] == "on")
    assert pid(daemon, "web") == before
    daemon.signal(signal.SIGKILL)
    wait_until(lambda: not daemon.alive)
    (daemon.home / "src" / "app.py").write_text("new")
    daemon.start()
    wait_until(lambda: restarts(daemon, "web") == 1)

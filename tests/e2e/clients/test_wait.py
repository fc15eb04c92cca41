"""`wait`, `deps` and what clients see of dependencies, with real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.forkserver import ForkServer
from tests.support.talk import Talk
from tests.support.terminal import Terminal
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
DB = {"cmd": "sleep 300", "starttime": 1}
WEB = {"cmd": "sleep 300", "starttime": 0, "depends_on": ["db"]}
GATED = {
    "cmd": "while ! test -e go; do sleep 0.05; done; echo up; exec sleep 300",
    "shell": True,
    "ready": {"log": "up"},
}
"""A program that comes up when a test wants it to, and not after a time."""
BROKEN = {"cmd": "false", "startretries": 0, "starttime": 30}


def _load(daemon: Daemon, **programs: dict[str, Any]) -> Daemon:
    daemon.write(json.dumps({"programs": programs}))  # JSON is YAML
    return daemon


def _client(daemon: Daemon, *words: str) -> subprocess.Popen[str]:
    """Start a client that the test does not wait for."""
    return subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", *words],
        env=daemon.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _waiting(daemon: Daemon, *words: str) -> subprocess.Popen[str]:
    """Start a client and return once the daemon has its connection; those of earlier clients may end meanwhile."""
    before = _connections(daemon)
    client = _client(daemon, *words)
    wait_until(lambda: _connections(daemon) - before or client.poll() is not None)
    return client


def _connections(daemon: Daemon) -> set[str]:
    """Return the connections that the daemon has accepted. Source: proc_net(5), unix: they have the path of its socket."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    ours = {f"socket:[{line.split()[6]}]" for line in lines if line.endswith(f" {daemon.socket}")}
    return ours & _links(daemon.pid)


def _links(pid: int) -> set[str]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(fd))
        except FileNotFoundError:
            continue
    return found


def _ended(client: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = client.communicate(timeout=20)
    return client.returncode, out, err


def test_wait_ends_when_what_is_on_its_way_has_come_up_and_starts_nothing(daemon: Daemon) -> None:
    db = {**GATED, "workingdir": str(daemon.home)}
    _load(daemon, web=WEB, db=db, job={"cmd": "sleep 300", "autostart": False}).start()
    assert daemon.status()["web"]["detail"].startswith("waiting for db: ready (STARTING")
    (daemon.home / "go").touch()
    done = daemon.ctl("wait", "all")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(" (")[0] for line in done.stdout.splitlines()] == ["web up", "db up", "job skipped"]
    assert daemon.state("job") == "STOPPED"
    assert daemon.ctl("wait", "--for", "settled", "all").returncode == 0


def test_wait_ends_as_soon_as_a_goal_cannot_be_reached_and_says_why(daemon: Daemon) -> None:
    _load(daemon, web=WEB, db=BROKEN, slow={"cmd": "sleep 300", "starttime": 60}).start()
    done = daemon.ctl("wait", "web", "slow")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("taskmasterctl: web is not up: needs db, which is FATAL: exit 1 after ")
    assert "; it starts when db is ready\n" in done.stderr
    assert "slow" not in done.stderr
    settled = daemon.ctl("wait", "--for", "settled", "web", "db")
    assert (settled.returncode, settled.stdout) == (1, "")
    assert settled.stderr.count(" is not as wanted: ") == 2


def test_wait_is_a_look_with_exit_codes_of_one(daemon: Daemon) -> None:
    _load(daemon, db=DB).start()
    assert daemon.ctl("wait", "nope").returncode == 4
    never = daemon.ctl("wait", "--for", "healthy", "db")
    assert (never.returncode, "it has no health" in never.stderr) == (1, True)
    late = daemon.ctl("--timeout", "2", "wait", "--for", "stopped", "db")
    assert (late.returncode, late.stderr) == (124, "taskmasterctl: wait of db is not finished after 2.0s\n")


def test_wait_for_a_stop_ends_with_it_and_its_json_has_the_results(daemon: Daemon) -> None:
    _load(daemon, db=DB).start()
    client = _waiting(daemon, "--json", "wait", "--for", "stopped", "db")
    daemon.ctl("stop", "db")
    code, out, _ = _ended(client)
    document = json.loads(out)
    assert (code, [(each["name"], each["outcome"]) for each in document["results"]]) == (0, [("db", "stopped")])


@pytest.mark.parametrize("how", ["shutdown", *in_the_sweep("removed")])
def test_a_wait_ends_with_1_when_its_target_or_the_daemon_goes(daemon: Daemon, forks: ForkServer, how: str) -> None:
    _load(daemon, web={**WEB, "starttime": 60}, db=DB).start()
    with Terminal(daemon.environment, ("wait", "web"), size=(200, 24), forks=forks) as client:
        client.see("web: STARTING")  # a sign of life: the daemon has the request
        if how == "removed":
            _load(daemon, db=DB).ctl("reload")
        else:
            daemon.ctl("shutdown")
        assert client.ended() == (1, None)
        client.see("removed from" if how == "removed" else "being shut down")


@pytest.mark.sweep
def test_a_wait_sends_signs_of_life_that_name_what_it_waits_for(daemon: Daemon) -> None:
    _load(daemon, web=WEB, db={**GATED, "workingdir": str(daemon.home)}).start()
    with Talk(daemon, "wait web") as talk:
        beat = talk.until("progress")[-1]
        assert (beat["name"], beat["heartbeat"]) == ("web", True)
        assert beat["text"].startswith("STARTING; waiting for db: ready (STARTING; not ready, ")
        (daemon.home / "go").touch()
        assert talk.until("end")[-1] == {"type": "end", "exit": 0}


@pytest.mark.sweep
def test_a_wait_goes_on_over_an_upgrade(daemon: Daemon) -> None:
    _load(daemon, web=WEB, db={**GATED, "workingdir": str(daemon.home)}).start()
    client = _waiting(daemon, "wait", "web")
    assert daemon.ctl("upgrade").returncode == 0
    assert daemon.status()["web"]["phase"] == "held"
    assert client.poll() is None
    (daemon.home / "go").touch()
    code, out, _ = _ended(client)
    assert (code, out.partition(" (")[0]) == (0, "web up")


def test_a_wait_sees_the_end_of_a_killed_daemon(daemon: Daemon) -> None:
    _load(daemon, web=WEB, db={**DB, "starttime": 60}).start()
    client = _waiting(daemon, "wait", "web")
    daemon.kill()
    assert _ended(client)[0] == 4


@pytest.mark.sweep
def test_ctrl_c_and_a_timeout_end_the_client_and_what_it_started_waits_on(daemon: Daemon) -> None:
    _load(daemon, web={**WEB, "autostart": False}, db={**DB, "starttime": 60}).start()
    late = daemon.ctl("--timeout", "3", "start", "web")
    assert late.returncode == 124
    assert "It goes on in the daemon." in late.stderr
    client = _client(daemon, "start", "web")
    wait_until(lambda: daemon.events().count(": start web\n") == 2)
    client.send_signal(signal.SIGINT)
    code, _, err = _ended(client)
    assert (code, "no longer waiting for start of web" in err) == (130, True)
    web = daemon.status()["web"]
    assert (web["state"], web["phase"], web["pid"]) == ("STARTING", "held", None)
    assert web["waiting"] == [{"name": "db", "condition": "ready", "because": "STARTING", "blocked": False}]


def test_status_is_0_while_all_is_on_its_way_and_3_when_somebody_is_needed(daemon: Daemon) -> None:
    _load(daemon, web=WEB, db={**DB, "starttime": 60}).start()
    assert daemon.ctl("status").returncode == 0
    _load(daemon, web=WEB, db=BROKEN).ctl("reload")
    blocked = daemon.wait_for("web", "BACKOFF")
    assert (blocked["phase"], blocked["wanted"], blocked["waiting"][0]["blocked"]) == ("blocked", False, True)
    assert daemon.ctl("status").returncode == 3
    shown = daemon.ctl("show", "web").stdout
    assert "  waits for:\n    web  db  ready  FATAL; exit 1 after " in shown


@pytest.mark.sweep
def test_start_names_what_it_starts_besides_and_stop_what_goes_on(daemon: Daemon) -> None:
    web = {**WEB, "numprocs": 2, "autostart": False}
    _load(daemon, web=web, db={**DB, "starttime": 0, "autostart": False}).start()
    started = daemon.ctl("start", "web")
    assert (started.returncode, started.stderr) == (0, "also starting db\n")
    assert [line.partition(" (")[0] for line in started.stdout.splitlines()] == ["web:0 started", "web:1 started"]
    stopped = daemon.ctl("stop", "db")
    assert stopped.returncode == 0
    assert stopped.stderr == "taskmasterctl: warning: web:0 web:1 depend on db and go on\n"
    again = daemon.ctl("restart", "--no-deps", "web:0")
    assert (again.returncode, daemon.state("db")) == (0, "STOPPED")
    daemon.ctl("start", "db")
    down = daemon.ctl("stop", "--dependents", "db")
    assert (down.returncode, sorted(line.partition(" (")[0] for line in down.stdout.splitlines())) == (
        0,
        ["db stopped", "web:0 stopped", "web:1 stopped"],
    )


@pytest.mark.sweep
def test_a_start_takes_back_what_waits_for_its_turn_to_stop(daemon: Daemon) -> None:
    lasts = "trap 'while ! test -e go; do sleep 0.05; done; exit' TERM; echo ready; sleep 300 & wait"
    web = {**WEB, "cmd": lasts, "shell": True, "stopasgroup": "leader", "stoptime": 60, "workingdir": str(daemon.home)}
    _load(daemon, web=web, db={**DB, "starttime": 0}).start()
    wait_until(lambda: daemon.log("web") == b"ready\n")
    pid = daemon.status()["db"]["pid"]
    client = _client(daemon, "stop", "all")
    wait_until(lambda: daemon.status()["db"]["detail"] == "stops after web")
    assert daemon.ctl("start", "db").returncode == 0
    (daemon.home / "go").touch()
    code, out, err = _ended(client)
    assert (code, out.partition(" (")[0]) == (1, "web stopped")
    assert err.startswith("taskmasterctl: db: taken back by ")
    assert (daemon.status()["db"]["pid"], daemon.state("web")) == (pid, "STOPPED")


def test_deps_draws_what_the_daemon_says(daemon: Daemon) -> None:
    job = {
        "cmd": "sleep 300",
        "depends_on": {"db": {"condition": "started", "restart": True}, "off": {"required": False}},
    }
    off = {"cmd": "sleep 300", "autostart": False}
    _load(daemon, web=WEB, top={**WEB, "depends_on": ["web", "bad"]}, db=DB, bad=BROKEN, job=job, off=off).start()
    assert daemon.ctl("wait", "web").returncode == 0
    wait_until(lambda: daemon.state("bad") == "FATAL")
    daemon.environment["LC_ALL"] = "C"
    done = daemon.ctl("deps", "top", "job")
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[:3]) == (0, ["top", "|- web: ready  ok", "|  `- db: ready  ok"])
    assert lines[3].startswith("`- bad: ready  blocked (bad is FATAL; exit 1 after ")
    assert lines[4] == "job"
    assert lines[5] == "|- db: started, restart  ok"
    assert lines[6].startswith("`- off: ready, optional  ")
    daemon.environment["LC_ALL"] = "C.UTF-8"
    upwards = daemon.ctl("deps", "--reverse", "db").stdout.splitlines()
    assert upwards[:2] == ["db", "├─ web: ready  ok"]
    assert daemon.ctl("deps", "nope").returncode == 4
    _load(daemon, db=DB).ctl("reload")
    assert daemon.ctl("deps").stdout == "no program depends on another\n"


@pytest.mark.sweep
def test_subscribers_hear_of_waiting_and_of_its_end(daemon: Daemon) -> None:
    _load(daemon, web={**WEB, "autostart": False}, db={**DB, "autostart": False}).start()
    client = _client(daemon, "--json", "subscribe", "web")
    assert client.stdout
    messages = map(json.loads, client.stdout)
    assert "processes" in (message["type"] for message in messages)  # the snapshot is there
    daemon.ctl("start", "--no-wait", "web")
    seen: list[tuple[str, str, str, str]] = []
    for change in messages:
        if change["type"] == "change":
            seen.append((change["before"], change["before_phase"], change["state"], change["process"]["phase"]))
            if change["state"] == "RUNNING":
                break
    client.kill()
    _ended(client)
    assert seen == [
        ("STOPPED", "", "STARTING", "held"),
        ("STARTING", "held", "STARTING", ""),
        ("STARTING", "", "RUNNING", ""),
    ]

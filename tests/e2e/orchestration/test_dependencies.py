"""Programs that depend on each other, with a real daemon: who waits, who is blocked, and in which order they go down.

`db` is up once there is a file `go`: nothing here depends on how long anything takes. Cases are those of the acceptance list of
dependencies.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

TRAPS = (
    "trap 'sleep 0.5; date +%s.%N > {name}.end; exit 0' TERM; date +%s.%N > {name}.begin; while :; do sleep 0.05; done"
)
"""A program that takes half a second to stop, and writes when it began and when it ended."""


def chain(**more: str) -> str:
    """Return a configuration in which a needs b, and b needs c, each of which takes its time to stop."""
    needs = {"a": "b", "b": "c", "c": ""}
    programs = "".join(
        f"  {name}: {{cmd: {TRAPS.format(name=name)!r}, shell: true, starttime: 0.1, depends_on: [{needs[name]}]"
        f"{more.get(name, '')}}}\n"
        for name in "abc"
    )
    return f"programs:\n{programs}"


UNTIL_GO = "until test -e go; do sleep 0.05; done"
LONG = ", stoptime: 60"
"""Key of a program that may take its time to stop."""


def stops_when_told(configuration: str) -> str:
    """Return a configuration whose TRAPS stop once there is a file `go`."""
    return configuration.replace("sleep 0.5", UNTIL_GO)


def trapped(daemon: Daemon, names: Sequence[str] = "abc") -> None:
    """Wait until these programs of TRAPS have come to their loop: a shell that has set no trap yet just ends."""
    wait_until(lambda: all((daemon.home / f"{name}.begin").exists() for name in names))


def state(daemon: Daemon, name: str) -> str:
    """Return the state of a process, with its phase."""
    process = daemon.status()[name]
    return f"{process['state']} {process['phase']}".strip()


def pid(daemon: Daemon, name: str) -> int | None:
    """Return the pid of a process."""
    found = daemon.status()[name]["pid"]
    assert found is None or isinstance(found, int)
    return found


def all_run(daemon: Daemon) -> bool:
    """Return whether every process runs."""
    return all(each["state"] == "RUNNING" for each in daemon.status().values())


def position(text: str, *parts: str) -> list[int]:
    """Return where these parts stand in a text; each has to be there."""
    found = [text.find(part) for part in parts]
    assert -1 not in found, (parts, text)
    return found


WEB_AND_DB = """
programs:
  db: {cmd: sleep 99, starttime: 0}
  web: {cmd: sleep 98, starttime: 0, depends_on: [db]}
"""


SLOW_DB = WEB_AND_DB.replace("starttime: 0}", "ready: {exec: test -e go, interval: 0.1}}", 1)
"""The same, with a db that is ready once there is a file `go`."""


@pytest.fixture
def waiting(daemon: Daemon) -> Daemon:
    """Return a daemon whose web waits for db."""
    daemon.write(SLOW_DB)
    daemon.start()
    assert state(daemon, "web") == "STARTING held"
    return daemon


def test_web_starts_when_db_is_ready_and_status_says_what_it_waits_for(waiting: Daemon) -> None:
    answer = waiting.ctl("status")
    assert answer.returncode == 0
    assert "STARTING" in answer.stdout
    assert "waiting for db: ready" in answer.stdout
    (waiting.home / "go").touch()
    wait_until(lambda: all_run(waiting))
    assert position(waiting.events(), "db running", "web started") == sorted(
        position(waiting.events(), "db running", "web started")
    )


@pytest.mark.sweep
def test_orders_to_what_waits_are_done_at_once(waiting: Daemon) -> None:
    restart = waiting.ctl("restart", "--no-wait", "web")
    assert (restart.returncode, state(waiting, "web")) == (0, "STARTING held")
    assert waiting.ctl("stop", "web").returncode == 0
    assert state(waiting, "db").startswith("STARTING"), "nobody has waited for it"
    assert "web stopped by" in waiting.events()
    (waiting.home / "go").touch()
    wait_until(lambda: state(waiting, "db") == "RUNNING")
    assert state(waiting, "web") == "STOPPED"
    assert "web started" not in waiting.events()


@pytest.mark.sweep
def test_a_killed_daemon_that_held_one_goes_on_holding_it_and_starts_it_once(daemon: Daemon) -> None:
    daemon.write(SLOW_DB)
    daemon.start()
    db = pid(daemon, "db")
    daemon.kill()
    daemon.start()
    assert (state(daemon, "web"), pid(daemon, "db")) == ("STARTING held", db)
    (daemon.home / "go").touch()
    wait_until(lambda: all_run(daemon))
    assert daemon.events().count("web started") == 1


@pytest.mark.sweep
def test_an_upgrade_while_one_is_held_goes_on_holding_it(daemon: Daemon) -> None:
    daemon.write(SLOW_DB)
    daemon.start()
    assert daemon.ctl("upgrade").returncode == 0
    assert state(daemon, "web") == "STARTING held"
    (daemon.home / "go").touch()
    wait_until(lambda: all_run(daemon))
    assert daemon.events().count("web started") == 1


def test_what_is_blocked_says_why_is_answered_and_starts_when_its_dependency_does(daemon: Daemon) -> None:
    daemon.write("""
programs:
  db: {cmd: 'test -e good && exec sleep 99', shell: true, startretries: 1, restart_delay: 0.1, starttime: 0.2}
  web: {cmd: sleep 98, starttime: 0, depends_on: [db]}
""")
    daemon.start()
    wait_until(lambda: state(daemon, "web") == "BACKOFF blocked")
    answer = daemon.ctl("status", "web")
    assert answer.returncode == 3
    assert "blocked: needs db, which is FATAL: exit 1" in answer.stdout
    failed = daemon.ctl("start", "web")
    assert failed.returncode == 1
    assert "needs db, which is FATAL: exit 1" in failed.stderr
    assert "db: retry 1 of 1" in failed.stdout + failed.stderr
    (daemon.home / "good").touch()
    assert daemon.ctl("start", "db").returncode == 0
    wait_until(lambda: all_run(daemon))


def test_a_program_never_runs_beside_a_dependency_that_fails_at_once(daemon: Daemon) -> None:
    daemon.write("""
programs:
  db: {cmd: "false", startretries: 0}
  web: {cmd: 'touch marker; sleep 9', shell: true, depends_on: [db]}
""")
    daemon.start()
    for _ in range(10):
        wait_until(lambda: state(daemon, "web") == "BACKOFF blocked")
        assert daemon.ctl("start", "web").returncode == 1
    assert not (daemon.home / "marker").exists()


@pytest.mark.sweep
def test_a_crash_of_a_dependency_leaves_what_runs_alone_and_the_next_crash_waits_for_it(daemon: Daemon) -> None:
    go = daemon.home / "go"
    go.touch()
    daemon.write(SLOW_DB)
    daemon.start()
    wait_until(lambda: all_run(daemon))
    web, db = pid(daemon, "web"), pid(daemon, "db")
    assert web
    assert db
    go.unlink()
    os.kill(db, signal.SIGKILL)
    wait_until(lambda: state(daemon, "db") == "STARTING")
    assert pid(daemon, "web") == web
    os.kill(web, signal.SIGKILL)
    wait_until(lambda: state(daemon, "web") == "STARTING held")
    go.touch()
    wait_until(lambda: all_run(daemon))
    assert daemon.status()["web"]["tries"] == 0


def test_an_edge_with_restart_takes_web_down_with_db_and_up_again(daemon: Daemon) -> None:
    daemon.write("""
programs:
  db: {cmd: sleep 99, starttime: 0.2}
  web: {cmd: sleep 98, starttime: 0, depends_on: {db: {restart: true}}}
""")
    daemon.start()
    wait_until(lambda: all_run(daemon))
    web, db = pid(daemon, "web"), pid(daemon, "db")
    assert db
    os.kill(db, signal.SIGKILL)
    wait_until(lambda: pid(daemon, "web") not in (None, web))
    wait_until(lambda: all_run(daemon))
    assert daemon.status()["web"]["restarts"] == 0
    seen = len(daemon.events())
    answer = daemon.ctl("stop", "db")
    assert answer.returncode == 0
    wait_until(lambda: state(daemon, "web") == "BACKOFF blocked")
    assert "depends on" not in answer.stderr
    order = position(daemon.events()[seen:], "web stopping", "web ended", "db stopping", "db stopped")
    assert order == sorted(order)
    assert daemon.ctl("start", "db").returncode == 0
    wait_until(lambda: all_run(daemon))


def test_stop_of_what_others_need_is_done_with_a_warning(daemon: Daemon) -> None:
    daemon.write(WEB_AND_DB.replace("sleep 98,", "sleep 98, numprocs: 2,"))
    daemon.start()
    wait_until(lambda: all_run(daemon))
    before = (pid(daemon, "web:0"), pid(daemon, "web:1"))
    answer = daemon.ctl("stop", "db")
    assert answer.returncode == 0
    assert "web:0 web:1 depend on db and go on" in answer.stderr
    assert (pid(daemon, "web:0"), pid(daemon, "web:1")) == before
    assert "also starting " in daemon.ctl("restart", "web").stderr
    assert all_run(daemon)


def test_programs_stop_in_order_of_dependence_and_take_the_longest_chain_of_time(daemon: Daemon) -> None:
    daemon.write(chain() + "".join(f"  other{number}: {{cmd: sleep 99}}\n" for number in range(20)))
    daemon.start()
    wait_until(lambda: all_run(daemon))
    trapped(daemon)
    before = time.monotonic()
    assert daemon.ctl("shutdown").returncode == 0
    took = time.monotonic() - before
    ends = [float((daemon.home / f"{name}.end").read_text()) for name in "abc"]
    assert ends == sorted(ends)
    assert ends[2] - ends[0] >= 0.9, "each waits for the end of the one above it"
    assert took >= 1.5


@pytest.mark.sweep
def test_what_does_not_end_by_itself_holds_up_the_others_only_until_its_kill(daemon: Daemon) -> None:
    daemon.write("""
programs:
  b: {cmd: 'trap "" TERM; touch b.begin; while :; do sleep 0.1; done', shell: true, starttime: 0.1, stoptime: 1, depends_on: [c]}
  c: {cmd: sleep 99, starttime: 0.1}
""")
    daemon.start()
    wait_until(lambda: all_run(daemon))
    trapped(daemon, "b")
    assert daemon.ctl("stop", "all").returncode == 0
    order = position(daemon.events(), "c stops after b", "b SIGKILL sent", "b stopped", "c stopping")
    assert order == sorted(order)


@pytest.mark.sweep
def test_a_start_takes_back_what_has_not_been_stopped_yet(daemon: Daemon) -> None:
    daemon.write(stops_when_told(chain(a=LONG)))
    daemon.start()
    wait_until(lambda: all_run(daemon))
    trapped(daemon)
    before = {name: pid(daemon, name) for name in "abc"}
    with ThreadPoolExecutor() as pool:
        stop = pool.submit(daemon.ctl, "stop", "all")
        wait_until(lambda: state(daemon, "a") == "STOPPING")
        assert daemon.ctl("start", "b").returncode == 0
        (daemon.home / "go").touch()
        answer = stop.result(30)
    assert answer.returncode == 1
    assert "taken back" in answer.stderr
    assert {name: pid(daemon, name) for name in "abc"} == {**before, "a": None}


@pytest.mark.sweep
def test_one_reload_that_changes_both_takes_them_down_and_up_in_order_and_touches_no_third(daemon: Daemon) -> None:
    text = WEB_AND_DB.replace("starttime: 0}", "starttime: 0.2}", 1) + "  other: {cmd: sleep 97, starttime: 0}\n"
    daemon.write(text)
    daemon.start()
    wait_until(lambda: all_run(daemon))
    other, seen = pid(daemon, "other"), len(daemon.events())
    daemon.write(text.replace("sleep 98", "sleep 96").replace("sleep 99", "sleep 95"))
    assert daemon.ctl("reload").returncode == 0
    order = position(daemon.events()[seen:], "web stopping", "db stopping", "db started", "db running", "web started")
    assert order == sorted(order)
    assert pid(daemon, "other") == other


@pytest.mark.sweep
def test_a_reload_with_a_circle_changes_nothing_and_one_without_the_edge_starts_what_waited(waiting: Daemon) -> None:
    pids = pid(waiting, "db")
    waiting.write(SLOW_DB.replace("sleep 99,", "sleep 99, depends_on: [web],"))
    answer = waiting.ctl("reload")
    assert answer.returncode == 6
    assert "web → db → web" in answer.stderr or "db → web → db" in answer.stderr
    assert pid(waiting, "db") == pids
    waiting.write(SLOW_DB.replace(", depends_on: [db]", ""))
    assert waiting.ctl("reload").returncode == 0
    wait_until(lambda: state(waiting, "web") == "RUNNING")


@pytest.mark.sweep
def test_a_group_is_a_target_and_the_missing_instance_of_a_dependency_is_named(daemon: Daemon) -> None:
    daemon.write("""
groups:
  backend: [db, 'wo*']
programs:
  db: {cmd: 'test $TASKMASTER_INSTANCE = 2 && exec sleep 0.1 || exec sleep 99', shell: true, numprocs: 3, starttime: 0.5}
  worker: {cmd: sleep 98, starttime: 0}
  web: {cmd: sleep 97, starttime: 0, depends_on: [backend]}
""")
    daemon.start()
    wait_until(lambda: "waiting for db:2" in daemon.status()["web"]["detail"])
    answer = daemon.ctl("status", "backend")
    assert "worker" in answer.stdout
    assert "web" not in answer.stdout


def test_a_start_without_dependencies_runs_beside_what_is_down(daemon: Daemon) -> None:
    daemon.write(WEB_AND_DB.replace("starttime: 0}", "starttime: 0, autostart: false}", 1))
    daemon.start()
    wait_until(lambda: all_run(daemon))
    assert daemon.ctl("stop", "web", "db").returncode == 0
    assert daemon.ctl("start", "--no-deps", "web").returncode == 0
    assert (state(daemon, "web"), state(daemon, "db")) == ("RUNNING", "STOPPED")


@pytest.mark.sweep
def test_a_killed_daemon_goes_on_with_a_stop_in_order(daemon: Daemon) -> None:
    daemon.write(stops_when_told(chain(a=LONG, b=LONG, c=LONG)))
    daemon.start()
    wait_until(lambda: all_run(daemon))
    trapped(daemon)
    assert daemon.ctl("stop", "--no-wait", "b", "c", "a").returncode == 0
    assert state(daemon, "a") == "STOPPING"
    daemon.kill()
    daemon.start()
    (daemon.home / "go").touch()
    wait_until(lambda: all(each["state"] == "STOPPED" for each in daemon.status().values()))
    ends = [float((daemon.home / f"{name}.end").read_text()) for name in "abc"]
    assert ends == sorted(ends)


@pytest.mark.sweep
@pytest.mark.parametrize("orphans", ["adopt", "kill"])
def test_a_daemon_without_a_state_takes_over_what_would_wait_at_its_gate(daemon: Daemon, orphans: str) -> None:
    daemon.write(WEB_AND_DB.replace("starttime: 0}", "starttime: 0.2}", 1))
    daemon.start()
    wait_until(lambda: all_run(daemon))
    pids = {name: pid(daemon, name) for name in ("db", "web")}
    daemon.kill()
    daemon.state_file.unlink()
    daemon.start("--orphans", orphans)
    wait_until(lambda: all_run(daemon))
    same = {name: pid(daemon, name) for name in ("db", "web")} == pids
    assert same == (orphans == "adopt")


@pytest.mark.sweep
def test_a_daemon_that_was_killed_during_its_stop_starts_what_its_programs_need(daemon: Daemon) -> None:
    daemon.write(
        "programs:\n"
        f"  web: {{cmd: {stops_when_told(TRAPS.format(name='web'))!r}, shell: true, starttime: 0.1, stoptime: 60, depends_on: [db]}}\n"
        "  db: {cmd: sleep 99, starttime: 0.1, autostart: false}\n"
    )
    daemon.start()
    wait_until(lambda: all_run(daemon))
    trapped(daemon, ["web"])
    assert daemon.ctl("shutdown", "--no-wait").returncode == 0
    wait_until(lambda: state(daemon, "web") == "STOPPING")
    daemon.kill()
    daemon.start()
    (daemon.home / "go").touch()
    wait_until(lambda: all_run(daemon))

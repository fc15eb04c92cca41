"""Hooks with a real daemon and real programs: their places and variables, what they do wrong, and a daemon that goes meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.probing import carrying
from tests.support.wait import wait_until
from tests.support.wire import resident

HOOKS = ("pre_start", "post_start", "pre_stop", "post_stop")
UNTIL_GO = "until test -e go; do sleep 0.05; done"
QUICK: dict[str, Any] = {"starttime": 0, "restart_delay": 0.1}
OURS = os.getpid()


def configure(daemon: Daemon, **programs: object) -> Daemon:
    """Write a configuration with these programs."""
    daemon.write(json.dumps({"programs": programs}))
    return daemon


def script(text: str, **more: object) -> dict[str, object]:
    """Return a hook that runs this text."""
    return {"cmd": text, "shell": True, **more}


def sleep(number: int) -> str:
    """Return a long sleep that only this test has."""
    return f"sleep {number}.{OURS}"


def of(daemon: Daemon, name: str = "web") -> dict[str, Any]:
    """Return what `status` knows of a process."""
    found: dict[str, Any] = daemon.status()[name]
    return found


def in_state(daemon: Daemon, state: str, name: str = "web") -> None:
    """Wait until a process is in a state."""
    wait_until(lambda: of(daemon, name)["state"] == state)


def trace(daemon: Daemon) -> list[str]:
    """Return what hooks have written into the file `trace`, and empty it."""
    file = daemon.home / "trace"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


TELL = "echo $TASKMASTER_HOOK $TASKMASTER_REASON ${TASKMASTER_PID:-none} ${TASKMASTER_EXIT_CODE:-$TASKMASTER_EXIT_SIGNAL} >> trace"


def test_each_hook_runs_in_its_place_and_knows_why(daemon: Daemon) -> None:
    hooks = {name: script(TELL) for name in HOOKS}
    cmd = 'echo "copy" >> trace; echo >&3; exec sleep 99'
    web = {"shell": True, **QUICK, **hooks, "ready": {"fd": 3}}
    configure(daemon, web={"cmd": cmd, **web}).start()
    in_state(daemon, "RUNNING")
    first = of(daemon)["pid"]
    assert trace(daemon) == ["pre_start start none", "copy", f"post_start start {first}"]
    assert daemon.ctl("restart", "web").returncode == 0
    second = of(daemon)["pid"]
    again = ["pre_start {0} none", "copy", "post_start {0} {1}"]
    assert trace(daemon) == [
        f"pre_stop restart {first}",
        f"post_stop restart {first} 15",
        *(line.format("restart", second) for line in again),
    ]
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: of(daemon)["pid"] not in (None, second))
    in_state(daemon, "RUNNING")
    third = of(daemon)["pid"]
    assert trace(daemon) == [f"post_stop crash {second} 9", *(line.format("crash", third) for line in again)]
    configure(daemon, web={"cmd": f"{cmd}.5", **web})
    assert daemon.ctl("reload").returncode == 0
    fourth = of(daemon)["pid"]
    assert trace(daemon)[:2] == [f"pre_stop reload {third}", f"post_stop reload {third} 15"]
    assert daemon.ctl("stop", "web").returncode == 0
    assert trace(daemon) == [f"pre_stop stop {fourth}", f"post_stop stop {fourth} 15"]
    configure(daemon, web={"cmd": "exit 4", "shell": True, "startretries": 0, **hooks, "starttime": 1})
    assert daemon.ctl("reload").returncode == 0
    assert daemon.ctl("start", "web").returncode == 1
    before, after = trace(daemon)
    assert before == "pre_start start none"
    assert re.fullmatch(r"post_stop failed \d+ 4", after), "after a failed start, too"
    assert "web running pre_start" in daemon.events()
    assert "web post_stop done after" in daemon.events()


@pytest.mark.sweep
def test_a_failed_pre_start_is_a_failed_start_and_nothing_of_it_is_left(daemon: Daemon) -> None:
    bad = {"cmd": "sleep 99", **QUICK, "startretries": 1, "autostart": False}
    left, hung = sleep(5101), sleep(5102)
    configure(
        daemon,
        fails={**bad, "pre_start": script("echo no table; exit 3")},
        leaves={**bad, "pre_start": script(f"setsid {left} & {left} & exit 0")},
        hangs={**bad, "pre_start": script(f"trap '' TERM; {hung} & {hung}; wait; {hung}", timeout=0.3)},
        lacks={**bad, "pre_start": "no-such-command"},
        waits={**bad, "pre_start": script(f"trap 'exit 1' TERM; {hung} & wait", timeout=60), "stoptime": 60},
    ).start()
    answer = daemon.ctl("start", "fails")
    assert (answer.returncode, "pre_start: exit 3: no table (try 2 of 2)" in answer.stdout + answer.stderr) == (1, True)
    assert "no table" in daemon.ctl("show", "fails").stdout
    assert daemon.ctl("start", "leaves").returncode == 0
    assert "leaves pre_start left 2 processes behind; ending them: " in daemon.events()
    assert carrying(left.replace(" ", "\0")) == []
    assert daemon.ctl("start", "hangs").returncode == 1
    assert "pre_start: timed out after 0.3s (try 2 of 2)" in of(daemon, "hangs")["detail"]
    assert carrying(hung.replace(" ", "\0")) == []
    assert "cannot execute no-such-command" in (daemon.ctl("start", "lacks").stdout + of(daemon, "lacks")["detail"])
    daemon.ctl("start", "--no-wait", "waits")
    wait_until(lambda: carrying(hung.replace(" ", "\0")))
    assert "pre_start: running" in of(daemon, "waits")["detail"]
    assert (of(daemon, "waits")["phase"], of(daemon, "waits")["pid"]) == ("pre_start", None)
    assert daemon.ctl("stop", "waits").returncode == 0
    assert of(daemon, "waits")["state"] == "STOPPED"
    assert "waits pre_start timed out" not in daemon.events()
    assert "waits SIGKILL" not in daemon.events()
    assert carrying(hung.replace(" ", "\0")) == []


def test_running_comes_after_post_start_and_its_failure_stops_the_copy(daemon: Daemon) -> None:
    last = {**QUICK, "startretries": 0}
    configure(
        daemon,
        good={"cmd": "sleep 98", **last, "post_start": script(UNTIL_GO)},
        bad={"cmd": "sleep 97", **last, "post_start": script("exit 2")},
        slow={"cmd": "sleep 96", **last, "post_start": "sleep 95", "start_timeout": 0.3},
        ends={"cmd": f"sleep 0.2; {sleep(5111)} & exit 0", "shell": True, **last, "post_start": sleep(5112)},
    ).start()
    for name, said in (("bad", "post_start: exit 2"), ("slow", "post_start: timed out after 0.3s"), ("ends", "exit 0")):
        in_state(daemon, "FATAL", name)
        assert said in of(daemon, name)["detail"]
        assert of(daemon, name)["pid"] is None
    assert carrying(sleep(5111).replace(" ", "\0")) == carrying(sleep(5112).replace(" ", "\0")) == []
    assert (of(daemon, "good")["state"], of(daemon, "good")["phase"]) == ("STARTING", "post_start")
    (daemon.home / "go").touch()
    in_state(daemon, "RUNNING", "good")


@pytest.mark.sweep
def test_a_pre_stop_that_hangs_delays_the_stop_by_its_time_and_one_whose_leader_ends_by_nothing(daemon: Daemon) -> None:
    deaf, hook = sleep(5121), sleep(5122)
    deafly = {"cmd": f"trap '' TERM; {deaf}; {deaf}", "shell": True, **QUICK, "stoptime": 1}
    configure(
        daemon,
        deaf={**deafly, "pre_stop": script(f"trap '' TERM; {hook}; {hook}", timeout=1)},
        ends={
            "cmd": "sleep 95",
            **QUICK,
            "pre_stop": script(f"trap 'exit 1' TERM; kill $TASKMASTER_PID; {hook} & wait", timeout=60),
        },
        fails={"cmd": "sleep 94", **QUICK, "pre_stop": "false"},
    ).start()
    for name in ("deaf", "ends", "fails"):
        in_state(daemon, "RUNNING", name)
    wait_until(lambda: carrying(deaf.replace(" ", "\0")))
    assert daemon.ctl("stop", "ends").returncode == 0
    assert "ends pre_stop timed out" not in daemon.events()
    assert daemon.ctl("stop", "fails").returncode == 0
    assert "fails pre_stop failed: exit 1" in daemon.events()
    began = time.monotonic()
    assert daemon.ctl("stop", "deaf").returncode == 0
    assert time.monotonic() - began >= 2
    assert "deaf pre_stop timed out after 1s; ending it" in daemon.events()
    assert daemon.events().count("deaf SIGKILL sent") == 1
    assert carrying(deaf.replace(" ", "\0")) == carrying(hook.replace(" ", "\0")) == []


def test_stop_cmd_stops_a_program_and_the_signal_comes_only_where_it_fails(daemon: Daemon) -> None:
    traps = "trap 'echo TERM >> {0}; exit 0' TERM; trap 'echo USR1 >> {0}; exit 0' USR1; touch {0}.up; while :; do sleep 0.05; done"
    keys = {"shell": True, **QUICK, "stoptime": 15}
    configure(
        daemon,
        good={"cmd": traps.format("good"), **keys, "stop_cmd": script("kill -USR1 $TASKMASTER_PID")},
        bad={"cmd": traps.format("bad"), **keys, "stop_cmd": script("exit 1")},
        late={"cmd": traps.format("late"), **keys, "stop_cmd": script("sleep 94", timeout=0.2)},
        lazy={
            "cmd": "trap '' TERM; touch lazy.up; while :; do sleep 0.05; done",
            **keys,
            "stoptime": 0.5,
            "stop_cmd": "true",
        },
        leads={
            "cmd": f"{sleep(5131)} & {traps.format('leads')}",
            **keys,
            "stopasgroup": "leader",
            "pre_stop": script("echo pre_stop >> leads"),
            "stop_cmd": script("kill -USR1 $TASKMASTER_PID"),
            "post_stop": script("echo post_stop >> leads"),
        },
    ).start()
    for name in ("good", "bad", "late", "lazy", "leads"):
        in_state(daemon, "RUNNING", name)
        wait_until((daemon.home / f"{name}.up").exists)
    assert daemon.ctl("stop", "all").returncode == 0
    said = {name: (daemon.home / name).read_text().split() for name in ("good", "bad", "late", "leads")}
    assert said == {"good": ["USR1"], "bad": ["TERM"], "late": ["TERM"], "leads": ["pre_stop", "USR1", "post_stop"]}
    assert re.findall(r" (\w+) SIGKILL sent", daemon.events()) == ["lazy"]
    assert "bad stop_cmd failed: exit 1" in daemon.events()
    assert carrying(sleep(5131).replace(" ", "\0")) == [], "what the leader left is ended before post_stop"


def test_a_shutdown_that_has_to_be_quick_skips_hooks_and_says_so(daemon: Daemon) -> None:
    hook = sleep(5141)
    hooks = {"pre_stop": hook, "post_stop": script("echo post >> trace")}
    configure(daemon, web={"cmd": "sleep 93", **QUICK, **hooks}, slow={"cmd": "sleep 92", "pre_start": hook}).start()
    in_state(daemon, "RUNNING")
    wait_until(lambda: carrying(hook.replace(" ", "\0")))
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: "web running pre_stop" in daemon.events())
    daemon.signal(signal.SIGQUIT)
    wait_until(lambda: not daemon.alive)
    assert trace(daemon) == []
    assert "web it has to end at once: no pre_stop and no post_stop" in daemon.events()
    assert carrying(hook.replace(" ", "\0")) == []


def test_pre_restart_says_whether_a_restart_may_stop_what_runs(daemon: Daemon) -> None:
    check = "test $TASKMASTER_PID && echo $TASKMASTER_REASON >> trace; test ! -e broken || { echo bad line; exit 1; }"
    web = {"cmd": "sleep 85", **QUICK, "pre_restart": script(check)}
    deaf = sleep(5154)
    slow = {"cmd": "sleep 84", **QUICK, "pre_restart": script(f"trap '' TERM; {deaf}; {deaf}", timeout=0.3)}
    configure(daemon, web=web, slow=slow, other={"cmd": "sleep 82", **QUICK}).start()
    for name in ("web", "slow", "other"):
        in_state(daemon, "RUNNING", name)
    first = {name: each["pid"] for name, each in daemon.status().items()}
    (daemon.home / "broken").touch()
    answer = daemon.ctl("restart", "web")
    assert answer.returncode == 1
    assert "not restarted: pre_restart: exit 1: bad line" in answer.stderr
    changed = {"env": {"A": "1"}}
    configure(daemon, web={**web, **changed}, slow=slow, other={"cmd": "sleep 82.5", **QUICK})
    answer = daemon.ctl("reload")
    assert (answer.returncode, "not restarted: pre_restart: exit 1: bad line" in answer.stderr) == (1, True)
    assert of(daemon)["pid"] == first["web"]
    assert of(daemon)["outdated"]
    assert of(daemon, "other")["pid"] != first["other"], "a reload goes on with the others"
    answer = daemon.ctl("restart", "slow")
    assert (answer.returncode, "pre_restart: timed out after 0.3s" in answer.stderr) == (1, True)
    assert of(daemon, "slow")["pid"] == first["slow"]
    (daemon.home / "broken").unlink()
    assert daemon.ctl("restart", "web").returncode == 0
    assert of(daemon)["pid"] != first["web"]
    assert trace(daemon) == ["restart", "reload", "restart"]
    told = daemon.ctl("events", "--event", "refused").stdout.splitlines()
    assert [line.partition("refused")[2].strip() for line in told] == [
        *["not restarted: pre_restart: exit 1: bad line"] * 2,
        "not restarted: pre_restart: timed out after 0.3s",
    ]
    assert "refused: not restarted: pre_restart: timed out" in daemon.ctl("why", "slow").stdout
    assert not carrying(deaf.replace(" ", "\0"))


@pytest.mark.sweep
def test_an_unhealthy_program_is_not_restarted_while_pre_restart_refuses(daemon: Daemon) -> None:
    health = {"exec": "false", "interval": 0.1, "retries": 1, "start_period": 0.1}
    web = {"cmd": "sleep 81", **QUICK, "health": health, "pre_restart": script("test -e good")}
    configure(daemon, web=web).start()
    wait_until(
        lambda: "unhealthy" in of(daemon)["detail"] and "not restarted: pre_restart: exit 1" in of(daemon)["detail"]
    )
    first = of(daemon)["pid"]
    wait_until(lambda: daemon.events().count("web running pre_restart") >= 2)
    assert of(daemon)["pid"] == first
    (daemon.home / "good").touch()
    wait_until(lambda: of(daemon)["pid"] not in (None, first))


@pytest.mark.sweep
def test_an_upgrade_waits_for_a_pre_restart_and_what_it_has_allowed(daemon: Daemon) -> None:
    configure(daemon, web={"cmd": "sleep 80", **QUICK, "pre_restart": script(f"touch asked; {UNTIL_GO}")}).start()
    in_state(daemon, "RUNNING")
    first = of(daemon)["pid"]
    assert daemon.ctl("restart", "--no-wait", "web").returncode == 0
    wait_until((daemon.home / "asked").exists)
    upgraded: list[int] = []
    upgrade = threading.Thread(target=lambda: upgraded.append(daemon.ctl("upgrade").returncode))
    upgrade.start()
    wait_until(lambda: "upgrade: checking the installed code" in daemon.events())
    (daemon.home / "go").touch()
    upgrade.join()
    assert upgraded == [0]
    wait_until(lambda: of(daemon)["pid"] not in (None, first))
    events = daemon.events()
    assert events.index("web pre_restart done") < events.index("goes on after an upgrade")


# -- a daemon that goes meanwhile


@pytest.mark.sweep
def test_an_upgrade_goes_on_with_hooks_and_knows_how_they_end(daemon: Daemon) -> None:
    configure(
        daemon,
        starts={"cmd": "sleep 91", **QUICK, "pre_start": script(f"{UNTIL_GO}; echo pre_start >> trace")},
        fails={"cmd": "sleep 90", **QUICK, "startretries": 0, "pre_start": script(f"{UNTIL_GO}; exit 7")},
        stops={"cmd": "sleep 89", **QUICK, "pre_stop": script(f"{UNTIL_GO}; echo pre_stop >> trace")},
    ).start()
    in_state(daemon, "RUNNING", "stops")
    daemon.ctl("stop", "--no-wait", "stops")
    wait_until(lambda: all(each["phase"] for each in daemon.status().values()))
    assert daemon.ctl("upgrade").returncode == 0
    assert [each["phase"] for each in daemon.status().values()] == ["pre_start", "pre_start", "pre_stop"]
    (daemon.home / "go").touch()
    in_state(daemon, "RUNNING", "starts")
    in_state(daemon, "FATAL", "fails")
    in_state(daemon, "STOPPED", "stops")
    assert "pre_start: exit 7" in of(daemon, "fails")["detail"]
    assert sorted(trace(daemon)) == ["pre_start", "pre_stop"], "each ran once"
    assert "took over" not in daemon.events()


@pytest.mark.sweep
def test_a_hook_of_a_daemon_that_died_goes_on_and_where_its_end_is_unknown_that_is_no_failure(daemon: Daemon) -> None:
    once = f"echo $TASKMASTER_HOOK >> trace; {UNTIL_GO}"
    copy = sleep(5155)
    hooked = {"cmd": copy, **QUICK}
    configure(
        daemon,
        pre={**hooked, "pre_start": script(once)},
        post={**hooked, "post_start": script(once)},
        stop={**hooked, "pre_stop": script(once)},
        after={**hooked, "post_stop": script(once)},
    ).start()
    for name in ("stop", "after"):
        in_state(daemon, "RUNNING", name)
        daemon.ctl("stop", "--no-wait", name)
    wait_until(lambda: all(each["phase"] for each in daemon.status().values()))
    pids = {name: each["pid"] for name, each in daemon.status().items()}
    wait_until((daemon.home / "trace").exists)
    wait_until(lambda: len((daemon.home / "trace").read_text().split()) == 4)
    daemon.kill()
    daemon.start()
    phases = {"pre": "pre_start", "post": "post_start", "stop": "pre_stop", "after": "post_stop"}
    assert {name: each["phase"] for name, each in daemon.status().items()} == phases
    assert {name: each["pid"] for name, each in daemon.status().items()} == pids
    assert sorted(trace(daemon)) == sorted(phases.values()), "none was begun again while it ran"
    (daemon.home / "go").touch()
    for name, state in (("pre", "RUNNING"), ("post", "RUNNING"), ("stop", "STOPPED"), ("after", "STOPPED")):
        in_state(daemon, state, name)
    assert of(daemon, "post")["pid"] == pids["post"]
    assert set(trace(daemon)) <= {"pre_start"}, "only a start is prepared once more, where nobody knows how that ended"
    assert {each["restarts"] for each in daemon.status().values()} == {0}
    wait_until(lambda: all(carrying(copy.replace(" ", "\0"))))  # an exec is not over at once
    assert len(carrying(copy.replace(" ", "\0"))) == 2, "a hook was never taken for a copy"


@pytest.mark.sweep
def test_a_guardian_and_a_hook_that_kills_its_supervisor_lead_to_one_copy(daemon: Daemon) -> None:
    kill = f"test -e killed || {{ touch killed; kill -9 $PPID; {sleep(5151)}; }}"
    configure(daemon, web={"cmd": sleep(5152), **QUICK, "pre_start": script(kill, timeout=1)}).start("--guard")
    wait_until(lambda: daemon.events().count("info taskmasterd ") == 2)
    in_state(daemon, "RUNNING")
    assert resident(daemon)
    wait_until(lambda: carrying(sleep(5152).replace(" ", "\0")))  # its exec is not over at once
    assert len(carrying(sleep(5152).replace(" ", "\0"))) == 1
    assert carrying(sleep(5151).replace(" ", "\0")) == []


@pytest.mark.sweep
def test_a_hook_that_floods_its_log_and_forks_holds_up_nobody_and_leaves_nothing(daemon: Daemon) -> None:
    flood = sleep(5161)
    text = f"for each in 1 2 3 4 5 6 7 8 9; do setsid {flood} & done; exec yes $(head -c 2000 /dev/zero | tr '\\0' a)"
    limits = {"log_maxbytes": "1MB", "log_backups": 1, "startretries": 0}
    configure(daemon, web={"cmd": "sleep 86", **QUICK, **limits, "pre_start": script(text, timeout=4)}).start()
    answers, state = 0, ""
    while state != "FATAL":
        process = of(daemon)
        state = process["state"]
        answers += process["phase"] == "pre_start"
    assert answers > 5, "its time is 4 s, and nobody waits for it"
    assert "pre_start: timed out after 4s" in of(daemon)["detail"]
    assert carrying(flood.replace(" ", "\0")) == []
    assert sum(file.stat().st_size for file in (daemon.home / "log").glob("web*")) < 4_000_000


@pytest.mark.sweep
def test_a_pre_restart_of_a_daemon_that_died_is_ended_and_nothing_is_restarted(daemon: Daemon) -> None:
    configure(daemon, web={"cmd": "sleep 87", **QUICK, "pre_restart": sleep(5153)}).start()
    in_state(daemon, "RUNNING")
    first = of(daemon)["pid"]
    assert daemon.ctl("restart", "--no-wait", "web").returncode == 0
    wait_until(lambda: carrying(sleep(5153).replace(" ", "\0")))
    assert of(daemon)["detail"] == "pre_restart: running"
    daemon.kill()
    daemon.start()
    wait_until(lambda: not carrying(sleep(5153).replace(" ", "\0")))
    assert (of(daemon)["pid"], of(daemon)["detail"]) == (first, "")

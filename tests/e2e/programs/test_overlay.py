"""Disabling and scaling, as operators do it: what stays so, over which deaths of the daemon and which reloads, and who is told."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until
from tests.support.wire import ask

pytestmark = pytest.mark.slow

SLEEPER = "cmd: sleep 300, starttime: 0, stoptime: 2, stdout: 'null', stderr: 'null'"
WEB = f"  web: {{{SLEEPER}, autostart: false}}\n"
DB = f"  db: {{{SLEEPER}}}\n"
API = f"  api: {{{SLEEPER}, depends_on: db, autostart: false}}\n"
GROUPS = "groups: {all_of: [db, web]}\n"
FILE = f"programs:\n{DB}{API}{WEB}{GROUPS}"
REASON = "broken disk: 100 % full"


def said(daemon: Daemon, line: str) -> list[dict[str, Any]]:
    return [each for each in ask(daemon, line.encode()) if each["type"] not in ("hello", "ack")]


def outcomes(daemon: Daemon, line: str) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in said(daemon, line) if each["type"] == "result"}


def again(daemon: Daemon, *, kill: bool) -> None:
    if kill:
        daemon.kill()
    else:
        assert said(daemon, "shutdown")[-1]["exit"] == 0
        wait_until(lambda: not daemon.pidfile.exists(), within_s=20)
    daemon.start()
    daemon.wait_for("db", "STOPPED")


def test_what_is_disabled_stays_down_until_it_is_enabled(daemon: Daemon) -> None:
    daemon.write(FILE)
    daemon.start()
    daemon.wait_for("db", "RUNNING")
    done = daemon.ctl("disable", "--now", "--reason", REASON, "db")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "db disabled")
    detail = daemon.status()["db"]["detail"]
    assert detail.startswith("disabled by uid ")
    assert detail.endswith(f": {REASON}")
    assert said(daemon, "status")[-1]["exit"] == 0
    assert said(daemon, "reload --dry-run")[0]["changes"] is False

    for kill in (True, False):
        again(daemon, kill=kill)
        assert daemon.status()["db"]["detail"] == detail
        assert said(daemon, "reload")[-1]["exit"] == 0
        assert outcomes(daemon, "start all") == {"db": "skipped", "web": "started", "api": "blocked"}
        assert outcomes(daemon, "restart all_of")["db"] == "skipped"
        assert outcomes(daemon, "start d*") == {"db": "skipped"}
        blocked = next(each for each in said(daemon, "start api") if each["type"] == "result")
        assert blocked["reason"].startswith("needs db, which is disabled")
        assert daemon.state("db") == "STOPPED"
        assert said(daemon, "stop api web")[-1]["exit"] == 0
        daemon.wait_for("api", "STOPPED")

    once = said(daemon, "start db")
    assert once[-1]["exit"] == 0
    assert any("stays disabled" in each.get("text", "") for each in once)
    assert said(daemon, "stop db")[-1]["exit"] == 0
    again(daemon, kill=False)
    told = daemon.ctl("why", "db").stdout
    assert f"is {detail}" in re.sub(r"by \S+ \(uid (\d+)\)", r"by uid \1", told)
    assert "enable --now db" in told

    enabled = daemon.ctl("enable", "db")
    assert (enabled.returncode, enabled.stdout) == (0, "db enabled\n")
    assert daemon.state("db") == "STOPPED"
    assert said(daemon, "shutdown")[-1]["exit"] == 0
    wait_until(lambda: not daemon.pidfile.exists(), within_s=20)
    daemon.start()
    daemon.wait_for("db", "RUNNING")
    words = [line.split()[3] for line in daemon.ctl("events", "db").stdout.splitlines()]
    assert {"disabled", "enabled"} <= set(words)


@pytest.mark.sweep
def test_an_override_outlives_the_entry_of_its_program(daemon: Daemon) -> None:
    daemon.write(FILE)
    daemon.start()
    daemon.wait_for("db", "RUNNING")
    assert said(daemon, "disable --now --reason=disk%20full db")[-1]["exit"] == 0
    daemon.write(f"programs:\n{WEB}")
    assert said(daemon, "reload")[-1]["exit"] == 0
    listed = json.loads(daemon.ctl("--json", "overrides").stdout)["overrides"]
    assert [(each["name"], each["enabled"], each["stale"], each["reason"]) for each in listed] == [
        ("db", False, True, "disk full")
    ]
    assert "not in the configuration" in daemon.ctl("overrides").stdout
    assert daemon.ctl("disable", "--now", "db", "--reason", "still broken").returncode == 0
    assert [each["reason"] for each in json.loads(daemon.ctl("--json", "overrides").stdout)["overrides"]] == [
        "still broken"
    ]
    assert daemon.ctl("disable", "db").returncode == 0
    assert [each["reason"] for each in json.loads(daemon.ctl("--json", "overrides").stdout)["overrides"]] == [
        "still broken"
    ]
    daemon.write(FILE)
    plan = said(daemon, "reload")[0]
    assert {each["name"]: each["why"] for each in plan["programs"]}["db"] == "new; not started: it is disabled"
    assert daemon.state("db") == "STOPPED"
    daemon.write(f"programs:\n{WEB}")
    assert said(daemon, "reload")[-1]["exit"] == 0
    assert said(daemon, "enable db")[-1]["exit"] == 0
    assert said(daemon, "overrides")[:-1] == []
    assert said(daemon, "disable nowhere")[-1]["error"]["code"] == "unknown-name"
    assert said(daemon, "disable web:0")[-1]["error"]["code"] == "usage"


def test_the_key_enabled_touches_nothing_that_runs(daemon: Daemon) -> None:
    daemon.write(FILE)
    daemon.start()
    pid = daemon.wait_for("db", "RUNNING")["pid"]
    for value in ("false", "true"):
        daemon.write(FILE.replace(DB, DB.replace("}", f", enabled: {value}}}")))
        for line in ("reload --dry-run", "reload"):
            plan = next(each for each in said(daemon, line) if each["type"] == "plan")
            changed = [(each["name"], each["change"], each["keys"], each["why"]) for each in plan["programs"][:1]]
            assert changed == [("db", "updated", ["enabled"], "enabled applied without a restart")]
        assert daemon.status()["db"]["pid"] == pid
        assert daemon.status()["db"]["detail"] == ("disabled in the configuration" if value == "false" else "")
    assert said(daemon, "stop db")[-1]["exit"] == 0
    assert said(daemon, "enable db")[-1]["exit"] == 0
    assert said(daemon, "overrides")[:-1] == [], "the file has it enabled"


def web(daemon: Daemon) -> dict[str, int]:
    return {name: process["pid"] for name, process in daemon.status().items() if name.startswith("web")}


def scaled(daemon: Daemon) -> list[str]:
    return list(next(each for each in ask(daemon, b"status") if each["type"] == "daemon").get("scaled", []))


@pytest.mark.sweep
def test_a_scale_keeps_the_lowest_slots_and_lasts_until_the_file_changes_the_number(daemon: Daemon) -> None:
    def file(number: int, more: str = "") -> str:
        return f"programs:\n  web: {{{SLEEPER}, numprocs: {number}}}\n  job: {{cmd: 'true', type: oneshot}}\n{more}"

    daemon.write(file(2))
    daemon.start()
    daemon.wait_for("web:1", "RUNNING")
    before = web(daemon)
    done = daemon.ctl("scale", "web", "5")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "web scaled to 5 (file: 2)")
    five = web(daemon)
    assert len(five) == 5
    assert {name: five[name] for name in before} == before
    assert scaled(daemon)[0].startswith("web: scaled to 5 by uid ")
    assert said(daemon, "scale web -4")[-1]["exit"] == 0
    assert web(daemon) == {"web": before["web:0"]}

    daemon.write(file(2, DB))
    plan = said(daemon, "reload")[0]["programs"]
    assert [(each["change"], each["why"].partition(" by ")[0]) for each in plan if each["name"] == "web"] == [
        ("kept", "scaled to 1")
    ]
    daemon.kill()
    daemon.start()
    daemon.wait_for("db", "RUNNING")
    assert web(daemon) == {"web": before["web:0"]}
    assert said(daemon, "upgrade")[-1]["exit"] == 0
    assert web(daemon) == {"web": before["web:0"]}
    assert said(daemon, "reload --dry-run")[0]["changes"] is False

    daemon.write(file(3, DB))
    assert said(daemon, "reload")[-1]["exit"] == 0
    assert (len(web(daemon)), web(daemon)["web:0"], scaled(daemon)) == (3, before["web:0"], [])

    assert said(daemon, "scale web 0")[-1]["exit"] == 0
    assert web(daemon) == {}
    assert said(daemon, "scale web +1")[-1]["exit"] == 0
    assert len(web(daemon)) == 1
    for wrong, code in (
        ("scale job 2", "failed"),
        ("scale web -2", "failed"),
        ("scale web many", "usage"),
        ("scale wob 1", "unknown-name"),
    ):
        assert said(daemon, wrong)[-1]["error"]["code"] == code, wrong
    assert said(daemon, "scale web 1")[-1]["exit"] == 0
    assert said(daemon, "shutdown")[-1]["exit"] == 0
    wait_until(lambda: not daemon.pidfile.exists(), within_s=20)
    daemon.start()
    assert (len(web(daemon)), scaled(daemon)) == (3, [])


@pytest.mark.sweep
def test_overrides_that_cannot_be_read_are_said_by_the_check_the_event_log_and_each_status(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: sleep 300, starttime: 0, stoptime: 2}}")
    daemon.start()
    daemon.ctl("disable", "--now", "web")
    (path,) = (daemon.home / "overrides").glob("*.json")
    daemon.ctl("shutdown")
    path.write_text("{")
    checked = daemon.launch("-t")
    may_start = "programs that `disable` has disabled may be started"
    assert (checked.returncode, checked.stderr) == (
        0,
        f"{daemon.config}: warning: cannot read {path}: it makes no sense; {may_start}\n",
    )
    lost = f"the overrides in {path}.unusable could not be read"
    for times in (0, 1):  # the next daemon finds the file that this one has put aside
        daemon.start()
        assert lost in daemon.ctl("status").stderr
        assert daemon.events().count(lost) == times
        daemon.ctl("shutdown")
    assert lost in daemon.launch("-t").stderr
    os.unlink(f"{path}.unusable")
    daemon.start()
    assert "overrides" not in daemon.ctl("status").stderr + daemon.launch("-t").stderr


@pytest.mark.sweep
def test_no_scale_and_no_reload_gives_an_instance_an_address_without_a_port(daemon: Daemon) -> None:
    def file(probe: str) -> str:
        return f"programs:\n  web: {{{SLEEPER}, numprocs: 2, autostart: false, {probe}}}\n"

    number = "${TASKMASTER_INSTANCE}"
    for probe, place in (
        (f"ready: {{tcp: '808{number}'}}", 'ready: "80810" is no port'),
        (f"health: {{http: 'http://127.0.0.1:808{number}/'}}", 'health: "80810" is no port'),
        (f"sockets: {{a: '127.0.0.1:4408{number}'}}", 'sockets.a: "440810" is no port'),
    ):
        daemon.write(file(probe))
        if not daemon.pidfile.exists():
            daemon.start()
        assert said(daemon, "reload")[-1]["exit"] == 0
        done = daemon.ctl("scale", "--no-wait", "web", "11")
        assert (done.returncode, len(daemon.status())) == (1, 2)
        assert f"web: {place} for instance 10; it stays as it is" in done.stderr
        assert daemon.ctl("scale", "--no-wait", "web", "10").returncode == 0
        assert said(daemon, "scale web file")[-1]["exit"] == 0

    daemon.write(file("startretries: 1"))
    assert said(daemon, "reload")[-1]["exit"] == 0
    assert said(daemon, "scale web 11")[-1]["exit"] == 0
    daemon.write(file(f"ready: {{tcp: '808{number}'}}"))
    done = daemon.ctl("reload")
    assert (done.returncode, len(daemon.status())) == (1, 11)
    assert 'web: ready: "80810" is no port for instance 10; it stays as it is' in done.stdout + done.stderr

"""Groups and dependencies as the two commands show them: targets, the check, reloads, the effective file."""

from __future__ import annotations

import json

import pytest

from tests.support.daemon import Daemon
from tests.support.talk import Talk
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

SLEEPER = "cmd: sleep 300, starttime: 0, stdout: 'null', stderr: 'null'"
PROGRAMS = f"""\
programs:
  web: {{{SLEEPER}, autostart: false}}
  worker-1: {{{SLEEPER}, numprocs: 2, autostart: false}}
  worker-2: {{{SLEEPER}, autostart: false}}
  db: {{{SLEEPER}, autostart: false}}
"""
GROUPS = "groups:\n  back: [db, workers]\n  workers: ['worker-*']\n  none: []\n"
CIRCLE = f"""\
programs:
  web: {{{SLEEPER}, depends_on: [api]}}
  api: {{{SLEEPER}, depends_on: back}}
  db: {{{SLEEPER}, depends_on: {{web: started}}}}
groups:
  back: [db]
"""


def up(daemon: Daemon) -> set[str]:
    return {name for name, process in daemon.status().items() if process["state"] == "RUNNING"}


def test_a_group_is_a_target_of_each_command(daemon: Daemon) -> None:
    daemon.write(PROGRAMS + GROUPS)
    daemon.start()
    workers = {"worker-1:0", "worker-1:1", "worker-2"}
    assert daemon.ctl("start", "back").returncode == 0
    assert up(daemon) == {*workers, "db"}
    rows = json.loads(daemon.ctl("status", "workers", "--json").stdout)
    assert {row["name"] for row in rows["processes"]} == workers
    assert rows["daemon"]["groups"] == {
        "back": ["worker-1", "worker-2", "db"],
        "workers": ["worker-1", "worker-2"],
        "none": [],
    }
    assert daemon.ctl("pid", "workers").stdout.count("\n") == 3
    assert "db" in daemon.ctl("show", "back").stdout
    assert daemon.ctl("signal", "CONT", "back").returncode == 0
    log = daemon.ctl("logs", "--daemon", "workers").stdout
    assert "worker-2 started" in log
    assert "db started" not in log
    assert daemon.ctl("logs", "--daemon", "none").stdout == ""
    assert daemon.ctl("stop", "workers").returncode == 0
    assert up(daemon) == {"db"}
    missed = daemon.ctl("stop", "wokers")
    assert missed.returncode != 0
    assert "did you mean workers?" in missed.stderr
    assert "workers\tgroup of 2" in daemon.ctl("_complete", "programs").stdout.splitlines()


def test_a_reload_of_groups_alone_is_applied_and_touches_no_process(daemon: Daemon) -> None:
    daemon.write(PROGRAMS + GROUPS)
    daemon.start()
    daemon.ctl("start", "web")
    pid = daemon.status()["web"]["pid"]
    daemon.write(f"{PROGRAMS}groups: {{front: [web]}}\n")
    done = daemon.ctl("reload")
    assert done.returncode == 0
    assert "groups changed" in done.stdout
    assert daemon.status()["web"]["pid"] == pid
    assert daemon.ctl("pid", "front").stdout == f"{pid}\n"
    assert daemon.ctl("pid", "back").returncode != 0
    daemon.kill()
    daemon.start()
    wait_until(lambda: daemon.ctl("pid", "front").stdout == f"{pid}\n")


@pytest.mark.sweep
def test_a_subscription_to_a_group_follows_its_programs_through_a_reload_and_an_upgrade(daemon: Daemon) -> None:
    daemon.write(f"{PROGRAMS}groups: {{front: [web]}}\n")
    daemon.start()
    with Talk(daemon, "subscribe front") as some, Talk(daemon) as operator:
        assert [each["name"] for each in some.until("processes")[-1]["processes"]] == ["web"]
        daemon.write(f"{PROGRAMS}groups: {{front: [db]}}\n")
        assert operator.ask("reload")[-1]["exit"] == 0
        assert [each["name"] for each in some.until("processes")[-1]["processes"]] == ["db"]
        assert operator.ask("upgrade")[-1]["exit"] == 0
        assert operator.ask("start web")[-1]["exit"] == 0
        assert operator.ask("start front")[-1]["exit"] == 0
        assert some.until("change")[-1]["name"] == "db"


@pytest.mark.sweep
def test_the_check_and_a_reload_show_a_circle_through_a_group_and_change_nothing(daemon: Daemon) -> None:
    daemon.write(PROGRAMS)
    daemon.start()
    daemon.ctl("start", "all")
    before = {name: process["pid"] for name, process in daemon.status().items()}
    daemon.write(CIRCLE)
    checked, reloaded = daemon.launch("-t"), daemon.ctl("reload")
    assert (checked.returncode, reloaded.returncode) == (6, 6)
    for text in (checked.stderr, reloaded.stderr + reloaded.stdout):
        assert "programs.web.depends_on: a circle: web → api → db → web" in text
        for line, edge in ((2, "web depends on api"), (3, "api depends on db (back)"), (4, "db depends on web")):
            assert f"{daemon.config}:{line}: {edge}" in text
    assert {name: process["pid"] for name, process in daemon.status().items()} == before


def test_an_unknown_name_in_the_check_says_what_was_meant(daemon: Daemon) -> None:
    daemon.write(f"{PROGRAMS}  api: {{{SLEEPER}, depends_on: [dbb]}}\n")
    checked = daemon.launch("-t")
    assert checked.returncode == 6
    assert 'api.depends_on: there is no program or group "dbb"; did you mean db?' in checked.stderr


@pytest.mark.sweep
def test_the_effective_file_and_show_have_dependencies_as_one_writes_them(daemon: Daemon) -> None:
    daemon.write(f"{PROGRAMS}  api: {{{SLEEPER}, depends_on: {{back: {{required: false}}, web: started}}}}\n{GROUPS}")
    effective = daemon.launch("-T").stdout
    written = "{back: {required: false}, web: started}"
    assert f"    depends_on: {written}" in effective.splitlines()
    assert "    # which depends on: worker-1, worker-2, db, web" in effective.splitlines()
    daemon.start()
    shown = [line.split(maxsplit=1) for line in daemon.ctl("show", "api").stdout.splitlines()]
    assert ["depends_on", written] in shown
    daemon.write(effective)
    assert "groups changed" not in daemon.ctl("reload", "--dry-run").stdout

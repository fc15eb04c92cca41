"""Each example of docs/programs/orchestration.md runs as it stands, and does what the page says."""

from __future__ import annotations

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

PAGE = (ROOT / "docs" / "programs" / "orchestration.md").read_text()
EXAMPLES = {
    section.splitlines()[0]: section.partition("```yaml\n")[2].partition("```")[0]
    for section in PAGE.split("\n## ")[1:]
}
FIRST = "A database before a web application"
CONTAINER = "A container that lives as long as its main program"


def test_the_page_has_eight_examples() -> None:
    assert len(EXAMPLES) == 8
    assert all(EXAMPLES.values())


@pytest.mark.parametrize("title", [FIRST, *in_the_sweep(*sorted(EXAMPLES.keys() - {CONTAINER, FIRST}))])
def test_everything_in_an_example_comes_up(daemon: Daemon, title: str) -> None:
    daemon.write(EXAMPLES[title])
    daemon.start()
    done = daemon.ctl("wait", "all")
    assert done.returncode == 0, done.stderr
    assert daemon.ctl("status").returncode == 0


@pytest.mark.sweep
def test_workers_go_down_with_their_broker_and_come_back_with_it(daemon: Daemon) -> None:
    daemon.write(EXAMPLES["A pool of workers behind a broker"])
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    before = daemon.status()["worker-mail:0"]["pid"]
    assert daemon.ctl("restart", "broker").returncode == 0
    wait_until(lambda: daemon.status()["worker-mail:0"]["pid"] not in (None, before))
    assert daemon.ctl("wait", "pool").returncode == 0
    assert daemon.status()["worker-mail:0"]["restarts"] == 0


@pytest.mark.sweep
def test_a_broken_version_gets_no_further_than_the_first_worker(daemon: Daemon) -> None:
    text = EXAMPLES["A pool of workers that is updated one after the other"]
    daemon.write(text)
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    before = [each["pid"] for each in daemon.status().values()]
    daemon.write(text.replace("exec sleep 1000", "exit 1"))
    done = daemon.ctl("reload")
    assert done.returncode == 1
    assert "rolled back worker:0; not touched worker:1 worker:2 worker:3" in done.stderr
    assert [each["pid"] for each in daemon.status().values()][1:] == before[1:]
    assert [each["state"] for each in daemon.status().values()] == ["RUNNING"] * 4


@pytest.mark.sweep
def test_a_worker_that_hangs_is_restarted_alone(daemon: Daemon) -> None:
    daemon.write(EXAMPLES["Web workers that are restarted when they hang"])
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    before = {name: each["pid"] for name, each in daemon.status().items()}
    (daemon.home / "hangs.1").touch()
    wait_until(lambda: daemon.status()["web:1"]["restarts"])  # more than one where this looks late
    (daemon.home / "hangs.1").unlink()
    assert daemon.ctl("wait", "all").returncode == 0
    assert daemon.ctl("health", "web").returncode == 0
    after = {name: each["pid"] for name, each in daemon.status().items()}
    assert [name for name in before if before[name] != after[name]] == ["web:1"]


@pytest.mark.sweep
def test_a_server_with_a_broken_configuration_is_not_restarted(daemon: Daemon) -> None:
    daemon.write(EXAMPLES["A web server that is restarted only if its configuration is good"])
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    before = daemon.status()["web"]["pid"]
    (daemon.home / "broken").touch()
    done = daemon.ctl("restart", "web")
    assert (done.returncode, "not restarted: pre_restart: exit 1" in done.stderr) == (1, True)
    assert daemon.status()["web"]["pid"] == before
    (daemon.home / "broken").unlink()
    assert daemon.ctl("restart", "web").returncode == 0
    assert daemon.status()["web"]["pid"] != before


@pytest.mark.sweep
def test_a_container_exits_with_the_code_of_its_main_program(daemon: Daemon) -> None:
    daemon.write(EXAMPLES[CONTAINER])
    with (daemon.home / "stderr").open("w") as stderr:  # it may have ended before anybody could ask it
        daemon.foreground = daemon.begin("-n", stdout=stderr.fileno(), stderr=stderr.fileno())
    assert daemon.foreground.wait(30) == 3
    assert "exiting 3: main (essential) exited 3" in daemon.events()

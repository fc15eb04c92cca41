"""Alerts over the lives of daemons: kills, orderly stops, upgrades, reloads; and what costs nothing without a rule."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.support.alerts import SLEEPER, act, bugs, configured, crash, error, telling, waiting, words
from tests.support.daemon import ROOT, Daemon, process_exists
from tests.support.guarded import kill_daemon
from tests.support.receivers import HOST, free_port, server_that, web_server
from tests.support.wait import wait_until
from tests.support.wire import ask

PAGE = (ROOT / "docs" / "programs" / "alerts.md").read_text()
EXAMPLES = {
    section.splitlines()[0]: section.partition("```yaml\n")[2].partition("```")[0]
    for section in PAGE.split("\n## ")[1:]
}


@pytest.mark.sweep
def test_what_waits_outlives_daemons_and_arrives_in_order_with_the_same_ids(daemon: Daemon) -> None:
    with free_port() as port:
        url = f"http://{HOST}:{port}/SECRET"
        daemon.write(configured({"page": {"http": {"url": url}, "batch": 0, "events": ["exited", "running"]}}))
        daemon.start()
        crash(daemon)
        wait_until(lambda: waiting(daemon, "page") == 2 and error(daemon, "page"))
        daemon.kill()
        daemon.start()
        assert waiting(daemon, "page") == 2
        act(daemon, "start web")
        act(daemon, "shutdown")
        wait_until(lambda: not daemon.alive)
        assert "SECRET" not in "".join(
            path.read_text() for path in (daemon.home / "alerts").rglob("*") if path.is_file()
        )
        daemon.start()
        daemon.wait_for("web", "RUNNING")
        with web_server(port=port) as web:
            wait_until(lambda: ask(daemon, b"alert flush page")[-1]["exit"] == 0)  # a try on its way may fail first
            wait_until(lambda: waiting(daemon, "page") == 0)
            bodies = [json.loads(request.body) for request in web.requests]
        found = [event["event"] for body in bodies for event in body["events"]]
        assert found == ["running", "exited", "running", "exited", "running"]
        ids = [body["id"] for body in bodies]
        assert ids == sorted(set(ids))
        wait_until(lambda: not list((daemon.home / "alerts").rglob("page")))


@pytest.mark.sweep
def test_a_guardian_s_next_daemon_learns_a_url_and_a_reload_of_the_same_file_changes_nothing(daemon: Daemon) -> None:
    daemon.write(configured({"page": {"http": {"url": f"http://{HOST}:1/SECRET"}}}))
    daemon.start("--guard")
    kill_daemon(daemon)
    wait_until(lambda: daemon.ctl("pid").returncode == 0)
    wait_until(lambda: daemon.ctl("reload", "--dry-run", "--exit-code").returncode == 0)
    daemon.write(configured({"page": {"http": {"url": f"http://{HOST}:2/SECRET"}}}))
    done = daemon.ctl("reload", "--dry-run", "--exit-code")
    assert (done.returncode != 0, "alert page: http" in done.stdout) == (True, True), done.stdout


@pytest.mark.sweep
def test_a_recovery_is_sent_once_by_a_later_daemon(daemon: Daemon) -> None:
    rules = {"page": telling(events=["fatal", "recovered"], targets=["web"])}
    daemon.write(configured(rules, web={"cmd": "false", "startretries": 0}))
    daemon.start()
    wait_until(lambda: words(daemon) == ["fatal"] and waiting(daemon, "page") == 0)
    daemon.kill()
    daemon.write(configured(rules))
    daemon.start()
    wait_until(lambda: words(daemon) == ["fatal", "recovered"] and waiting(daemon, "page") == 0)
    daemon.kill()
    daemon.start()
    daemon.wait_for("web", "RUNNING")
    act(daemon, "shutdown")
    assert words(daemon) == ["fatal", "recovered"]


def helpers(daemon: Daemon) -> list[int]:
    """Return the pids of the daemon's helpers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words_ = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            ours = b"\0--alert\0" in words_ and f"HOME={daemon.home}\0".encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        found += [int(entry.name)] if ours else []
    return found


@pytest.mark.sweep
def test_a_helper_that_outlives_its_daemon_is_waited_for(daemon: Daemon) -> None:
    def hold(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with server_that(hold) as port:
        daemon.write(configured({"page": {"http": {"url": f"http://{HOST}:{port}/"}, "batch": 0, "timeout": 8}}))
        daemon.start()
        crash(daemon)
        wait_until(lambda: len(helpers(daemon)) == 1)
        (helper,) = helpers(daemon)
        assert b"TASKMASTER_ROLE=alert" in Path(f"/proc/{helper}/environ").read_bytes()
        daemon.kill()
        daemon.start()
        together: list[list[int]] = []

        def another() -> bool:
            together.append(helpers(daemon))
            return together[-1] not in ([], [helper])

        wait_until(another, within_s=60)
        assert not process_exists(helper)
        assert max(map(len, together)) == 1
        assert waiting(daemon, "page") >= 1


@pytest.mark.sweep
def test_rules_follow_a_reload_and_an_upgrade(daemon: Daemon) -> None:
    daemon.write(json.dumps({"programs": {"web": SLEEPER}}))
    daemon.start()
    assert daemon.ctl("alert").stdout == "no alert rule\n"
    assert not (daemon.home / "alerts").exists()
    daemon.write(configured({"page": {"http": {"url": f"http://{HOST}:1/SECRET"}, "batch": 0}, "file": telling()}))
    assert "alert page: new\nalert file: new\n" in daemon.ctl("reload", "--dry-run").stdout
    act(daemon, "reload")
    crash(daemon)
    wait_until(lambda: words(daemon) == ["exited"] and error(daemon, "page") == "connection refused")
    done = daemon.ctl("upgrade", within_s=60)
    assert done.returncode == 0, done.stderr
    act(daemon, "start web")
    wait_until(lambda: words(daemon) == ["exited", "recovered"])
    wait_until(lambda: waiting(daemon, "page") == 2 and error(daemon, "page") == "connection refused")
    daemon.write(configured({"file": {**telling(), "for": 60}}))
    assert "alert page: removed\nalert file: for\n" in daemon.ctl("reload").stdout
    wait_until(lambda: "alert page is removed; 2 events that waited are dropped" in daemon.events())
    wait_until(lambda: not list((daemon.home / "alerts").rglob("page*")))
    act(daemon, "shutdown")
    assert bugs(daemon) == []


@pytest.mark.sweep
def test_the_examples_of_the_page_are_right_and_the_last_two_run(daemon: Daemon) -> None:
    for text in PAGE.split("```yaml\n")[1:]:
        daemon.write(text.partition("```")[0])
        done = daemon.launch("-t")
        assert done.returncode == 0, done.stderr
    balancer, file = (
        EXAMPLES["A balancer that knows which instances run"],
        EXAMPLES["Trouble in a file, one line of JSON each"],
    )
    daemon.write(balancer)
    daemon.start()
    written = daemon.home / "balancer.txt"
    wait_until(
        lambda: written.exists() and sorted(written.read_text().splitlines()) == ["web:0 running", "web:1 running"]
    )
    daemon.write(file)
    act(daemon, "reload")
    crash(daemon)
    wait_until(lambda: words(daemon, "trouble.jsonl") == ["exited"])

"""What clients notice of crashes, restarts, reloads and the deaths of daemons: nothing."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.guarded import at_rest, config, kill_daemon, sleeps_of, stopped
from tests.support.keeper import keeper_of, keepers, kill_keeper
from tests.support.listening import (
    LISTENS,
    Clients,
    ask_at,
    is_open,
    listens,
    occupied,
    own_host,
    queue_of,
    said,
    wait_until_closed,
)
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
CRASHES = [pytest.param(3, id="a few crashes"), pytest.param(20, id="20 crashes", marks=pytest.mark.sweep)]


@pytest.mark.sweep
@pytest.mark.parametrize("crashes", CRASHES)
def test_no_client_is_refused_or_reset_through_all_that_can_happen(daemon: Daemon, crashes: int) -> None:
    host = own_host()
    ever: dict[str, Any] = {"autorestart": "always", "restart_burst": 0}
    web = listens(f"crash={crashes}", sockets={"http": f"{host}:8000"}, **ever)
    file = listens(numprocs=2, sockets={"file": "./web.sock"}, **ever)
    aged = listens(sockets={"http": f"{host}:8001"}, recycle={"age": 1})
    daemon.write(config(web=web, file=file, aged=aged))
    daemon.start("--guard")
    clients, others, more = Clients((host, 8000)), Clients(str(daemon.home / "web.sock")), Clients((host, 8001))
    clients.more(crashes * 3)
    assert daemon.status()["web"]["restarts"] >= 2
    assert daemon.ctl("restart", "all").returncode == 0
    daemon.write(config(web={**web, "stoptime": 5}, file={**file, "env": {"A": "1"}}, aged=aged))
    assert daemon.ctl("reload").returncode == 0
    keeper = keeper_of(daemon)
    assert daemon.ctl("upgrade").returncode == 0
    others.more()
    kill_daemon(daemon)
    wait_until(lambda: "took over" in daemon.events())
    assert daemon.ctl("restart", "all").returncode == 0
    assert keepers(daemon) == [keeper]
    kill_keeper(daemon)
    wait_until(lambda: keepers(daemon) not in ([], [keeper]))
    kill_daemon(daemon)
    clients.more()
    assert daemon.ctl("restart", "file").returncode == 0
    others.more()
    wait_until(lambda: "recycled: age" in daemon.events())
    assert set(clients.end()) == set(others.end()) == set(more.end()) == {"served"}
    assert daemon.status()["web"]["sockets"][0]["state"] == "listening"
    assert daemon.ctl("shutdown").returncode == 0
    wait_until_closed((host, 8000))
    assert not (daemon.home / "web.sock").exists()


def test_a_daemon_that_an_operator_starts_goes_on_with_the_sockets_of_a_killed_one(daemon: Daemon) -> None:
    host = own_host()
    one = {"one": listens(sockets={"http": f"{host}:8000", "file": "./web.sock"})}
    daemon.write(config(**one, two=listens(sockets={"http": f"{host}:8001"})))
    daemon.start()
    pid, other = (daemon.wait_for(name, "RUNNING")["pid"] for name in ("one", "two"))
    inode = (daemon.home / "web.sock").stat().st_ino
    os.kill(other, signal.SIGSTOP)
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    assert is_open((host, 8000))  # nobody is there but the keeper
    daemon.write(config(**one))
    daemon.start()
    assert ask_at((host, 8000)) == daemon.wait_for("one", "RUNNING")["pid"] != pid
    assert (daemon.home / "web.sock").stat().st_ino == inode
    wait_until_closed((host, 8001))  # of a program that the file has no more


@pytest.mark.sweep
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="takes a descriptor out of another process")
def test_without_a_keeper_a_socket_comes_back_from_the_instance_that_has_it(daemon: Daemon) -> None:
    host = own_host()
    daemon.write(config(web=listens(sockets={"file": "./web.sock", "http": f"{host}:8000"})))
    daemon.start()
    assert said(daemon, "web")["sockets"] == [3, 4]
    pid, inode = daemon.status()["web"]["pid"], (daemon.home / "web.sock").stat().st_ino
    keeper_of(daemon)
    with stopped(daemon.pid):
        kill_keeper(daemon)
        daemon.kill()
    daemon.start()
    clients = Clients(str(daemon.home / "web.sock"))
    assert {each["state"] for each in daemon.status()["web"]["sockets"]} == {"listening"}
    assert daemon.ctl("restart", "web").returncode == 0
    clients.more()
    assert set(clients.end()) == {"served"}
    assert daemon.status()["web"]["pid"] != pid
    assert (daemon.home / "web.sock").stat().st_ino == inode


@pytest.mark.sweep
def test_what_cannot_be_taken_back_is_bound_anew_when_its_holder_has_ended(daemon: Daemon) -> None:
    host = own_host()
    script = f"{LISTENS} & exec sleep 300 3<&-"  # the leader gives it away
    daemon.write(config(web={"cmd": script, "shell": True, "starttime": 0, "sockets": {"http": f"{host}:8000"}}))
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    server = ask_at((host, 8000))
    keeper_of(daemon)
    with stopped(daemon.pid):
        kill_keeper(daemon)
        daemon.kill()
    daemon.start()
    assert daemon.status()["web"]["sockets"][0]["state"] == f"held by pid {pid} alone"
    assert f"socket http is held by pid {pid} alone; bound again when that has ended" in daemon.events()
    assert ask_at((host, 8000)) == server
    assert daemon.ctl("restart", "web").returncode == 0
    assert daemon.status()["web"]["sockets"][0]["state"] == "listening"
    assert ask_at((host, 8000)) != server


@pytest.mark.sweep
def test_a_reload_to_another_address_opens_it_first_and_to_a_taken_one_changes_nothing(daemon: Daemon) -> None:
    host = own_host()
    other = {"cmd": "sleep 300", "starttime": 0}
    daemon.write(
        config(
            web=listens(sockets={"http": f"{host}:8000"}),
            other=other,
            taken=listens(sockets={"a": "@" + str(daemon.home)}),
        )
    )
    daemon.start()
    pids = {name: process["pid"] for name, process in daemon.status().items()}
    taken = listens(numprocs=1, sockets={"a": f"{host}:8001"})
    daemon.write(
        config(
            web=listens(sockets={"http": f"{host}:8001", "new": "./web.sock"}),
            other={**other, "umask": "077"},
            taken=taken,
        )
    )
    done = daemon.ctl("reload")  # both want the address, with the same options: one socket
    assert (done.returncode, done.stderr) == (0, "")
    wait_until_closed((host, 8000))
    assert {ask_at((host, 8001)) for _ in range(20)} <= {daemon.status()[name]["pid"] for name in ("web", "taken")}
    pids = {name: process["pid"] for name, process in daemon.status().items()}
    with occupied((host, 8002)):
        daemon.write(
            config(web=listens(sockets={"new": "./new.sock", "http": f"{host}:8002"}), other=other, taken=taken)
        )
        done = daemon.ctl("reload")
        assert done.returncode == 1
        assert f"web: socket http: {host}:8002: address in use; it stays as it is" in done.stderr
        now = {name: process["pid"] for name, process in daemon.status().items()}
        assert (now["web"], now["taken"]) == (pids["web"], pids["taken"])
        assert now["other"] != pids["other"]
        assert is_open(str(daemon.home / "web.sock"))
        assert not (daemon.home / "new.sock").exists()
        assert daemon.status()["web"]["outdated"] is True
        assert daemon.status()["web"]["detail"] == "outdated (sockets)"
    clients = Clients((host, 8002))
    daemon.write(config(web=listens(sockets={"http": f"{host}:8002"}), other=other, taken=taken))
    assert daemon.ctl("reload").returncode == 0
    clients.more()
    clients.end()
    assert not (daemon.home / "web.sock").exists()


@pytest.mark.sweep
def test_an_address_that_is_taken_stops_nothing_when_the_daemon_is_killed_or_somebody_restarts(daemon: Daemon) -> None:
    host = own_host()
    old, new = (config(web=listens(sockets={"http": f"{host}:{port}"})) for port in (8000, 8002))
    daemon.write(old)
    daemon.start()
    pid = ask_at((host, 8000))
    with occupied((host, 8002)):
        daemon.write(new)
        assert daemon.ctl("reload").returncode == 1
        daemon.kill()
        daemon.start()
        assert ask_at((host, 8000)) == pid == daemon.status()["web"]["pid"]
        assert daemon.status()["web"]["detail"] == "outdated (sockets)"
        assert f"web: socket http: {host}:8002: address in use; it stays as it is" in daemon.events()
        assert "alone" not in daemon.events()
        done = daemon.ctl("restart", "--outdated", "web")
        assert done.returncode == 1
        assert "address in use" in done.stdout + done.stderr
        assert ask_at((host, 8000)) == pid
        done = daemon.ctl("restart", "web")
        assert (done.returncode, "goes on with its old sockets" in done.stderr) == (0, True)
        now = ask_at((host, 8000))
        assert now == daemon.status()["web"]["pid"] != pid
        assert daemon.status()["web"]["outdated"] is True
        os.kill(now, signal.SIGKILL)
        assert ask_at((host, 8000)) == daemon.wait_for("web", "RUNNING")["pid"] != now
        daemon.write(old)
        assert daemon.ctl("reload").returncode == 0
        assert daemon.status()["web"]["outdated"] is False
        daemon.write(new)
        assert daemon.ctl("reload").returncode == 1
    assert daemon.ctl("restart", "--outdated", "web").returncode == 0
    assert ask_at((host, 8002)) == daemon.status()["web"]["pid"]
    wait_until_closed((host, 8000))
    assert daemon.status()["web"]["outdated"] is False


@pytest.mark.sweep
def test_a_reload_changes_queue_and_mode_at_once(daemon: Daemon) -> None:
    http = {"listen": f"{own_host()}:8000"}
    daemon.write(config(web=listens(sockets={"http": http, "file": "./web.sock"})))
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    daemon.write(
        config(web=listens(sockets={"http": {**http, "backlog": 7}, "file": {"listen": "./web.sock", "mode": "0600"}}))
    )
    plan = daemon.ctl("reload", "--dry-run")
    assert "sockets applied without a restart" in plan.stdout
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] == pid
    assert (daemon.home / "web.sock").stat().st_mode & 0o777 == 0o600
    assert queue_of(own_host(), 8000) == 7
    daemon.write(config(web=listens(sockets={"file": {"listen": "./web.sock", "mode": "0600"}})))
    assert "sockets cannot change while it runs" in daemon.ctl("reload", "--dry-run").stdout
    sleepers = (daemon.pid, keeper_of(daemon))
    before = [at_rest(each) for each in sleepers]
    with pytest.raises(AssertionError):
        wait_until(
            lambda: [sleeps_of(each) for each in sleepers] != before, within_s=1.0
        )  # an open socket wakes nobody

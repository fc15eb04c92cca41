"""A daemon is the same one however the path of its file, socket or directory is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.variants import in_the_sweep

pytestmark = pytest.mark.slow

FILE = "taskmasterd: {socket: run/s.sock}\nprograms: {web: {cmd: sleep 300, starttime: 0}}\n"


@pytest.fixture
def deployed(daemon: Daemon) -> Daemon:
    """A daemon that was started by a link `current` to the release 7, and killed."""
    (daemon.home / "releases/7/run").mkdir(parents=True)
    (daemon.home / "releases/7/tm.yaml").write_text(FILE)
    (daemon.home / "current").symlink_to("releases/7")
    _start_by(daemon, daemon.home / "current/tm.yaml")
    return daemon


def _start_by(daemon: Daemon, config: Path | str) -> int:
    """Start it by this path of its configuration; returns the pid of its program."""
    directory = Path(os.path.realpath(daemon.home / os.path.dirname(config))) / "run"
    daemon.config, daemon.socket, daemon.pidfile = Path(config), directory / "s.sock", directory / "s.sock.pid"
    done = daemon.run("taskmasterd", "-c", str(config))  # as it is written: a Path has no `//` and no `./`
    assert done.returncode == 0, done.stderr
    pid: int = daemon.wait_for("web", "RUNNING")["pid"]
    return pid


@pytest.mark.parametrize(
    "path",
    ["current/tm.yaml", *in_the_sweep("releases//8/../7/./tm.yaml", "releases/7/tm.yaml", "/releases/7/tm.yaml")],
)
def test_a_daemon_that_is_started_by_another_path_of_its_file_takes_over(deployed: Daemon, path: str) -> None:
    (deployed.home / "releases/8").mkdir()
    before = deployed.status()["web"]["pid"]
    deployed.kill()
    assert _start_by(deployed, f"{deployed.home}{path}" if path.startswith("/") else path) == before
    assert deployed.ctl("-s", str(deployed.socket), "shutdown").returncode == 0
    assert list(deployed.home.glob("*.state")) == []


@pytest.mark.sweep
def test_a_daemon_that_is_started_by_a_link_that_leads_to_another_release_by_now_takes_over(deployed: Daemon) -> None:
    before = deployed.status()["web"]["pid"]
    shutil.copytree(
        deployed.home / "releases/7", deployed.home / "releases/8", ignore=shutil.ignore_patterns("*.sock*")
    )
    (deployed.home / "new").symlink_to("releases/8")
    (deployed.home / "new").rename(deployed.home / "current")
    for section in ("socket: run/s.sock", f"socket: run/s.sock, log_dir: {deployed.home}, logfile: own.log"):
        (deployed.home / "current/tm.yaml").write_text(FILE.replace("socket: run/s.sock", section))
        refused = deployed.launch()
        assert refused.returncode == 1
        assert f"another daemon (pid {deployed.pid}" in refused.stderr
        assert str(deployed.socket) in refused.stderr
    (deployed.home / "current/tm.yaml").write_text(FILE)
    deployed.kill()
    assert _start_by(deployed, deployed.home / "current/tm.yaml") == before
    assert len(list(deployed.home.glob("*.state"))) == 1
    assert deployed.ctl("-s", str(deployed.socket), "shutdown").returncode == 0


@pytest.mark.sweep
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_daemon_that_is_started_by_a_bind_mount_of_its_directory_takes_over(deployed: Daemon) -> None:
    before = deployed.status()["web"]["pid"]
    (deployed.home / "mounted").mkdir()
    deployed.kill()
    mount = f"mount --bind {deployed.home}/releases {deployed.home}/mounted"
    inside = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{mount} && exec {sys.executable} -m taskmasterd -c {deployed.home}/mounted/7/tm.yaml"],
        env=deployed.environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if "mount:" in inside.stderr:
        pytest.skip("may not mount here")
    assert inside.returncode == 0, inside.stderr
    assert deployed.status()["web"]["pid"] == before


def test_the_socket_of_another_run_time_directory_belongs_to_the_same_daemon_where_the_pid_file_is_the_same(
    daemon: Daemon,
) -> None:
    daemon.write(f"taskmasterd: {{pidfile: {daemon.pidfile}}}\nprograms: {{web: {{cmd: sleep 300, starttime: 0}}}}\n")
    before = daemon.start().wait_for("web", "RUNNING")["pid"]
    daemon.kill()
    other = daemon.home / "other"
    daemon.environment["RUNTIME_DIRECTORY"] = str(other)
    daemon.start()
    daemon.socket = other / "taskmaster.sock"
    assert daemon.status()["web"]["pid"] == before
    daemon.environment["TASKMASTER_SOCKET"] = str(daemon.socket)
    assert daemon.ctl("shutdown").returncode == 0

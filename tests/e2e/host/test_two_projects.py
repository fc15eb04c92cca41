"""-c FILE means the daemon of that file: one that runs another file is not acted on, and what only looks says so."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.variants import in_the_sweep

CONFIG = "programs:\n  web: {cmd: sleep 86400, starttime: 0}\n"


@pytest.fixture
def first(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon at this user's default place, where a second project looks too."""
    daemon = make_daemon(CONFIG)
    del daemon.environment["TASKMASTER_SOCKET"]
    return daemon.start()


@pytest.fixture
def second(first: Daemon) -> Path:
    """The configuration of another project, which names no socket."""
    path = first.home / "second" / "taskmaster.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


@pytest.mark.slow
def test_what_is_asked_of_a_second_project_is_not_done_to_the_first(first: Daemon, second: Path) -> None:
    pid = first.wait_for("web", "RUNNING")["pid"]
    for words in ("stop all", "restart web", "start web", "signal TERM web", "reload", "reload --dry-run", "upgrade",
                  "shutdown", "logs --reopen"):  # fmt: skip
        done = first.ctl("-c", str(second), *words.split())
        assert (done.returncode, done.stdout) == (1, ""), (words, done)
        assert done.stderr.startswith(f"taskmasterctl: the daemon at {first.socket} runs another configuration\n")
        assert f"\n  it runs:    {first.config} (pid {first.pid})\n  you asked:  {second}\n" in done.stderr
        assert f"taskmasterd -c {second}\n" in done.stderr
    assert first.status()["web"]["pid"] == pid
    assert first.alive
    done = first.ctl("--json", "-c", str(second), "stop", "all")
    assert json.loads(done.stdout)["error"]["code"] == "other-config"


@pytest.mark.sweep
@pytest.mark.slow
def test_what_only_looks_warns(first: Daemon, second: Path) -> None:
    for words in ("status", "show web", "logs web", "pid", "version"):
        done = first.ctl("-c", str(second), *words.split())
        assert done.returncode == 0, (words, done)
        assert done.stderr.startswith(
            f"taskmasterctl: warning: the daemon at {first.socket} runs another configuration\n"
        )
        assert f"it runs:    {first.config} (pid {first.pid})" in done.stderr
    done = first.ctl("--json", "-c", str(second), "status")
    assert "another configuration" in json.loads(done.stdout)["warnings"][0]
    assert first.ctl("-c", str(first.config), "_complete", "programs").stdout.startswith("web\t")
    assert first.ctl("-c", str(second), "_complete", "programs").stdout == "", "names that nothing can be done to"


@pytest.mark.sweep
@pytest.mark.slow
def test_the_same_file_by_another_spelling_is_the_same_project(first: Daemon, second: Path) -> None:
    link = first.home / "current"
    link.symlink_to(first.home)
    hard = first.home / "hard.yaml"
    os.link(first.config, hard)
    for path in (
        first.config.name,
        f"../{first.home.name}/{first.config.name}",
        f"{link}/{first.config.name}",
        str(hard),
    ):
        done = first.ctl("-c", path, "restart", "web")
        assert (done.returncode, done.stderr) == (0, ""), (path, done)
    first.write(CONFIG + "# an editor has replaced the file\n")
    assert first.ctl("-c", str(first.config), "stop", "web").returncode == 0
    second.unlink()
    second.symlink_to(first.config)
    assert first.ctl("-c", str(second), "start", "web").returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="needs /proc")
@pytest.mark.parametrize("guarded", [True, *in_the_sweep(False)])
def test_a_daemon_that_listens_elsewhere_is_named_with_its_socket(
    make_daemon: Callable[..., Daemon], guarded: bool
) -> None:
    daemon = make_daemon(CONFIG)
    del daemon.environment["TASKMASTER_SOCKET"]
    elsewhere = daemon.home / "session"
    elsewhere.mkdir()
    socket = elsewhere / "s"
    if os.geteuid() == 0:  # root's pid file lies where its socket does
        daemon.write(f"taskmasterd: {{socket: {socket}, pidfile: {daemon.pidfile}}}\n{CONFIG}")
    else:
        daemon.environment["RUNTIME_DIRECTORY"] = str(elsewhere)
        socket = elsewhere / "taskmaster.sock"
    daemon.start(*(["--guard"] if guarded else []))
    daemon.environment["RUNTIME_DIRECTORY"] = str(daemon.home)
    done = daemon.ctl("status")
    assert done.returncode == 4
    assert f"cannot reach taskmasterd at {daemon.socket}: no such file" in done.stderr
    assert f"Your daemon (pid {daemon.pid}) listens on another socket: {socket}" in done.stderr
    assert f"taskmasterctl -s {socket} status" in done.stderr
    assert daemon.ctl("-s", str(socket), "shutdown").returncode == 0
    assert "Your daemon" not in daemon.ctl("status").stderr


@pytest.mark.sweep
@pytest.mark.slow
def test_two_files_that_name_one_socket_are_two_projects(first: Daemon, second: Path) -> None:
    second.write_text(f"taskmasterd: {{socket: {first.socket}}}\n{CONFIG}")
    done = first.ctl("-c", str(second), "stop", "all")
    assert done.returncode == 1
    assert "Both files name this socket" in done.stderr
    assert f"taskmasterctl -s {first.socket}, without -c" in done.stderr

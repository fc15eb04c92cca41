"""Two projects of one user on one host: they share nothing, or the second one is refused with the reason and the remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

WEB = "programs: {web: {cmd: sh -c 'echo %s; exec sleep 300', starttime: 0}}\n"


@pytest.fixture
def first(daemon: Daemon) -> Daemon:
    """A daemon with default places."""
    daemon.write(WEB % "first")
    return daemon.start()


def _second(first: Daemon, section: str = "") -> Path:
    path = first.home / "second.yaml"
    path.write_text((f"taskmasterd: {{{section}}}\n" if section else "") + WEB % "second")
    return path


def _launch(first: Daemon, path: Path, *options: str) -> tuple[int, str]:
    first.config, config = path, first.config
    done = first.launch(*options)
    first.config = config
    return done.returncode, done.stderr


def test_a_second_daemon_at_the_same_socket_is_told_whose_it_is_and_how_to_run_both(first: Daemon) -> None:
    code, said = _launch(first, _second(first))
    assert code == 1
    assert f"another daemon (pid {first.pid}) holds {first.pidfile}\n" in said
    assert f"  It runs {first.config} and listens at {first.socket}.\n" in said
    assert "give this one a `socket`, a `log_dir` and a `logfile` of its own" in said
    code, said = _launch(first, first.config)
    assert code == 1
    assert f"taskmasterctl -s {first.socket} reload" in said


@pytest.mark.parametrize(
    ("section", "shared", "keys"),
    [
        ("", "the log directory {log} and the event log {log}/taskmasterd.log", "a `log_dir` and a `logfile`"),
        *in_the_sweep(
            ("logfile: own.log", "the log directory {log}", "a `log_dir`"),
            ("log_dir: own", "the event log {log}/taskmasterd.log", "a `logfile`"),
            ("log_dir: link, logfile: own.log", "the log directory {home}/link", "a `log_dir`"),
        ),
    ],
)
def test_a_second_daemon_that_would_mix_its_logs_with_another_one_s_is_refused_and_t_warns(
    first: Daemon, section: str, shared: str, keys: str
) -> None:
    (first.home / "own").mkdir()
    (first.home / "link").symlink_to(first.home / "log")
    path, socket = _second(first, section), str(first.home / "second.sock")
    things = shared.format(log=first.home / "log", home=first.home)
    code, said = _launch(first, path, "-s", socket)
    assert code == 1
    daemon = f"another daemon (pid {first.pid}, configuration {first.config}, socket {first.socket})"
    assert f"{daemon} has {things}: " in said
    assert f"give this one {keys} of its own in its `taskmasterd:` section" in said
    assert not os.path.lexists(socket)
    code, said = _launch(first, path, "-s", socket, "-t")
    assert code == 0
    assert f"second.yaml: warning: {daemon} has {things}: " in said
    wait_until(lambda: first.log("web") == b"first\n")


def test_two_daemons_with_places_of_their_own_run_side_by_side_and_leave_no_locks(first: Daemon) -> None:
    own = first.home / "own"
    own.mkdir()
    path = _second(first, "socket: own/s, log_dir: own, logfile: own/log")
    assert _launch(first, path, "-t") == (0, "")
    assert _launch(first, path) == (0, "")
    wait_until(lambda: (own / "web.log").exists() and (own / "web.log").read_text() == "second\n")
    assert _launch(first, path, "-t") == (0, ""), "its own daemon is not in its way"
    assert first.ctl("-s", str(own / "s"), "shutdown").returncode == 0
    assert sorted(each.name for each in own.iterdir()) == ["log", "web.log"]
    wait_until(lambda: first.log("web") == b"first\n")


@pytest.mark.sweep
def test_a_daemon_that_was_upgraded_or_died_still_has_its_logs_or_gives_them_back(first: Daemon) -> None:
    path, socket = _second(first), str(first.home / "second.sock")
    assert first.ctl("upgrade").returncode == 0
    assert _launch(first, path, "-s", socket)[0] == 1
    first.kill()
    assert first.launch().returncode == 0
    assert _launch(first, path, "-s", socket)[0] == 1
    assert first.ctl("shutdown").returncode == 0
    assert [each.name for each in (first.home / "log").iterdir() if each.name.startswith(".")] == []


@pytest.mark.sweep
def test_a_guardian_keeps_the_logs_for_the_next_daemon(daemon: Daemon) -> None:
    daemon.write(WEB % "first")
    daemon.start("--guard")
    before = int(daemon.ctl("pid").stdout)
    os.kill(before, 9)
    wait_until(lambda: daemon.ctl("pid").stdout.strip() not in ("", str(before)))
    assert _launch(daemon, _second(daemon), "-s", str(daemon.home / "second.sock"))[0] == 1

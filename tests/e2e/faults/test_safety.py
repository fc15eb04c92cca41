"""Who may do what: modes from the first moment, identities, files that others could change."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import ask

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"
NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _modes(directory: Path) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in directory.rglob("*") if not path.is_symlink()}


def test_under_umask_0_nothing_is_ever_writable_by_others_not_even_for_a_moment(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: {PY} {PROGRAMS}/writes_lines.py 20000, stdout: new/dirs/p.log, log_maxbytes: 200KB, "
        "starttime: 0, restart_burst: 0, autorestart: always}}"
    )
    home = daemon.home / "private"
    home.mkdir(mode=0o700)
    daemon.environment.update(RUNTIME_DIRECTORY=str(home), STATE_DIRECTORY=str(home), TASKMASTER_SOCKET=str(home / "s"))
    daemon.socket, daemon.pidfile = home / "s", home / "taskmasterd.pid"
    seen: dict[str, set[int]] = {}
    mask = os.umask(0)
    try:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "taskmasterd", "-s", str(daemon.socket), "-c", str(daemon.config)],
            env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        os.umask(mask)
    daemon.pidfile = home / "s.pid"

    def look() -> bool:
        try:
            for place in (home, daemon.home / "log", daemon.home / "new"):
                for path, mode in _modes(place).items():
                    seen.setdefault(path, set()).add(mode)
        except FileNotFoundError:  # rotated or renamed under our eyes
            return False
        return any(path.endswith("p.log.3") for path in seen)

    wait_until(look, within_s=40)
    assert launcher.wait(timeout=20) == 0
    assert seen[str(daemon.socket)] <= {0o600}
    assert {mode for modes in seen.values() for mode in modes} <= {0o600, 0o640, 0o644, 0o700, 0o750}, seen
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0


@pytest.mark.root
@as_root
@pytest.mark.parametrize("place", ["included", *in_the_sweep("main")])
def test_root_takes_no_configuration_that_everybody_may_write(daemon: Daemon, place: str) -> None:
    other = daemon.home / "more.yaml"
    other.write_text("programs: {q: {cmd: sleep 300}}")
    daemon.write("{include: [more.yaml], programs: {p: {cmd: sleep 300, starttime: 0}}}")
    daemon.start()
    before = daemon.wait_for("p", "RUNNING")["pid"]
    changed = daemon.config if place == "main" else other
    changed.chmod(0o666)
    done = daemon.ctl("reload")
    assert done.returncode == 6
    assert str(changed.name) in done.stderr
    assert "may write" in done.stderr
    assert daemon.status()["p"]["pid"] == before
    assert daemon.launch("-t").returncode == 6
    changed.chmod(0o664)
    os.chown(changed, 0, NOBODY)
    warned = daemon.launch("-t")
    assert warned.returncode == 0
    assert "warning" in warned.stderr


def _run_as_nobody(daemon: Daemon, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher as nobody, in a copy of the interpreter's surroundings that nobody can reach."""
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, "-m", "taskmasterd",
         "-c", str(daemon.config), *options],
        env=daemon.environment, cwd=daemon.home, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


def test_user_may_be_who_it_is_already_and_without_root_nobody_else(daemon: Daemon) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    daemon.write(
        f"{{taskmasterd: {{user: {me}}}, programs: {{same: {{cmd: id -un, user: {me}, starttime: 0, autorestart: never}}, "
        "other: {cmd: id -un, user: games, starttime: 0, autorestart: never}}}"
    )
    daemon.start()
    wait_until(lambda: daemon.log("same") == f"{me}\n".encode())
    other = daemon.wait_for("other", "FATAL") if me != "root" else daemon.status()["other"]
    if me == "root":
        wait_until(lambda: daemon.log("other") == b"games\n")
    else:
        assert "games" in other["detail"]
        assert daemon.launch("-t").returncode == 6


@pytest.mark.root
@as_root
def test_without_root_another_user_is_refused_clearly_for_programs_and_for_the_daemon(daemon: Daemon) -> None:
    daemon.home.parent.chmod(0o755)
    os.chown(daemon.home, NOBODY, NOBODY)
    daemon.write("programs: {mine: {cmd: id -un, user: nobody, starttime: 0, autorestart: never}}")
    daemon.config.chmod(0o644)
    done = _run_as_nobody(daemon, "-t")
    if any(words in done.stderr for words in ("Permission denied", "failed to execute", "error while loading shared")):
        pytest.skip("the interpreter is out of nobody's reach")
    assert done.returncode == 0, done.stderr
    daemon.write("programs: {theirs: {cmd: sleep 300, user: games}}")
    daemon.config.chmod(0o644)
    refused = _run_as_nobody(daemon, "-t")
    assert refused.returncode == 6
    assert "games" in refused.stderr
    daemon.write("{taskmasterd: {user: games}, programs: {}}")
    daemon.config.chmod(0o644)
    refused = _run_as_nobody(daemon, "-n")
    assert refused.returncode in (4, 6)
    assert "games" in refused.stderr


@pytest.mark.root
@as_root
def test_a_program_of_another_user_cannot_signal_the_daemon_nor_read_what_is_roots(daemon: Daemon) -> None:
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    secret = daemon.home / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    daemon.write(
        f'programs: {{p: {{cmd: \'kill -0 $PPID && echo signalled; cat {secret} && echo read; grep -E "^(Uid|Gid|Groups|CapEff)" '
        "/proc/self/status; exec sleep 300', shell: true, user: nobody, starttime: 0}}"
    )
    daemon.start()
    wait_until(lambda: b"CapEff" in daemon.log("p"))
    said = daemon.log("p").decode()
    assert "signalled\n" not in said
    assert "read\n" not in said
    lines = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert lines["Uid"].split() == [str(NOBODY)] * 4
    assert lines["Gid"].split() == [str(NOBODY)] * 4
    assert "0" not in lines["Groups"].split()
    assert int(lines["CapEff"], 16) == 0


def test_a_signal_to_the_daemons_whole_group_reaches_none_of_its_programs(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, numprocs: 3, starttime: 0}}")
    daemon.start()
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    before = {name: process["pid"] for name, process in daemon.status().items()}
    os.killpg(os.getpgid(daemon.pid), signal.SIGUSR1)  # it would end a sleep
    wait_until(lambda: "reopening all log files" in daemon.events())
    assert {name: process["pid"] for name, process in daemon.status().items()} == before
    assert {os.getsid(pid) for pid in before.values()} == set(before.values())

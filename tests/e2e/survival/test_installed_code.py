"""Other code is installed under a running daemon: nothing of it is taken in but by an upgrade, and all else goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import ROOT, Daemon, process_exists
from tests.support.site import DAEMONS, copy_packages
from tests.support.wait import wait_until
from tests.support.wire import ask, connect

pytestmark = [pytest.mark.slow, pytest.mark.sweep]
CHANGED = "the installed taskmasterd has changed since this daemon was started: run `taskmasterctl upgrade`"
ONE = "programs: {p: {cmd: 'echo hello; exec sleep 300', shell: true, starttime: 0}}"
TWO = "programs: {p: {cmd: 'echo other; exec sleep 300', shell: true, starttime: 0}}"


@pytest.fixture
def site(daemon: Daemon) -> Path:
    """A copy of the packages, from which the daemon and its clients run."""
    site = daemon.home / "site"
    copy_packages(site, (*DAEMONS, ROOT / "taskmasterctl"))
    daemon.environment["PYTHONPATH"] = str(site)
    return site


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _daemon_object(daemon: Daemon) -> dict[str, Any]:
    return next(each for each in ask(daemon, b"version") if each["type"] == "daemon")


def _askers(listener: socket.socket) -> set[int]:
    """Return the pids of the processes that have connected, and close the listener."""
    found: set[int] = set()
    listener.setblocking(False)
    with listener, contextlib.suppress(BlockingIOError):
        while True:
            with listener.accept()[0] as channel:
                found.add(struct.unpack("iii", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    return found


def _insert(path: Path, before: str, text: str) -> None:
    source = path.read_text()
    assert before in source
    path.write_text(source.replace(before, text + before, 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda site: _append(
            site / "taskmaster_common" / "schema" / "values" / "scalars.py", "\nraise ImportError('not here')\n"
        ),
        lambda site: _append(
            site / "taskmaster_common" / "schema" / "values" / "scalars.py", "\n# decodes all the same\n"
        ),
        lambda site: _append(site / "taskmasterd" / "configuration" / "host.py", "\nimport os; os._exit(0)\n"),
        lambda site: _append(site / "taskmaster_common" / "config" / "__init__.py", "\nsyntax error\n"),
        lambda site: shutil.rmtree(site / "taskmaster_common"),
    ],
    ids=["an import fails", "it could be decoded", "it ends at once", "not needed again", "gone"],
)
def test_no_other_code_is_taken_in_and_what_runs_already_goes_on(
    daemon: Daemon, site: Path, change: Callable[[Path], object]
) -> None:
    daemon.write(ONE)
    daemon.start()
    pid = daemon.status()["p"]["pid"]
    assert _daemon_object(daemon)["installed_changed"] is False
    change(site)
    daemon.write(TWO)
    answer = ask(daemon, b"reload")
    assert (answer[-1]["exit"], answer[-1]["error"]["code"]) == (1, "failed")
    assert answer[-1]["error"]["message"] == f"cannot read the configuration: {CHANGED}; nothing was changed"
    assert not [each for each in answer if each["type"] == "problem"]
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.events().count(f"reload: cannot read the configuration: {CHANGED}") == 2)
    wait_until(lambda: _daemon_object(daemon)["installed_changed"] is True)
    assert _daemon_object(daemon)["reload_problems"] == []
    wait_until(lambda: daemon.log("p") == b"hello\n")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status()["p"]["restarts"] == 1)
    wait_until(lambda: daemon.log("p") == b"hello\n" * 2)
    assert [each["type"] for each in ask(daemon, b"restart p")][-2:] == ["result", "end"]
    wait_until(lambda: daemon.log("p") == b"hello\n" * 3)
    assert (
        ask(daemon, b"pid p")[-1]["exit"]
        == ask(daemon, b"stop p")[-1]["exit"]
        == ask(daemon, b"start p")[-1]["exit"]
        == 0
    )
    for first_asked_now in (b"show p", b"logs p", b"help"):
        assert ask(daemon, first_asked_now)[-1]["exit"] == 0
    wait_until(lambda: daemon.log("p") == b"hello\n" * 4)
    assert "internal error" not in daemon.events()


@pytest.mark.parametrize("request_", [b"status", b"stop p", b"upgrade", b"shutdown", b"logs p", b"subscribe"])
def test_the_first_request_ever_is_answered_though_the_package_is_gone(
    daemon: Daemon, site: Path, request_: bytes
) -> None:
    daemon.write(ONE)
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"hello\n")
    shutil.rmtree(site)
    with connect(daemon) as channel, channel.makefile("rb") as replies:
        channel.sendall(request_ + b"\n")
        last = b'"type":"processes"' if request_ == b"subscribe" else b'"type":"end"'
        answer = json.loads(next(reply for reply in replies if last in reply))
    if request_ == b"upgrade":
        assert "nothing was changed" in answer["error"]["message"]
    else:
        assert answer.get("exit", 0) == 0
    assert "internal error" not in daemon.events()


def test_an_orderly_stop_by_signal_needs_nothing_of_the_package(daemon: Daemon, site: Path) -> None:
    daemon.write(ONE)
    daemon.start()
    pid = daemon.pid
    shutil.rmtree(site)
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: not process_exists(pid))
    assert "taskmasterd stopped (exit 0)" in daemon.events()


def test_after_an_upgrade_the_new_code_reads_the_file_and_is_the_installed_one(daemon: Daemon, site: Path) -> None:
    daemon.write(ONE)
    daemon.start()
    path = site / "taskmaster_common" / "__init__.py"
    path.write_text(path.read_text().replace('__version__ = "', '__version__ = "7.'))
    wait_until(lambda: _daemon_object(daemon)["installed_changed"] is True)
    found = _daemon_object(daemon)
    assert found["installed_version"] == f"7.{found['version']}"
    assert daemon.ctl("upgrade").returncode == 0
    after = _daemon_object(daemon)
    assert (after["version"], after["installed_changed"]) == (found["installed_version"], False)
    daemon.write(TWO)
    assert daemon.ctl("reload").returncode == 0
    wait_until(lambda: daemon.log("p") == b"hello\nother\n")


def test_the_same_code_installed_again_is_no_change(daemon: Daemon, site: Path) -> None:
    daemon.write(ONE)
    daemon.start()
    fresh = site.with_name("fresh")
    shutil.copytree(site, fresh, copy_function=shutil.copyfile)
    shutil.rmtree(site)
    fresh.rename(site)
    daemon.write(TWO)
    assert daemon.ctl("reload").returncode == 0
    assert _daemon_object(daemon)["installed_changed"] is False


@pytest.mark.parametrize(
    ("file", "before"),
    [
        ("resident.py", "    state = start_state.read_state(state_fd)\n"),
        ("daemon.py", "        takeover.Takeover(self._context,"),
        ("daemon.py", "        self._signals = Signals("),
        ("daemon.py", "            self._systemd.begin()\n"),
        ("survival/adoption.py", "        ended: list[tuple[Instance, int | None]] = []\n"),
        ("survival/disk/rows.py", "        self._identity, self._config = identity, config\n"),
        ("survival/disk/rows.py", "            row = {**entry_to_data(entry)"),
        ("system/loop/signals.py", "        self._read, self._write ="),
        ("system/loop/reactor.py", "        found = self._poller.wait("),
        ("telling/systemd.py", "        self._announce_ready()\n"),
    ],
)
def test_code_that_would_die_as_a_daemon_is_refused_and_nothing_is_different(
    daemon: Daemon, site: Path, file: str, before: str
) -> None:
    daemon.environment["NOTIFY_SOCKET"] = str(daemon.home / "notify")
    daemon.write(ONE)
    daemon.start_foreground()
    pids = daemon.pid, daemon.status()["p"]["pid"]
    line = next(line for line in before.split("\n") if line)
    indent = line[: len(line) - len(line.lstrip())]
    _insert(site / "taskmasterd" / file, before, f"{indent}raise RuntimeError('of the new code')\n")
    refused = daemon.ctl("upgrade")
    assert refused.returncode == 1
    assert "of the new code; nothing was changed" in refused.stderr
    assert (daemon.pid, daemon.status()["p"]["pid"]) == pids
    assert daemon.status()["p"]["restarts"] == 0


def test_an_installation_without_a_part_that_only_later_requests_need_is_refused(daemon: Daemon, site: Path) -> None:
    daemon.write(ONE)
    daemon.start()
    common, own = site / "taskmaster_common", site / "taskmasterd"
    verbs = own / "control" / "verbs"
    later = [
        verbs / f"{name}.py" for name in ("show", "help", "logs", "log_tail", "eventfilter", "subscribe", "configure")
    ]
    for missing in (common / "schema", common / "commands" / "help.py", own / "configuration" / "host.py", *later):
        missing.rename(missing.with_name("elsewhere"))
        refused = daemon.ctl("upgrade")
        assert refused.returncode == 1
        assert "ModuleNotFoundError" in refused.stderr
        missing.with_name("elsewhere").rename(missing)
    daemon.write(TWO)
    assert daemon.ctl("reload").returncode == 0


def test_a_check_starts_stops_and_writes_nothing(daemon: Daemon, site: Path) -> None:
    daemon.write(
        "programs:\n"
        "  late: {cmd: 'date +%N >> starts; exit 3', shell: true, restart_delay: 0.1, restart_max_delay: 0.1, startretries: 1000000}\n"
        "  deaf: {cmd: \"trap '' TERM; echo up; while :; do sleep 0.05; done\", shell: true, starttime: 0, stoptime: 3000}\n"
        "  quiet: {cmd: sleep 300, starttime: 0, numprocs: 3}\n"
        "  asked: {cmd: sleep 300, ready: {http: 'unix:asked:/', interval: 0.1, timeout: 0.1}, start_timeout: 0}\n"
    )
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(daemon.home / "asked"))
    listener.listen(1000)
    daemon.environment["TMPDIR"] = str(daemon.home / "tmp")
    (daemon.home / "tmp").mkdir()
    daemon.start()
    wait_until(lambda: daemon.log("deaf") == b"up\n")
    assert ask(daemon, b"stop deaf --no-wait")[-1]["exit"] == 0
    pids = {name: each["pid"] for name, each in daemon.status().items() if name != "late"}
    # the check takes its time, so that much is due in its only turn, and fails at its end, with everything done that it does
    _insert(
        site / "taskmasterd" / "resident.py",
        "    return daemon.run(",
        "    __import__('time').sleep(0.5 if trial else 0)\n",
    )
    _insert(site / "taskmasterd" / "resident.py", "    if code == 0:\n", "    print('of this test')\n    code = 1\n")
    for _ in range(3):
        refused = ask(daemon, b"upgrade")[-1]
        assert (refused["exit"], "of this test" in refused["error"]["message"]) == (1, True)
    assert "goes on after an upgrade" not in daemon.events()
    assert {name: each["pid"] for name, each in daemon.status().items() if name != "late"} == pids
    assert ask(daemon, b"stop late")[-1]["exit"] == 0
    assert len((daemon.home / "starts").read_text().splitlines()) <= daemon.events().count("late started")
    assert not os.listdir(daemon.home / "tmp")
    assert _askers(listener) == {daemon.pid}, "a check asks no program"


def test_code_that_is_replaced_between_the_check_and_the_exec_is_not_executed(daemon: Daemon, site: Path) -> None:
    daemon.write(ONE)
    daemon.start()
    # the checked code itself is replaced once it was checked
    entry = site / "taskmasterd" / "resident.py"
    _insert(entry, "    if code == 0:\n", "    open(__file__, 'a').write('\\nraise RuntimeError\\n')\n")
    refused = daemon.ctl("upgrade")
    assert refused.returncode == 1
    assert "has changed since it was checked; try again; nothing was changed" in refused.stderr
    assert daemon.ctl("pid").returncode == 0


def test_a_client_whose_upgraded_daemon_dies_says_how_to_go_on(daemon: Daemon, site: Path) -> None:
    daemon.write(ONE)
    daemon.start()
    pid = daemon.status()["p"]["pid"]
    _insert(
        site / "taskmasterd" / "resident.py",
        "    state = start_state.read_state(state_fd)\n",
        "    if not trial: raise RuntimeError\n",
    )
    lost = daemon.ctl("upgrade")
    assert lost.returncode == 7
    assert "The programs run on; a daemon that is started now takes them over." in lost.stderr
    assert f"taskmasterd -c {daemon.config}\n" in lost.stderr
    entry = site / "taskmasterd" / "resident.py"
    entry.write_text(entry.read_text().replace("    if not trial: raise RuntimeError\n", ""))
    daemon.start()
    assert daemon.status()["p"]["pid"] == pid


def test_modules_that_lie_beside_yaml_never_stand_in_for_those_of_python(daemon: Daemon, site: Path) -> None:
    for name in ("enum", "glob", "shlex", "typing", "dataclasses", "pathlib", "errno_", "tempfile", "shutil", "re"):
        (site / f"{name}.py").write_text("raise ImportError('a backport for Python 2')\n")
    daemon.write(ONE)
    # site-packages come last for everybody else: as an interpreter has it that finds us there
    started = [
        sys.executable,
        "-c",
        f"import sys; sys.path.append({str(site)!r}); import taskmasterd.__main__ as m; m.main()",
    ]
    del daemon.environment["PYTHONPATH"]
    done = subprocess.run(
        [*started, "-c", str(daemon.config)], env=daemon.environment, cwd=daemon.home, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    daemon.write(TWO)
    assert ask(daemon, b"reload")[-1]["exit"] == 0, daemon.events()
    assert ask(daemon, b"upgrade")[-1]["exit"] == 0, daemon.events()

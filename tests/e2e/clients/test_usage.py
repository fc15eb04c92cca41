"""What processes use, and what is counted of them, with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

BURNS_IN_CHILDREN = """
import os, time
while True:
    if not os.fork():
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        os._exit(0)
    os.wait()
"""
SHARES = """
import os, time
common = b"x" * (48 << 20)
for _ in range(8):
    if not os.fork():
        time.sleep(9999)
open("forked", "w").close()
time.sleep(9999)
"""
CONFIG = """
programs:
  burns: {cmd: ["%(python)s", -c, "%(burns)s"], starttime: 0}
  shares: {cmd: ["%(python)s", -c, "%(shares)s"], starttime: 0, workingdir: "%(home)s"}
  tree: {cmd: "sh -c 'sleep 86400 & sh -c \\"sleep 86400; true\\"; true'", starttime: 0}
  off: {cmd: sleep 86400, autostart: false}
"""


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon whose programs use something."""
    daemon = share_daemon("")
    texts = {name: json.dumps(text)[1:-1] for name, text in (("burns", BURNS_IN_CHILDREN), ("shares", SHARES))}
    daemon.write(CONFIG % {"python": sys.executable, "home": daemon.home, **texts})
    daemon.start()
    wait_until((daemon.home / "forked").exists)
    return daemon


def usage(daemon: Daemon, *words: str) -> dict[str, dict[str, Any]]:
    """Return `status --usage --json` by name."""
    document = json.loads(daemon.ctl("status", "--usage", "--json", *words).stdout)
    return {process["name"]: process for process in document["processes"]}


def test_time_in_children_that_end_counts(shared: Daemon) -> None:
    pid = shared.status()["burns"]["pid"]

    def in_children() -> bool:
        before = own_s(pid)
        found = usage(shared, "burns")["burns"]["cpu_percent"]
        return 10 < found < 150 and own_s(pid) - before < 0.2

    wait_until(in_children, within_s=60)  # on a machine with other work it gets less for a while
    assert shared.ctl("stop", "burns").returncode == 0, "it takes a processor from all other tests"


def own_s(pid: int) -> float:
    """Return the processor time that a process has used itself."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_memory_that_workers_share_counts_once(shared: Daemon) -> None:
    found = usage(shared, "shares")["shares"]["memory_bytes"]
    assert 48 << 20 <= found < 5 * 48 << 20, "nine processes have it"


def test_what_does_not_run_has_no_figures_and_the_table_has_a_dash_for_them(shared: Daemon) -> None:
    found = usage(shared)
    assert (found["off"]["cpu_percent"], found["off"]["memory_bytes"]) == (None, None)
    head, *rows = shared.ctl("status", "--usage").stdout.splitlines()
    assert head.split() == ["NAME", "STATE", "PID", "UPTIME", "RESTARTS", "%CPU", "MEM", "DETAIL"]
    assert next(row for row in rows if row.startswith("off")).split() == [
        "off",
        "STOPPED",
        *"--",
        "0",
        *"--",
        "not",
        "started",
    ]
    assert "cpu_percent" not in shared.status()["off"]


def test_show_lists_all_processes_of_a_program_as_a_tree(shared: Daemon) -> None:
    pid = shared.status()["tree"]["pid"]

    def tree() -> list[dict[str, Any]]:
        (program,) = json.loads(shared.ctl("show", "--json", "tree").stdout)["programs"]
        found: list[dict[str, Any]] = program["tree"]
        return found

    wait_until(lambda: [row["command"] for row in tree()].count("sleep 86400") == 2)  # all of it has begun
    program = {"tree": tree()}
    rows = [(row["ppid"], row["command"]) for row in program["tree"]]
    assert program["tree"][0]["pid"] == pid
    inner = next(row["pid"] for row in program["tree"] if row["command"] == "sh -c sleep 86400; true")
    assert rows[1:] == [(pid, "sleep 86400"), (pid, "sh -c sleep 86400; true"), (inner, "sleep 86400")]
    lines = [line for line in shared.ctl("show", "tree").stdout.splitlines() if "sleep 86400" in line]
    assert [line for line in lines if line.endswith("      sleep 86400")]  # two steps below the leader
    assert json.loads(shared.ctl("show", "--json", "off").stdout)["programs"][0]["tree"] == []


def test_usage_and_watch_exclude_each_other(shared: Daemon) -> None:
    done = shared.ctl("status", "--usage", "--watch")
    assert done.returncode == 2
    assert "top" in done.stderr


def _hides_processes() -> bool:
    return os.geteuid() == 0 and bool(shutil.which("unshare")) and bool(shutil.which("setpriv"))


@pytest.mark.skipif(not _hides_processes(), reason="needs root, unshare and setpriv")
def test_what_the_kernel_hides_is_a_dash_and_not_nothing(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(
        "taskmasterd: {socket_group: nogroup, socket_mode: '0660'}\nprograms: {web: {cmd: sleep 86400, starttime: 0}}\n"
    )
    for directory in (daemon.home, daemon.home.parent):
        directory.chmod(0o755)
    daemon.start()
    daemon.wait_for("web", "RUNNING")
    client = f"{sys.executable} -m taskmasterctl -s {daemon.socket} --json status --usage"
    hidden = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", hidden + client],
        env={**daemon.environment, "HOME": "/"}, cwd="/", capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if "cannot reach" in done.stderr or not done.stdout:
        pytest.skip(f"another user cannot run the client here: {done.stderr}")
    (process,) = json.loads(done.stdout)["processes"]
    assert process["pid"]
    assert (process["cpu_percent"], process["memory_bytes"]) == (None, None)


# -- counters


COUNTED = """
defaults: {restart_delay: 0.05, starttime: 0}
programs:
  flaps: {cmd: "sh -c 'sleep 0.1; exit 3'", autorestart: always, restart_burst: 2, startretries: 1}
  full: {cmd: "sh -c 'while :; do echo hello; sleep 0.05; done'", stdout: /dev/full}
  job: {cmd: "true", type: oneshot}
"""


def counters(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Return the counters of all processes."""
    return {name: process["counters"] for name, process in daemon.status().items()}


@pytest.mark.sweep
def test_counters_outlive_a_killed_daemon_and_an_upgrade_and_end_with_an_orderly_stop(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon(COUNTED).start()
    wait_until(lambda: counters(daemon)["full"]["dropped_bytes"] >= 12)
    daemon.wait_for("job", "EXITED")
    wait_until(lambda: counters(daemon)["flaps"]["restarts"] >= 2)
    before = counters(daemon)
    daemon.kill()
    daemon.start()
    after = counters(daemon)
    assert daemon.ctl("upgrade").returncode == 0
    last = counters(daemon)
    for earlier, later in ((before, after), (after, last)):
        for name, found in earlier.items():
            for key in ("starts", "restarts", "dropped_bytes"):
                assert later[name][key] >= found[key], (name, key)
            assert all(later[name]["exits"][key] >= count for key, count in found["exits"].items())
    assert last["full"]["starts"] == 1
    assert last["job"]["exits"]["expected"] == 1
    assert last["job"]["success"]["took_s"] < 5
    assert last["flaps"]["exits"]["unexpected"] >= 2
    assert daemon.ctl("shutdown").returncode == 0
    daemon.start()
    assert counters(daemon)["full"]["starts"] == 1
    assert counters(daemon)["flaps"]["starts"] <= before["flaps"]["starts"] + 1


def test_a_restart_by_hand_is_a_start_and_no_restart(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("programs: {web: {cmd: sleep 86400, starttime: 0}}\n").start()
    daemon.ctl("restart", "web")
    os.kill(daemon.status()["web"]["pid"], signal.SIGKILL)
    wait_until(lambda: counters(daemon)["web"]["starts"] == 3)
    found = counters(daemon)["web"]
    assert found["restarts"] == 1
    assert found["exits"] == {"expected": 1, "unexpected": 0, "signal": 1, "failed": 0}


# -- what others pay


def test_status_without_usage_loads_nothing_of_it(shared: Daemon) -> None:
    code = (
        "import sys; from taskmasterctl.cli import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    for words, loads in (
        (("status",), False),
        (("start", "tree"), False),
        (("logs", "tree"), False),
        (("show", "tree"), True),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=shared.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        loaded = set(done.stderr.split())
        assert ("taskmasterctl.usage.proc" in loaded) is loads, words
        assert not loaded & {"subprocess", "prompt_toolkit", "yaml", "ssl"}

"""Control groups: a stop that nothing escapes, limits that are not in force, and what outlives a daemon."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.processes.limits.cgroups import find_root
from taskmasterd.system.cgroups import is_group, kill, populated, remove
from tests.support.daemon import PROGRAMS, Daemon, process_exists
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
HERE = find_root(None, "")
writable = pytest.mark.skipif(not HERE.ours, reason=f"needs a cgroup v2 tree that may be written: {HERE.reason}")
without = pytest.mark.skipif(
    bool(HERE.path) and not HERE.ours, reason="moves the test itself out of a group that was delegated to it"
)
HIDES = f"{sys.executable} -S {PROGRAMS / 'vanishes.py'}"


@pytest.fixture
def grouped(daemon: Daemon) -> Iterator[Daemon]:
    yield daemon
    daemon.destroy()
    root = root_of(daemon)
    if HERE.ours and is_group(str(root)):
        kill(str(root))
        wait_until(lambda: remove(str(root)))


def root_of(daemon: Daemon) -> Path:
    return Path(find_root(None, str(daemon.socket)).path)


def in_group(daemon: Daemon, slot: str) -> list[int]:
    try:
        return [int(pid) for pid in (root_of(daemon) / slot / "cgroup.procs").read_text().split()]
    except OSError:  # there is no such group yet, or it is being removed
        return []


def hides(daemon: Daemon, name: str = "web") -> int:
    """Wait for the process that has gone into hiding; return its pid."""
    wait_until(lambda: len(in_group(daemon, f"{name}-0")) == 2)
    return next(pid for pid in in_group(daemon, f"{name}-0") if pid != daemon.status()[name]["pid"])


# -- the stop


@writable
def test_a_stop_ends_what_has_cleared_its_variables_closed_everything_and_left_its_session(grouped: Daemon) -> None:
    grouped.write(f"programs: {{web: {{cmd: {HIDES}, cgroup: true, stoptime: 0.3, starttime: 0}}}}")
    grouped.start()
    hidden = hides(grouped)
    assert grouped.ctl("stop", "web").returncode == 0
    assert not process_exists(hidden)
    assert not (root_of(grouped) / "web-0").exists()
    assert grouped.ctl("shutdown").returncode == 0
    wait_until(lambda: not root_of(grouped).exists())


@writable
def test_a_fork_bomb_ends_while_the_daemon_answers(grouped: Daemon) -> None:
    bomb = f"{sys.executable} -S {PROGRAMS / 'multiplies.py'} 40"
    grouped.write(f"programs: {{bomb: {{cmd: {bomb}, cgroup: true, stoptime: 0.2, starttime: 0}}}}")
    grouped.start()
    wait_until(lambda: len(in_group(grouped, "bomb-0")) > 30)
    assert grouped.ctl("stop", "bomb").returncode == 0
    assert not (root_of(grouped) / "bomb-0").exists()
    assert grouped.state("bomb") == "STOPPED"


@pytest.mark.sweep
@writable
def test_groups_below_its_own_are_ended_and_removed_too(grouped: Daemon) -> None:
    group = root_of(grouped) / "web-0"
    script = f"mkdir -p {group}/inner/most; echo $$ > {group}/inner/most/cgroup.procs; exec sleep 300"
    grouped.write(f"programs: {{web: {{cmd: '{script}', shell: true, cgroup: true, starttime: 0}}}}")
    grouped.start()
    wait_until(lambda: (group / "inner/most/cgroup.procs").exists() and (group / "inner/most/cgroup.procs").read_text())
    assert grouped.ctl("restart", "web").returncode == 0
    assert populated(str(group))
    assert grouped.ctl("stop", "web").returncode == 0
    assert not group.exists()


# -- the daemon's death


@pytest.mark.sweep
@writable
def test_what_the_group_of_a_dead_daemon_has_is_adopted_and_ended(grouped: Daemon) -> None:
    grouped.write(f"programs: {{web: {{cmd: {HIDES}, cgroup: true, stoptime: 0.3, starttime: 0}}}}")
    grouped.start()
    hidden, leader = hides(grouped), grouped.status()["web"]["pid"]
    grouped.kill()
    grouped.start()
    assert grouped.status()["web"]["pid"] == leader
    assert grouped.ctl("stop", "web").returncode == 0
    assert not process_exists(hidden)
    assert not (root_of(grouped) / "web-0").exists()


@pytest.mark.sweep
@writable
def test_what_a_leader_left_that_died_with_its_daemon_is_ended_before_the_next_instance(grouped: Daemon) -> None:
    grouped.write(f"programs: {{web: {{cmd: {HIDES}, cgroup: true, stoptime: 0.3, starttime: 0}}}}")
    grouped.start()
    hidden, leader = hides(grouped), grouped.status()["web"]["pid"]
    grouped.kill()
    os.kill(leader, signal.SIGKILL)
    grouped.start()
    wait_until(lambda: (web := grouped.status()["web"])["state"] == "RUNNING" and web["pid"] != leader)
    assert not process_exists(hidden)
    assert hidden not in in_group(grouped, "web-0")


@pytest.mark.sweep
@writable
def test_groups_that_no_state_tells_of_are_emptied_at_the_start(grouped: Daemon) -> None:
    grouped.write(f"programs: {{web: {{cmd: {HIDES}, cgroup: true, stoptime: 0.3, starttime: 0}}}}")
    grouped.start()
    hidden = hides(grouped)
    grouped.kill()
    os.kill(grouped_leader := in_group(grouped, "web-0")[0], signal.SIGKILL)
    assert grouped_leader != hidden
    grouped.state_file.unlink()
    grouped.write("programs: {other: {cmd: sleep 300, cgroup: true, starttime: 0}}")
    grouped.start()
    wait_until(lambda: not (root_of(grouped) / "web-0").exists())
    assert not process_exists(hidden)
    assert "killing what an earlier daemon left in " in grouped.events()


# -- limits


@without
def test_limits_that_are_not_in_force_are_said_everywhere_and_keep_nobody_from_running_but_who_requires_them(
    grouped: Daemon,
) -> None:
    if HERE.ours and "cpu" in (Path(HERE.path).parent / "cgroup.subtree_control").read_text().split():
        pytest.skip("the controller cpu is there")
    grouped.write(
        "programs:\n  web: {cmd: sleep 300, limits: {cpu: 0.5}, starttime: 0}\n"
        "  strict: {cmd: sleep 300, limits: {cpu: 50%, required: true}, starttime: 0}\n  other: {cmd: sleep 300}\n"
    )
    checked = grouped.launch("-t")
    assert checked.returncode == 0
    assert checked.stderr.count("limits.cpu not in force: ") == 2
    grouped.start()
    strict = grouped.wait_for("strict", "FATAL")
    web = grouped.wait_for("web", "RUNNING")
    assert web["detail"].startswith("limits.cpu not in force: ")
    assert web["limits"] == {"not_in_force": [web["detail"]]}
    assert strict["detail"].startswith(web["detail"])
    assert grouped.events().count("web:0: limits.cpu not in force: ") == 1
    assert grouped.status()["other"]["detail"] == ""
    assert "web  limits cpu" in grouped.ctl("show", "web").stdout
    about = json.loads(grouped.ctl("--json", "show", "--daemon").stdout)["about"]
    assert (about["cgroup_root"] or "") == str(root_of(grouped)) * HERE.ours
    assert "cgroup root" in grouped.ctl("show", "--daemon").stdout
    grouped.kill()
    grouped.start()
    assert grouped.status()["web"]["detail"] == web["detail"]


@pytest.mark.sweep
@writable
def test_the_first_limits_of_what_runs_without_a_group_wait_for_its_next_start(grouped: Daemon) -> None:
    grouped.write("programs: {web: {cmd: sleep 300, starttime: 0}}")
    grouped.start()
    pid = grouped.wait_for("web", "RUNNING")["pid"]
    grouped.write("programs: {web: {cmd: sleep 300, starttime: 0, limits: {tasks: 50}}}")
    why = "limits used at the next start: it has no control group"
    assert why in grouped.ctl("reload", "--dry-run").stdout
    assert why in grouped.ctl("reload").stdout
    after = grouped.status()["web"]
    assert (after["pid"], after["outdated"]) == (pid, True)
    assert grouped.ctl("restart", "--outdated", "all").returncode == 0
    assert in_group(grouped, "web-0") == [grouped.status()["web"]["pid"]]


@writable
@pytest.mark.skipif(
    HERE.ours and "memory" not in (Path(HERE.path).parent / "cgroup.subtree_control").read_text().split(),
    reason="needs the controller memory in cgroup v2",
)
def test_a_program_that_uses_up_its_memory_is_said_to_have_done_so(grouped: Daemon) -> None:
    eats = f"{sys.executable} -S -c 'b = bytearray(100 << 20)'"
    grouped.write(
        f'programs: {{web: {{cmd: "{eats}", limits: {{memory: 30MB, swap: 0}}, autorestart: never, starttime: 0}}}}'
    )
    grouped.start()
    web = grouped.wait_for("web", "EXITED")
    assert "killed: out of memory (limits.memory 30MB)" in web["detail"]
    assert "out of memory (limits.memory 30MB)" in grouped.ctl("why", "web").stdout


# -- a tree whose kernel would have all controllers: files that say what the kernel's would


@pytest.fixture
def fake(daemon: Daemon) -> Path:
    """Return a directory that looks like a control group with the controller memory, and one of a slot in it."""
    root = daemon.home / "tree"
    (root / "web-0").mkdir(parents=True)
    for name, content in (
        ("controllers", "memory"),
        ("subtree_control", ""),
        ("procs", ""),
        ("events", "populated 0\n"),
    ):
        (root / f"cgroup.{name}").write_text(content)
        (root / "web-0" / f"cgroup.{name}").write_text(content)
    for name in ("max", "high", "swap.max", "current", "oom.group"):
        (root / "web-0" / f"memory.{name}").write_text("0")
    (root / "web-0" / "cgroup.kill").write_text("")
    return root / "web-0"


def in_tree(fake: Path, keys: str) -> str:
    return f"""
taskmasterd: {{cgroup_root: {fake.parent}}}
programs: {{web: {{cmd: sleep 300, limits: {{memory: 512MB}}, starttime: 0, stoptime: 2{keys}}}}}
"""


@pytest.mark.sweep
def test_what_an_instance_has_lost_to_its_limit_is_said_while_it_runs(daemon: Daemon, fake: Path) -> None:
    (fake / "memory.events").write_text("oom 1\noom_kill 1\n")
    daemon.write(in_tree(fake, ""))
    daemon.start()
    wait_until(lambda: daemon.status()["web"]["detail"] == "lost 1 process to limits.memory")
    assert daemon.status()["web"]["limits"] is None, "it is in force"
    assert (fake / "memory.max").read_text() == "512000000"
    assert "web: lost 1 process to limits.memory (512MB)" in daemon.events()
    assert "1 process to limits.memory (512MB)" in daemon.ctl("events", "--event", "lost").stdout
    assert "1 process to limits.memory (512MB)" in daemon.ctl("events", "--event", "oom").stdout
    assert "1 process to limits.memory (512MB)" in daemon.ctl("why", "web").stdout
    pid = daemon.status()["web"]["pid"]
    for again in (daemon.kill, lambda: daemon.ctl("upgrade")):
        again()
        if not daemon.alive:
            daemon.start()
        assert daemon.status()["web"]["detail"] == "lost 1 process to limits.memory"
    assert daemon.status()["web"]["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, pid))
    assert "out of memory" not in daemon.events(), "the count has not grown since"


@pytest.mark.sweep
def test_recycle_goes_by_the_count_of_the_control_group(daemon: Daemon, fake: Path) -> None:
    (fake / "memory.stat").write_text("anon 10000000\nfile 900000000\n")
    daemon.write(in_tree(fake, ", recycle: {memory: 60MB, interval: 1, samples: 1}"))
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    (fake / "memory.swap.current").write_text("90000000")
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, pid), within_s=20)
    assert "recycled: memory 100MB over 60MB" in daemon.ctl("why", "web").stdout
    assert daemon.status()["web"]["restarts"] == 1

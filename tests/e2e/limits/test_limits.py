"""What programs may use: at their first instruction, while they run, and what the daemon itself keeps."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
CPUS = sorted(os.sched_getaffinity(0))
NOBODY = 65_534
COUNT = 6
TELLS = "cat /proc/self/limits /proc/self/oom_score_adj /proc/self/status /proc/self/autogroup"
"""A program whose first acts are to read what it has."""
CROWD = f"{sys.executable} -S {PROGRAMS / 'crowd.py'}"


def open_files(text: str) -> tuple[str, ...]:
    """Return the soft and the hard limit of open files in a text of /proc/pid/limits."""
    return tuple(re.findall(r"Max open files +(\w+) +(\w+)", text)[0])


def cores(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"Max core file size +(\w+) +(\w+)", text)[0])


def told(daemon: Daemon, name: str) -> str:
    """Return what a program of TELLS has said of itself."""
    wait_until(lambda: b"nonvoluntary_ctxt" in daemon.log(name))
    return daemon.log(name).decode()


def allowed(text: str) -> str:
    return str(re.findall(r"Cpus_allowed_list:\s+(\S+)", text)[0])


def score(text: str) -> int:
    return int(re.findall(r"^(-?\d+)$", text, re.MULTILINE)[0])


def read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def threads(pid: int) -> list[int]:
    return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]


def ordinary(daemon: Daemon, programs: str) -> None:
    """Write a configuration of a daemon that is an ordinary user's."""
    home = daemon.home
    if os.geteuid() == 0:
        home.parent.chmod(0o755)
        os.chown(home, NOBODY, NOBODY)
        (home / "log").mkdir(exist_ok=True)
        os.chown(home / "log", NOBODY, NOBODY)
        programs = f"taskmasterd: {{user: nobody}}\n{programs}"
    daemon.write(programs)
    daemon.config.chmod(0o644)


def start_as_ordinary(daemon: Daemon) -> None:
    done = daemon.launch()
    if "nobody may not execute" in done.stderr:
        pytest.skip("the interpreter is out of nobody's reach")
    assert done.returncode == 0, done.stderr


# -- from the first instruction on


@pytest.fixture(scope="module")
def mixed(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """Programs with limits, and between them some without any, and some that cannot be started."""
    keys = f"rlimits: {{nofile: [512, null], core: [0, null]}}, cpu_affinity: {CPUS[0]}, oom_score_adj: 500"
    lines = ["defaults: {type: oneshot}", "programs:"]
    for number in range(COUNT):
        lines.append(f"  given{number}: {{cmd: {TELLS}, {keys}}}")
        lines.append(f"  missing{number}: {{cmd: ./missing, {keys}}}")
        lines.append(f"  plain{number}: {{cmd: {TELLS}}}")
    heavy = "rlimits: {as: 64MB, nproc: 1, stack: 256KB, rttime: [5s, null]}"
    lines.append(f"  heavy: {{cmd: {TELLS}, {heavy}}}")
    probed = "cmd: sleep 300, rlimits: {nofile: 333}, pre_start: {shell: true, cmd: 'ulimit -n > hook'}"
    lines.append(f"  probed: {{type: service, {probed}, ready: {{exec: {{shell: true, cmd: 'ulimit -n > probe'}}}}}}")
    return share_daemon("\n".join(lines)).start()


def test_a_program_has_its_limits_at_its_first_instruction_and_one_without_them_what_the_daemon_was_started_with(
    mixed: Daemon,
) -> None:
    soft, hard = open_files(read(os.getpid(), "limits"))
    for number in range(COUNT):
        given, plain = told(mixed, f"given{number}"), told(mixed, f"plain{number}")
        assert (open_files(given), open_files(plain)) == (("512", hard), (soft, hard))
        assert (cores(given)[0], cores(plain)) == ("0", cores(read(os.getpid(), "limits")))
        assert (score(given), score(plain)) == (500, score(read(os.getpid(), "oom_score_adj")))
        assert allowed(given) == str(CPUS[0])
        assert allowed(plain) == allowed(read(os.getpid(), "status"))


def test_the_daemon_itself_keeps_what_it_has_also_after_starts_that_failed(mixed: Daemon) -> None:
    mixed.wait_for("missing1", "FATAL")
    assert cores(read(mixed.pid, "limits")) == cores(read(os.getpid(), "limits"))
    assert open_files(read(mixed.pid, "limits"))[0] == open_files(read(os.getpid(), "limits"))[1], "it takes all it may"
    assert score(read(mixed.pid, "oom_score_adj")) == score(read(os.getpid(), "oom_score_adj"))
    assert os.sched_getaffinity(mixed.pid) == set(CPUS)


def test_limits_that_would_keep_a_daemon_from_starting_others_are_the_programs_alone(mixed: Daemon) -> None:
    text = told(mixed, "heavy")
    for name, value in (("address space", "64000000"), ("processes", "1"), ("stack size", "256000")):
        assert re.search(rf"Max {name} +{value} +{value}", text)
    assert re.search(r"Max realtime timeout +5000000 +[1-9]\d+", text), "its hard limit is the mark of the program"
    assert "refuses" not in mixed.events()


def test_hooks_get_the_same_and_probes_do_not(mixed: Daemon) -> None:
    mixed.wait_for("probed", "RUNNING")
    assert (mixed.home / "hook").read_text() == "333\n"
    assert (mixed.home / "probe").read_text() != "333\n"


def test_show_says_what_the_kernel_has_and_marks_what_somebody_has_changed(mixed: Daemon) -> None:
    pid = mixed.wait_for("probed", "RUNNING")["pid"]
    shown = mixed.ctl("show", "probed").stdout
    assert re.search(r"^ +probed +rlimits nofile +333/333 +in force$", shown, re.MULTILINE)
    assert re.search(r"^ +rlimits +\{nofile: 333\}$", shown, re.MULTILINE)
    import resource

    resource.prlimit(pid, resource.RLIMIT_NOFILE, (222, 333))
    shown = mixed.ctl("show", "probed").stdout
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (333, 333))
    assert re.search(r"^ +probed +rlimits nofile +222/333 +not as written$", shown, re.MULTILINE)


# -- while it runs


@pytest.mark.sweep
def test_a_reload_changes_all_processes_and_threads_of_what_runs(daemon: Daemon) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    first = f"rlimits: {{nofile: 512}}, nice: {own + 1}, cpu_affinity: {CPUS[0]}"
    wanted = (
        f"rlimits: {{nofile: [256, 300]}}, nice: {own + 2}, cpu_affinity: '{CPUS[0]}-{CPUS[-1]}', oom_score_adj: 400"
    )
    if list(range(CPUS[0], CPUS[-1] + 1)) != CPUS:
        wanted = wanted.replace(f"'{CPUS[0]}-{CPUS[-1]}'", str(CPUS))
    daemon.write(f"programs: {{crowd: {{cmd: {CROWD}, {first}}}, other: {{cmd: sleep 300}}}}")
    daemon.start()
    wait_until(lambda: daemon.log("crowd").count(b"\n") == 2)
    leader, child = map(int, daemon.log("crowd").split())
    wait_until(lambda: len(threads(leader)) == 3)
    plan = "rlimits, nice, cpu_affinity, oom_score_adj applied without a restart"
    daemon.write(f"programs: {{crowd: {{cmd: {CROWD}, {wanted}}}, other: {{cmd: sleep 300}}}}")
    assert plan in daemon.ctl("reload", "--dry-run").stdout
    assert open_files(read(leader, "limits")) == ("512", "512")
    assert plan in daemon.ctl("reload").stdout
    newcomer = next(pid for pid in map(int, read(child, f"task/{child}/children").split()))
    assert len(threads(leader)) == 3
    for pid in (leader, child, newcomer):
        assert open_files(read(pid, "limits")) == ("256", "300")
        assert read(pid, "oom_score_adj") == "400\n"
        for thread in threads(pid):
            assert os.getpriority(os.PRIO_PROCESS, thread) == own + 2
            assert os.sched_getaffinity(thread) == set(CPUS)
    if os.path.exists(f"/proc/{leader}/autogroup"):
        assert read(leader, "autogroup").endswith(f"nice {own + 2}\n")
    after = daemon.status()["crowd"]
    assert (after["pid"], after["outdated"]) == (leader, False)
    assert daemon.ctl("show", "crowd").stdout.count("in force") == 4
    assert "not set" not in daemon.events()
    daemon.kill()
    later = wanted.replace(f"nice: {own + 2}", f"nice: {own + 3}")
    daemon.write(f"programs: {{crowd: {{cmd: {CROWD}, {later}}}}}")
    daemon.start()
    assert daemon.status()["crowd"]["pid"] == leader
    assert os.getpriority(os.PRIO_PROCESS, child) == own + 3


@pytest.mark.sweep
@pytest.mark.root
@as_root
def test_an_ordinary_user_lowers_what_runs_and_raises_it_at_the_next_start(daemon: Daemon) -> None:
    hard = int(open_files(read(os.getpid(), "limits"))[1])
    above, own = hard + 1000, os.getpriority(os.PRIO_PROCESS, 0)
    text = (
        "programs:\n"
        f"  web: {{cmd: sleep 300, rlimits: {{nofile: 512}}, nice: {own + 5}, oom_score_adj: 700}}\n"
        f"  greedy: {{cmd: sleep 300, rlimits: {{nofile: {above}}}}}\n"
        "  other: {cmd: sleep 300}\n"
    )
    ordinary(daemon, text)
    checked = daemon.launch("-t")
    why = f"cannot set rlimits.nofile to {above}: the hard limit is {hard} and the daemon runs as uid {NOBODY}"
    assert checked.returncode == 0
    assert why in checked.stdout + checked.stderr
    start_as_ordinary(daemon)
    greedy = daemon.wait_for("greedy", "FATAL")
    assert why in greedy["detail"]
    web, other = daemon.wait_for("web", "RUNNING"), daemon.wait_for("other", "RUNNING")
    ordinary(daemon, text.replace("512", "4096").replace(f"nice: {own + 5}", f"nice: {own + 2}").replace("700", "600"))
    for words in (("reload", "--dry-run"), ("reload",)):
        said = daemon.ctl(*words).stdout
        assert "oom_score_adj applied without a restart; rlimits, nice used at the next start: not permitted" in said
    after = daemon.status()
    assert (after["web"]["pid"], after["web"]["outdated"], after["other"]["outdated"]) == (web["pid"], True, False)
    assert open_files(read(web["pid"], "limits")) == ("512", "512")
    assert read(web["pid"], "oom_score_adj") == "600\n"
    shown = [" ".join(line.split()) for line in daemon.ctl("show", "web").stdout.splitlines()]
    assert "web rlimits nofile 512/512 not as written" in shown
    assert "web oom_score_adj 600 in force" in shown
    assert daemon.ctl("restart", "--outdated", "web").returncode == 0
    again = daemon.status()
    assert open_files(read(again["web"]["pid"], "limits")) == ("4096", "4096")
    assert os.getpriority(os.PRIO_PROCESS, again["web"]["pid"]) == own + 2
    assert (again["web"]["outdated"], again["other"]["pid"]) == (False, other["pid"])


@pytest.mark.root
@as_root
@pytest.mark.parametrize("count", [5, *in_the_sweep(30)])
@pytest.mark.skipif(not os.path.exists("/proc/self/autogroup"), reason="this kernel has no autogroups")
def test_autogroups_get_the_nice_of_their_programs_as_fast_as_the_kernel_takes_it(daemon: Daemon, count: int) -> None:
    nice = min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
    ordinary(daemon, f"programs: {{busy: {{cmd: sleep 300, nice: {nice}, numprocs: {count}}}}}")
    start_as_ordinary(daemon)
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    pids = [process["pid"] for process in daemon.status().values()]
    wait_until(lambda: all(read(pid, "autogroup").endswith(f"nice {nice}\n") for pid in pids))


@pytest.mark.sweep
@pytest.mark.skipif(not os.path.exists("/proc/self/autogroup"), reason="this kernel has no autogroups")
def test_a_nice_program_leaves_the_processor_to_others(daemon: Daemon) -> None:
    spin = shlex.quote("while :; do :; done")
    keys = f"shell: true, cpu_affinity: {CPUS[0]}, starttime: 0"
    daemon.write(f"programs: {{first: {{cmd: {spin}, {keys}, nice: 0}}, last: {{cmd: {spin}, {keys}, nice: 19}}}}")
    daemon.start()
    pids = [daemon.wait_for(name, "RUNNING")["pid"] for name in ("first", "last")]

    def ticks(pid: int) -> int:
        return sum(map(int, read(pid, "stat").rpartition(")")[2].split()[11:13]))

    wait_until(lambda: sum(map(ticks, pids)) > 120, within_s=60)
    first, last = map(ticks, pids)
    assert first >= 5 * last


# -- the end


@pytest.mark.sweep
def test_a_program_that_kills_itself_is_not_said_to_have_lacked_memory(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: kill -9 $$, shell: true, autorestart: never, starttime: 0}}")
    daemon.start()
    web = daemon.wait_for("web", "EXITED")
    assert "killed by SIGKILL" in web["detail"]
    said = daemon.ctl("why", "web").stdout + daemon.ctl("show", "web").stdout + daemon.events()
    assert "killed by" in said
    assert "memory" not in said

"""What once broke the daemon, or would: shortages, vanished clients, readers that do not read."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys

import pytest

from tests.support.daemon import PROGRAMS, Daemon, marked, process_exists
from tests.support.guarded import at_rest, sleeps_of
from tests.support.wait import wait_until
from tests.support.wire import crowd, descriptors

pytestmark = pytest.mark.slow
PY = sys.executable
SLEEPER = "programs: {p: {cmd: sleep 300, starttime: 0}}"


def _connect(daemon: Daemon) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(10)
    channel.connect(str(daemon.socket))
    return channel


@pytest.mark.sweep
def test_times_of_years_are_no_trouble(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 3000d, stoptime: 3000d}}")
    daemon.start()
    assert daemon.state("p") == "STARTING"
    assert daemon.ctl("stop", "p").returncode == 0


@pytest.mark.sweep
def test_with_no_descriptor_left_ends_are_still_seen_and_what_is_left_behind_too(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: 'sleep 0.2; sleep 300 & sleep 300 & wait', shell: true, starttime: 0, autorestart: never}}"
    )
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    daemon.start()
    pid = daemon.wait_for("p", "RUNNING")["pid"]
    wait_until(lambda: len(marked(daemon.socket)) == 3)  # the shell had its tag before it forked
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (48, limits[1]))
    with crowd(daemon, 60):
        wait_until(lambda: descriptors(daemon) >= 48)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: marked(daemon.socket) == [])
    assert daemon.wait_for("p", "EXITED")["exit"]["signal"] == "KILL"
    assert "internal error" not in daemon.events()


@pytest.mark.sweep
def test_a_limit_that_was_lowered_under_the_daemon_holds_up_no_start(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sleep 300, starttime: 0, autostart: false}, q: {cmd: sleep 300, autostart: false}}"
    )
    daemon.start()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (256, 256))
    assert daemon.ctl("start", "p", "q").returncode == 0


@pytest.mark.sweep
def test_a_stderr_that_nobody_reads_costs_lines_and_not_the_daemons_time(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0, autostart: false}}")
    read, write = os.pipe()
    with subprocess.Popen(
        [PY, "-m", "taskmasterd", "-c", str(daemon.config), "-n"],
        env=daemon.environment, cwd=daemon.home, stderr=write, stdout=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        os.close(write)
        wait_until(lambda: daemon.ctl("pid").returncode == 0)
        with _connect(daemon) as channel, channel.makefile("rb") as replies:
            for _ in range(1500):
                channel.sendall(b"start p\n")
                while b'"type":"end"' not in replies.readline():
                    pass
        assert daemon.ctl("stop", "p").returncode == 0
        running.terminate()
        assert running.wait(timeout=10) == 0
    os.close(read)


@pytest.mark.sweep
def test_closed_standard_streams_are_replaced_before_anything_is_opened(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: 'echo to stdout', stdout: inherit, stderr: inherit, starttime: 0, autorestart: never}}"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "{PY}" -m taskmasterd -c "{daemon.config}" <&- >&- 2>&-'],
        env=daemon.environment, cwd=daemon.home, check=False, timeout=20,
    )  # fmt: skip
    assert done.returncode == 0
    daemon.wait_for("p", "EXITED")
    assert daemon.pidfile.read_text() == f"{daemon.pid}\n"
    assert b"to stdout" not in daemon.events().encode()


def test_a_command_is_carried_out_though_its_client_closes_at_once(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, numprocs: 10, starttime: 0}}")
    daemon.start()
    for index in range(10):
        with _connect(daemon) as channel:
            channel.sendall(f"stop p:{index}\n".encode())
    wait_until(lambda: {process["state"] for process in daemon.status().values()} == {"STOPPED"})


@pytest.mark.sweep
def test_clients_that_vanish_while_they_wait_leave_nothing_behind(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: 'false', restart_delay: 300, restart_max_delay: 300}}")
    daemon.start()
    daemon.wait_for("p", "BACKOFF")
    for _ in range(50):
        with _connect(daemon) as channel:
            channel.sendall(b"restart p\n")
    daemon.wait_for("p", "BACKOFF")
    assert daemon.ctl("pid").returncode == 0
    before = at_rest(daemon.pid)
    with pytest.raises(AssertionError):
        wait_until(lambda: sleeps_of(daemon.pid) > before + 2, within_s=3)


def test_a_half_closed_client_gets_its_whole_answer(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: {PY} -S {PROGRAMS}/writes_lines.py 20000, starttime: 0, autorestart: never}}}}"
    )
    daemon.start()
    daemon.wait_for("p", "EXITED")
    with _connect(daemon) as channel:
        channel.sendall(b"logs -n 20000 p\nversion\n")
        channel.shutdown(socket.SHUT_WR)
        with channel.makefile("rb") as replies:
            messages = [json.loads(line) for line in replies]
    assert sum(len(message.get("text", "")) for message in messages) == 2_000_000
    assert [message["exit"] for message in messages if message["type"] == "end"] == [0, 0]


@pytest.mark.sweep
def test_an_answer_of_several_megabytes_arrives_whole(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, numprocs: 6000, autostart: false}}")
    daemon.start()
    with _connect(daemon) as channel:
        channel.sendall(b"show p\nstop p\nstatus\n")
        with channel.makefile("rb") as replies:
            ends = results = 0
            while ends < 3:
                message = json.loads(replies.readline())
                ends += message["type"] == "end"
                results += message["type"] == "result"
    assert results == 6000


def test_the_last_words_of_what_shutdown_ends_are_in_the_log(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} -S {PROGRAMS}/writes_on_term.py, starttime: 0, numprocs: 3}}}}")
    daemon.start()
    for name in ("p", "p-1", "p-2"):
        wait_until(lambda name=name: daemon.log(name) == b"ready\n")  # type: ignore[misc]
    assert daemon.ctl("shutdown").returncode == 0
    for name in ("p", "p-1", "p-2"):
        assert len(daemon.log(name)) == len(b"ready\n") + (1 << 20)


@pytest.mark.sweep
def test_children_that_were_there_before_are_somebody_elses(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    script = f'sleep 300 & echo $!; exec "{PY}" -m taskmasterd -c "{daemon.config}" -n 2>/dev/null'
    with subprocess.Popen(
        ["sh", "-c", script], env=daemon.environment, cwd=daemon.home, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        earlier = int(running.stdout.readline())
        wait_until(lambda: daemon.ctl("pid").returncode == 0)
        assert daemon.ctl("shutdown").returncode == 0
        assert running.wait(timeout=10) == 0
        assert process_exists(earlier)
        os.kill(earlier, signal.SIGKILL)


def test_a_shutdown_during_a_reload_answers_both_and_leaves_no_child(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    pid = daemon.pid
    daemon.write("programs:\n" + "".join(f"  p{n}: {{cmd: sleep 300, autostart: false}}\n" for n in range(3000)))
    with _connect(daemon) as channel, channel.makefile("rb") as replies:
        channel.sendall(b"reload\n")
        assert b"hello" in replies.readline()
        assert b"ack" in replies.readline()
        assert daemon.ctl("shutdown").returncode == 0
        said = [json.loads(line) for line in replies]
    assert said[-1]["type"] == "end"
    wait_until(lambda: not process_exists(pid))
    assert marked(daemon.socket) == []

"""Clients by the hundred that send garbage, read slowly or not at all, ask for too much, or go at once."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon, marked
from tests.support.talk import Talk
from tests.support.wait import wait_until
from tests.support.wire import ask, connect, crowd, descriptors, prompt_s, rss_mb, seconds_of_status

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"
SLEEPERS = "programs: {web: {cmd: sleep 300, starttime: 0, numprocs: 3}}"


def _pids(daemon: Daemon) -> list[int]:
    return [process["pid"] for message in ask(daemon, b"status") for process in message.get("processes", ())]


@pytest.mark.sweep
def test_garbage_and_half_requests_from_hundreds_of_clients_harm_nobody(daemon: Daemon) -> None:
    daemon.write(SLEEPERS)
    daemon.start()
    wait_until(lambda: None not in _pids(daemon))
    before, held = _pids(daemon), descriptors(daemon)
    dice = random.Random(4)
    pieces = [
        b"status",
        b" ",
        b"\n",
        b"\r",
        b"--",
        b"-",
        b"web",
        b"*",
        b":",
        b"=",
        b"\0",
        b"\xff",
        b"{",
        b"logs -f ",
        b"9" * 99,
    ]
    with crowd(daemon, 300) as clients:
        for number, client in enumerate(clients):
            text = dice.randbytes(2000) if number % 3 else b"".join(dice.choices(pieces, k=400))
            client.sendall(text if number % 2 else text.replace(b"\n", b" ") + b"x" * 50_000)
        worst = max(seconds_of_status(daemon) for _ in range(5))
        assert worst < prompt_s()
        assert rss_mb(daemon.pid) < 60
    wait_until(lambda: descriptors(daemon) <= held)
    assert _pids(daemon) == before
    assert "internal error" not in daemon.events()


@pytest.mark.sweep
def test_followers_and_subscribers_by_the_hundred_that_never_read_hold_up_nobody(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{flood: {{cmd: {PY} {PROGRAMS}/writes_lines.py 600007 linger, log_maxbytes: 1MB, autostart: false}}, "
        f"flaps: {{cmd: {PY} {PROGRAMS}/flaps.py 0.02, starttime: 0, restart_burst: 0}}}}"
    )
    daemon.start()
    with crowd(daemon, 120) as clients:
        for number, client in enumerate(clients):
            client.sendall(b"logs -f flood\n" if number % 2 else b"subscribe\n")
        ask(daemon, b"start --no-wait flood")
        worst = 0.0
        while b"000000600006" not in daemon.log("flood"):
            worst = max(worst, seconds_of_status(daemon))
        assert worst < prompt_s()
        assert rss_mb(daemon.pid) < 80


def test_no_single_request_holds_up_the_others(daemon: Daemon) -> None:
    names = "".join(f"  {'a' * 90}{number}: {{cmd: sleep 300, autostart: false}}\n" for number in range(400))
    daemon.write(f"programs:\n{names}")
    daemon.start()
    for words in (
        b"a* " * 20_000,
        b"*" + b"[b-c]" * 13_000,
        b"*" + b"a" * 60 + b"z",
        b"b" * 60_000,
        b"a" * 92 + b"x",
        b"all " * 16_000,
    ):
        with connect(daemon) as channel:
            channel.sendall(b"stop " + words[:65_000] + b"\n")
            assert seconds_of_status(daemon) < prompt_s(), words[:20]


@pytest.mark.sweep
def test_whole_logs_that_many_ask_for_and_nobody_reads_cost_no_memory(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, numprocs: 20, starttime: 0}}")
    (daemon.home / "log").mkdir()
    for number in range(20):
        (daemon.home / "log" / (f"p-{number}.log" if number else "p.log")).write_bytes(
            b"a line of the past\n" * 120_000
        )
    daemon.start()
    with crowd(daemon, 20) as clients:
        for client in clients:
            client.sendall(b"logs -n 1000000 all\n")
        assert seconds_of_status(daemon) < prompt_s()
        assert rss_mb(daemon.pid) < 60
        whole = sum(len(message.get("text", "")) for message in ask(daemon, b"logs -n 100000 all"))
        assert whole == 20 * 100_000 * len("a line of the past\n")


@pytest.mark.sweep
def test_clients_that_ask_to_follow_and_go_at_once_leave_no_descriptor(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: echo hello, starttime: 0, autorestart: never}}")
    daemon.start()
    daemon.wait_for("p", "EXITED")  # nothing is loaded on demand any more, which takes from the reserve for a moment
    assert daemon.log("p") == b"hello\n"
    held = descriptors(daemon)
    daemon.signal(signal.SIGSTOP)  # so that all of them have gone before the first is served
    for line in (b"logs -f p\n", b"logs -f p\nlogs -f p\nsubscribe\n", b"logs p\nstatus\nlogs -f p\n"):
        for _ in range(40):
            with connect(daemon) as channel:
                channel.sendall(line)
    daemon.signal(signal.SIGCONT)
    wait_until(lambda: descriptors(daemon) <= held)
    assert ask(daemon, b"pid p")[-1]["type"] == "end"


@pytest.mark.sweep
def test_a_stream_that_was_asked_for_after_a_wait_ends_with_its_client_and_what_follows_is_done(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sleep 300, starttime: 0.3, autostart: false}, q: {cmd: sleep 300, starttime: 0}, "
        "r: {cmd: sleep 300, starttime: 0}}"
    )
    daemon.start()
    daemon.wait_for("q", "RUNNING")
    daemon.wait_for("r", "RUNNING")
    held = descriptors(daemon)
    for stream, last in ((b"subscribe", b"stop q"), (b"logs -f q", b"stop r")):
        answer = ask(daemon, b"restart p\n" + stream + b"\n" + last)
        assert [message["verb"] for message in answer if message["type"] == "ack"][-1] == "stop"
    wait_until(
        lambda: [message["pid"] for message in ask(daemon, b"pid q r") if message["type"] == "pid"] == [None, None]
    )
    wait_until(lambda: descriptors(daemon) <= held)


@pytest.mark.sweep
def test_a_stopped_daemon_does_all_that_it_missed_when_it_goes_on(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0, numprocs: 20}}")
    daemon.start()
    wait_until(lambda: None not in _pids(daemon))
    old = _pids(daemon)
    daemon.signal(signal.SIGSTOP)
    for pid in old[:3]:
        os.kill(pid, signal.SIGKILL)
    with crowd(daemon, 40) as clients:
        for client in clients:
            client.sendall(b"restart p:7\n")
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGUSR1)
        daemon.signal(signal.SIGCONT)
        for client in clients:
            with client.makefile("rb") as replies:
                assert any(b'"type":"end"' in reply for reply in iter(replies.readline, b""))
    wait_until(lambda: {process["state"] for process in daemon.status().values()} == {"RUNNING"})
    new = daemon.status()
    assert {name for name, process in new.items() if process["pid"] not in old} == {"p:0", "p:1", "p:2", "p:7"}


def test_half_a_line_is_given_up_after_thirty_seconds_and_a_quiet_client_is_not(daemon: Daemon) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is not here")
    offset, draft = daemon.home / "offset", daemon.home / "draft"
    offset.write_text("+0")
    daemon.environment.update(LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(offset), FAKETIME_NO_CACHE="1")
    daemon.write("programs: {}")
    daemon.start()
    with connect(daemon) as half, connect(daemon) as quiet:
        half.sendall(b"sta")
        assert ask(daemon, b"pid")[-1]["exit"] == 0
        draft.write_text("+24s")  # as many seconds more as the test may be held up
        draft.replace(offset)
        assert ask(daemon, b"pid")[-1]["exit"] == 0
        half.sendall(b"tus")
        assert ask(daemon, b"pid")[-1]["exit"] == 0
        draft.write_text("+31s")
        draft.replace(offset)
        assert ask(daemon, b"pid")[-1]["exit"] == 0
        with half.makefile("rb") as replies:
            assert b"no complete line within 30 seconds" in replies.readlines()[-1]
        quiet.sendall(b"pid\n")
        with quiet.makefile("rb") as replies:
            assert [b"hello" in replies.readline(), b"ack" in replies.readline()] == [True, True]


@pytest.mark.sweep
def test_reloads_of_many_clients_at_once_are_merged_and_each_is_told_the_truth(daemon: Daemon) -> None:
    daemon.write(SLEEPERS)
    daemon.start()
    wait_until(lambda: None not in _pids(daemon))
    before = _pids(daemon)
    for text, exit_code in ((SLEEPERS.replace("300", "301"), 0), (SLEEPERS.replace("web", "all"), 6), (SLEEPERS, 0)):
        daemon.write(text)
        with crowd(daemon, 12) as clients:
            for client in clients:
                client.sendall(b"reload\n")
                client.shutdown(socket.SHUT_WR)
            for client in clients:
                with client.makefile("rb") as replies:
                    assert json.loads(replies.readlines()[-1])["exit"] == exit_code
        after = _pids(daemon)
        assert (set(after) & set(before) == set()) is (exit_code == 0)
        before = after
    assert daemon.events().count("reload: reading") < 20
    assert {process["restarts"] for message in ask(daemon, b"status") for process in message.get("processes", ())} == {
        0
    }


def test_a_program_may_ask_for_its_own_restart(daemon: Daemon) -> None:
    client = f"{sys.executable} -m taskmasterctl"
    daemon.write(
        f"programs: {{p: {{cmd: 'if [ -e flag ]; then exec sleep 300; fi; touch flag; {client} restart p; touch survived; sleep 300', "
        "shell: true, starttime: 0, stoptime: 5}}"
    )
    daemon.start()
    flag = daemon.home / "flag"
    wait_until(lambda: flag.exists() and "p restarting" in daemon.events() and None not in _pids(daemon))
    assert ask(daemon, b"start p")[-1]["exit"] == 0
    assert not (daemon.home / "survived").exists()
    wait_until(lambda: len(marked(daemon.socket)) == 1)


LONG = (
    "signal USR1 p*",
    "stop all",
    "stop --no-wait all",
    "restart --if-running all",
    "logs -n 1 all",
    "pid all",
    "show p*",
    "status " + " ".join(f"*[0-9]*[0-9]*{number}?" for number in range(32)),
    "subscribe " + " ".join(f"*[0-9]*[0-9]*{number}?" for number in range(32)),
)


@pytest.mark.sweep
def test_a_request_about_ten_thousand_processes_is_overtaken_by_a_short_one(daemon: Daemon) -> None:
    text = "".join(f", p{number}: {{cmd: sleep 300, autostart: false, numprocs: 2500}}" for number in range(4))
    daemon.write(f"programs: {{web: {{cmd: sleep 300, starttime: 0}}{text}}}")
    daemon.start()

    def overtaken(line: str) -> bool:
        with Talk(daemon, line) as slow, Talk(daemon) as quick:
            slow.until("ack")  # what is asked from now on comes after it
            assert quick.ask("status p0:1")[-1]["exit"] == 3
            return not slow.ended

    for line in LONG:  # several times, as the test itself may be held up for longer than the request takes
        assert any(overtaken(line) for _ in range(20)), line

"""The live upgrade: the daemon executes the installed code in its own place, and everything else goes on."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from taskmaster_common import __version__
from tests.support.daemon import PROGRAMS, Daemon, resident_kb
from tests.support.guarded import COUNTER, SLEEPER, ageless, config, is_counted
from tests.support.talk import Talk, upgrade
from tests.support.wait import wait_until
from tests.support.wire import ask, descriptors

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"


def test_programs_keep_pids_uptimes_counters_and_what_they_write(daemon: Daemon) -> None:
    daemon.write(
        config(count={"cmd": COUNTER, "shell": True, "starttime": 0, "log_maxbytes": "1MB"}, crashes="sleep 300")
    )
    daemon.start()
    os.kill(daemon.wait_for("crashes", "RUNNING")["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["crashes"]["restarts"] == 1)
    daemon.wait_for("crashes", "RUNNING")
    before, pid = daemon.status(), daemon.pid
    with Talk(daemon) as talk:
        up = talk.ask("version")[1]["uptime_s"]
        began = time.monotonic()
        told = upgrade(daemon)
        assert (told["pid"], told["before"], told["version"]) == (pid, __version__, __version__)
        assert 0 < told["seconds"] < time.monotonic() - began
        assert talk.ask("version")[1]["uptime_s"] > up, "the daemon is as old as before"
    after = daemon.status()
    for name in before:
        assert ageless(before[name]) == ageless(after[name])
        assert after[name]["uptime_s"] > before[name]["uptime_s"]
    wrote = len(daemon.log("count"))
    wait_until(lambda: len(daemon.log("count")) != wrote)
    os.kill(after["count"]["pid"], signal.SIGSTOP)
    assert daemon.ctl("stop", "count").returncode == 0
    files = sorted((daemon.home / "log").glob("count.log.*"), key=lambda path: -int(path.suffix[1:]))
    assert is_counted(b"".join(path.read_bytes() for path in files) + daemon.log("count"))


@pytest.mark.sweep
def test_deadlines_keep_their_moment_and_waits_are_answered_by_the_next_life(daemon: Daemon) -> None:
    # what is due after 7 s happens after 7 s, however often the daemon executes itself meanwhile; if an upgrade half-way restarted
    # the count, it would be 10.5 s
    fails = {"cmd": "exit 3", "shell": True, "restart_delay": 7, "startretries": 1}
    slow = {"cmd": "sleep 300", "starttime": 7, "autostart": False}
    deaf = {"cmd": f"{PY} {PROGRAMS}/ignores_term.py", "starttime": 0, "stoptime": 7}
    daemon.write(config(fails=fails, slow=slow, deaf=deaf))
    daemon.start()
    wait_until(lambda: daemon.log("deaf") == b"ready\n")
    with ExitStack() as stack:
        talks = {line: stack.enter_context(Talk(daemon, line)) for line in ("stop deaf", "start fails", "start slow")}
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 3.5)
        for _ in range(3):
            upgrade(daemon)
        for line, (outcome, ok) in {
            "start slow": ("started", True), "stop deaf": ("stopped", True), "start fails": ("failed", False),
        }.items():  # fmt: skip
            answer = talks[line].until("end")
            result = next(message for message in answer if message["type"] == "result")
            assert (result["outcome"], result["ok"]) == (outcome, ok), answer
            assert answer[-1]["exit"] == (0 if ok else 1)
            assert 6.8 < result["seconds"] < 10 or line == "start fails", (line, result)
            assert result["killed"] == (line == "stop deaf")
        assert any(message["type"] == "progress" for message in talks["start fails"].heard)


@pytest.mark.sweep
def test_who_waits_is_shown_a_sign_of_life_as_soon_as_the_next_life_begins(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 60, autostart: false}}")
    daemon.start()
    with Talk(daemon, "start p") as waiting:
        waiting.until("ack")
        upgrade(daemon)
        ask(daemon, b"pid")
        assert not waiting.silent, (
            "what is said at the beginning of a life is there before an answer of the first turns"
        )
        assert waiting.until("progress")[-1]["heartbeat"] is True


@pytest.mark.sweep
def test_a_reload_and_a_restart_that_were_under_way_are_answered(daemon: Daemon) -> None:
    polite = "trap 'sleep 0.5; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    daemon.write(config(polite=polite, other=polite))
    daemon.start()
    wait_until(lambda: daemon.log("polite") == daemon.log("other") == b"ready\n")
    before = daemon.status()
    daemon.write(config(polite=polite + " # changed", other=polite))
    with Talk(daemon, "reload") as reload, Talk(daemon, "restart other") as restart:
        reload.until("plan")
        restart.until("ack")
        upgrade(daemon)
        for talk, name, outcome in ((reload, "polite", "restarted"), (restart, "other", "restarted")):
            answer = talk.until("end")
            (result,) = [message for message in answer if message["type"] == "result"]
            assert (result["name"], result["outcome"], answer[-1]["exit"]) == (name, outcome, 0)
            assert result["seconds"] > 0.4
            assert result["pid"] not in (None, before[name]["pid"])


@pytest.mark.sweep
def test_requests_that_wait_on_a_connection_and_half_of_one_go_on(daemon: Daemon) -> None:
    slow = {"cmd": "sleep 300", "ready": {"exec": "test -e go", "interval": 0.1}, "autostart": False}
    daemon.write(config(slow=slow, other=slow))
    daemon.start()
    with Talk(daemon) as talk, Talk(daemon) as idle, Talk(daemon) as half_closed:
        talk.channel.sendall(b"start slow\npid slow\nupgrade\nversion\nsta")
        half_closed.channel.sendall(b"restart other\nversion\n")
        half_closed.channel.shutdown(1)
        assert upgrade(daemon)
        talk.channel.sendall(b"tus\n")
        (daemon.home / "go").touch()
        kinds = [answer[0]["verb"] for answer in (talk.until("end") for _ in range(5))]
        assert kinds == ["start", "pid", "upgrade", "version", "status"]
        assert all(message["exit"] == 0 for message in talk.heard if message["type"] == "end")
        assert idle.ask("version")[-1]["exit"] == 0
        assert [half_closed.until("end")[0]["verb"] for _ in range(2)] == ["restart", "version"]
        assert half_closed.channel.recv(1) == b"", "who ended his sending has his answers whole, and then the end"


@pytest.mark.sweep
def test_followers_read_on_exactly_where_they_were(daemon: Daemon) -> None:
    daemon.write(
        config(
            a={"cmd": COUNTER, "shell": True, "starttime": 0, "log_maxbytes": "200KB", "log_backups": 1000},
            b="i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done",
        )
    )
    daemon.start()
    wait_until(lambda: daemon.log("a") and daemon.log("b"))
    with (
        Talk(daemon, "logs -f -n 1000000 a") as fast,
        Talk(daemon, "logs -f -n 1000000 a b") as both,
        Talk(daemon, "logs -f -n 1000000 a") as slow,
    ):
        heard = [fast.output(300_000)]
        texts = {"a": b"", "b": b""}
        for _ in range(2):
            upgrade(daemon)
            heard.append(fast.output(300_000))
        while len(texts["b"]) < 60 or len(texts["a"]) < 500_000:
            message = both.next()
            assert message["type"] in ("ack", "output"), message
            if message["type"] == "output":
                texts[message["name"]] += message["text"].encode()
        assert is_counted(b"".join(heard)), "over rotations and two upgrades"
        assert is_counted(texts["a"])
        assert is_counted(texts["b"])
        assert is_counted(slow.output(600_000)), "who reads late has missed nothing as long as the files are there"


@pytest.mark.sweep
def test_a_large_past_that_is_read_slowly_is_told_to_its_end(daemon: Daemon) -> None:
    count = 40_000
    daemon.write(config(p={"cmd": f"{PY} {PROGRAMS}/writes_lines.py {count} linger", "starttime": 0}))
    daemon.start()
    wait_until(lambda: len(daemon.log("p")) == count * 100)
    with Talk(daemon, "logs -n 30000 p", "version") as reader:
        wait_until(lambda: not reader.silent)
        upgrade(daemon)
        answer = reader.until("end")
        text = "".join(message["text"] for message in answer if message["type"] == "output")
        assert text.encode() == daemon.log("p")[-3_000_000:]
        assert reader.until("end")[0]["verb"] == "version"


@pytest.mark.sweep
def test_subscribers_miss_nothing_and_hear_nothing_twice(daemon: Daemon) -> None:
    daemon.write(config(p="sleep 300", q="sleep 300"))
    daemon.start()
    for name in ("p", "q"):
        daemon.wait_for(name, "RUNNING")
    with Talk(daemon, "subscribe") as all_of_it, Talk(daemon, "subscribe q") as some, Talk(daemon) as operator:
        first = all_of_it.until("processes")[2]["sequence"]
        some.until("processes")
        for _ in range(3):
            assert operator.ask("restart p")[-1]["exit"] == 0
            upgrade(daemon)
        assert operator.ask("restart q")[-1]["exit"] == 0
        numbers: list[int] = []
        upgrades: list[int] = []
        while not numbers or (all_of_it.heard[-1].get("name"), all_of_it.heard[-1].get("state")) != ("q", "RUNNING"):
            message = all_of_it.next()
            if message["type"] == "upgraded":
                upgrades.append(message["pid"])
            else:
                assert message["type"] == "change", message
                numbers.append(message["sequence"])
        assert upgrades == [daemon.pid] * 3
        assert numbers == list(range(first + 1, first + 1 + len(numbers)))
        assert len(numbers) >= 4 * 3
        said = [some.next() for _ in range(6)]
        assert [each["type"] for each in said] == ["upgraded"] * 3 + ["change"] * 3
        assert {each["name"] for each in said[3:]} == {"q"}


@pytest.mark.sweep
def test_hundreds_of_clients_idle_deaf_and_asking_are_served_on(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    with ExitStack() as stack:
        idle = [stack.enter_context(Talk(daemon)) for _ in range(300)]
        deaf = stack.enter_context(Talk(daemon))
        deaf.channel.setblocking(False)
        try:
            while True:
                deaf.channel.send(b"help\n" * 1000)
        except BlockingIOError:
            deaf.channel.setblocking(True)
        idle[0].ask(
            "help"
        )  # what answers is loaded from now on; to load it takes the descriptors in reserve for a moment
        before = descriptors(daemon)
        upgrade(daemon)
        wait_until(lambda: descriptors(daemon) <= before)
        assert all(talk.ask("pid")[1]["pid"] == daemon.pid for talk in idle)
        deaf.channel.settimeout(20)
        for _ in range(100):
            assert deaf.until("end")[-1]["exit"] == 0


@pytest.mark.sweep
def test_the_reader_of_a_fifo_sees_no_end_and_a_renamed_log_is_written_on_until_it_is_reopened(daemon: Daemon) -> None:
    os.mkfifo(daemon.home / "fifo")
    count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"
    daemon.write(
        json.dumps({"programs": {
            "f": {"cmd": count, "shell": True, "starttime": 0, "stdout": str(daemon.home / "fifo")},
            "renamed": {"cmd": count, "shell": True, "starttime": 0},
            "mine": {"cmd": count, "shell": True, "starttime": 0, "stdout": "/dev/stdout"},
            "inherited": {"cmd": count, "shell": True, "starttime": 0, "stdout": "inherit"},
        }})
    )  # fmt: skip
    reader = os.open(daemon.home / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        daemon.start_foreground()
        log = daemon.home / "log" / "renamed.log"
        wait_until(log.exists)
        log.rename(log.with_suffix(".old"))
        told = (daemon.home / "stdout").stat().st_size
        got = b""
        for _ in range(2):
            upgrade(daemon)
            wait_until(lambda told=told: (daemon.home / "stdout").stat().st_size > told + 100)  # type: ignore[misc]
            told = (daemon.home / "stdout").stat().st_size
            got += _all_of(reader)
        while len(got) <= 20:
            select.select([reader], [], [], 20)
            got += _all_of(reader)
        assert is_counted(got)
        assert not log.exists()
        assert daemon.ctl("logs", "--reopen").returncode == 0
        wait_until(lambda: log.exists() and log.stat().st_size)
        daemon.ctl("stop", "renamed")
        assert is_counted(log.with_suffix(".old").read_bytes() + log.read_bytes())
    finally:
        os.close(reader)


def _all_of(fd: int) -> bytes:
    """Return what can be read now; fails at the end of the stream, which is when nobody holds it open for writing."""
    got = b""
    while True:
        try:
            piece = os.read(fd, 65_536)
        except BlockingIOError:
            return got
        assert piece, "every writer has closed the FIFO"
        got += piece


@pytest.mark.sweep
def test_what_a_full_device_costs_is_counted_on(daemon: Daemon) -> None:
    daemon.write(
        config(p={"cmd": "while :; do echo x; sleep 0.01; done", "shell": True, "starttime": 0, "stdout": "/dev/full"})
    )
    daemon.start()
    wait_until(lambda: "/dev/full: no space left" in daemon.events())
    upgrade(daemon)
    upgrade(daemon)
    assert daemon.events().count("no space left") == 1, "at most once a minute, whoever tells it"


@pytest.mark.sweep
def test_children_of_an_upgraded_daemon_get_three_descriptors_and_all_others_are_close_on_exec(daemon: Daemon) -> None:
    daemon.write(
        config(old=COUNTER, new={"cmd": f"{PY} {PROGRAMS}/dumps_itself.py stay", "autostart": False, "starttime": 0})
    )
    daemon.start()
    with Talk(daemon) as _idle, Talk(daemon, "logs -f old") as follower:
        follower.output(10)
        upgrade(daemon)
        assert daemon.ctl("start", "new").returncode == 0
        wait_until(lambda: daemon.log("new").endswith(b"}\n"))
        child = json.loads(daemon.log("new"))
        assert set(child["fds"]) <= {"0", "1", "2", "3"}
        assert int(child["blocked"], 16) == 0
        assert left_open(daemon.pid) == []


def left_open(pid: int) -> list[str]:
    """Return what a process would hand down to whatever it executes, besides 0, 1 and 2."""
    found = []
    for fd in sorted(map(int, os.listdir(f"/proc/{pid}/fd")))[3:]:
        with suppress(FileNotFoundError):  # closed since
            lines = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines()
            flags = next(line for line in lines if line.startswith("flags"))
            if not int(flags.split()[1], 8) & os.O_CLOEXEC:
                found.append(f"{fd} -> {os.readlink(f'/proc/{pid}/fd/{fd}')}")
    return found


@pytest.mark.sweep
@pytest.mark.timeout(400)  # thirty starts of a daemon
def test_many_upgrades_in_a_row_grow_nothing(daemon: Daemon) -> None:
    daemon.write(config(p=COUNTER, q={"cmd": "sleep 300", "starttime": 0, "numprocs": 20}))
    daemon.start()
    with Talk(daemon, "subscribe") as _subscriber, Talk(daemon, "logs -f q"):
        for _ in range(3):
            upgrade(daemon)
        written = len(daemon.log("p"))
        wait_until(lambda: len(daemon.log("p")) > written)  # now its log is open again
        fds, kb = descriptors(daemon), resident_kb(daemon.pid)
        for _ in range(27):
            upgrade(daemon)
        wait_until(lambda: descriptors(daemon) <= fds)
        wait_until(lambda: resident_kb(daemon.pid) < kb + 500)
    assert len(set(daemon.status())) == 21


@pytest.mark.root
def test_a_daemon_that_became_a_user_upgrades_too(make_daemon: Callable[..., Daemon]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    daemon = make_daemon()
    daemon.home.parent.chmod(0o755)
    os.chown(daemon.home, 65_534, 65_534)
    (daemon.home / "log").mkdir()
    os.chown(daemon.home / "log", 65_534, 65_534)
    daemon.write(
        f"{{taskmasterd: {{user: nobody, log_dir: {daemon.home}/log, state_dir: {daemon.home}, socket: {daemon.socket}, pidfile: {daemon.pidfile}}}, "
        f"programs: {{p: {{cmd: {json.dumps(COUNTER)}, shell: true, starttime: 0, workingdir: /}}}}}}"
    )
    daemon.config.chmod(0o644)
    done = daemon.launch()
    if "the interpreter" in done.stderr or "execute" in done.stderr:
        pytest.skip("the interpreter is out of nobody's reach")
    assert done.returncode == 0, done.stderr
    pid = daemon.status()["p"]["pid"]
    upgrade(daemon)
    assert daemon.status()["p"]["pid"] == pid
    assert os.stat(f"/proc/{daemon.pid}").st_uid == 65_534
    assert ask(daemon, b"stop p")[-1]["exit"] == 0
    assert is_counted(daemon.log("p"))

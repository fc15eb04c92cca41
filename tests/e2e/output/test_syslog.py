"""Output to syslog and to the journal: what arrives there, and what happens when nobody listens."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.listening import own_host
from tests.support.talk import upgrade
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
RSYSLOGD = shutil.which("rsyslogd", path="/usr/sbin:/sbin:/usr/bin")
TALK = "while read line; do printf '%s\\n' \"$line\"; done < fifo; sleep 300"


class Receiver:
    """A datagram socket that keeps what arrives."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(str(path) if path else ("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.got: list[bytes] = []

    def texts(self) -> list[bytes]:
        with suppress(BlockingIOError):
            while True:
                self.got.append(self.socket.recv(65_536))
        return self.got

    def close(self) -> None:
        self.socket.close()
        if self.path:
            self.path.unlink(missing_ok=True)


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(path: Path | None = None) -> Receiver:
        made.append(Receiver(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def held_by(pid: int) -> list[str]:
    """Return what a process has open, as /proc names it."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def written(daemon: Daemon, to: str, cmd: str, **more: object) -> None:
    """Write the configuration of a program `web` that logs to syslog at an address."""
    target = {"syslog": {"to": to, "facility": "local3"}}
    program = {
        "cmd": cmd,
        "shell": True,
        "starttime": 0,
        "stdout": target,
        "stderr": "stdout",
        "workingdir": str(daemon.home),
    }
    daemon.write(json.dumps({"programs": {"web": {**program, **more}}}))


def test_a_line_is_a_message_in_the_local_form_on_a_unix_socket(
    daemon: Daemon, receivers: Callable[..., Receiver]
) -> None:
    log = receivers(daemon.home / "log.sock")
    long = "x" * 9000
    written(
        daemon, f"unix:{log.path}", f"echo up; echo '<3>bad' >&2; printf 'a\\377\\n'; echo {long}; printf unfinished"
    )
    daemon.start()
    wait_until(lambda: len(log.texts()) == 5)
    pid = daemon.events().split("web started (pid ")[1].split(")")[0]
    head = rb"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d web\[" + pid.encode() + rb"\]: (.*)"
    found = [re.fullmatch(head, each, re.DOTALL) for each in log.texts()]
    texts = sorted((int(each[1]), each[2]) for each in found if each)
    usual = 19 * 8 + 6
    assert [each for each in texts if len(each[1]) < 99] == sorted(
        [(usual, b"up"), (19 * 8 + 3, b"bad"), (usual, b"a\xff"), (usual, b"unfinished")]
    )
    cut = max(log.texts(), key=len)
    assert len(cut) == 8192
    assert cut.endswith(b"x\xe2\x80\xa6")
    assert "syslog" in daemon.ctl("logs", "web").stderr
    shown = daemon.ctl("show", "web").stdout
    assert re.search(rf"\n    stdout +{{syslog: {{to: \"unix:{log.path}\", facility: local3}}}}\n", shown), shown
    assert f"syslog at unix:{log.path}, as web" in shown.split("log files:")[1]
    assert "stream=" not in shown


def test_where_no_log_daemon_listens_the_check_and_the_status_say_so(
    daemon: Daemon, receivers: Callable[..., Receiver]
) -> None:
    path = daemon.home / "log.sock"
    written(daemon, f"unix:{path}", "while echo up; do sleep 0.1; done")
    checked = daemon.launch("-t")
    assert (checked.returncode, f"no log daemon listens at {path}" in checked.stderr + checked.stdout) == (0, True)
    daemon.start()
    wait_until(lambda: f"output is lost: cannot send to unix:{path}" in daemon.status()["web"]["detail"])
    log = receivers(path)
    wait_until(lambda: bool(log.texts()))
    wait_until(lambda: "lost" not in daemon.status()["web"]["detail"])


def test_a_message_by_udp_is_whole_and_says_whose_it_is(daemon: Daemon, receivers: Callable[..., Receiver]) -> None:
    log = receivers()
    port = log.socket.getsockname()[1]
    written(daemon, f"udp:127.0.0.1:{port}", f"echo up >&2; echo {'y' * 10_000}; sleep 300")
    daemon.start()
    wait_until(lambda: len(log.texts()) == 2)
    head = re.compile(
        rb"<158>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (\S+) web \d+ - "
        rb'\[taskmaster@32473 program="web" instance="0" stream="(\w+)"\] (.*)'
    )
    found = {each[2]: each[3] for each in map(head.fullmatch, log.texts()) if each}
    assert found[b"stderr"] == b"up"
    assert found[b"stdout"].startswith(b"yyy")
    assert max(map(len, log.texts())) == 2048


def test_messages_by_tcp_have_their_length_before_them_and_stderr_a_severity_of_its_own(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        target = {"to": f"tcp:127.0.0.1:{server.getsockname()[1]}", "severity": {"stderr": 4}}
        cmd = f"echo up; echo bad >&2; echo {'y' * 10_000}; sleep 300"
        program = {"cmd": cmd, "shell": True, "starttime": 0, "stdout": {"syslog": target}, "stderr": "stdout"}
        daemon.write(json.dumps({"programs": {"web": program}}))
        daemon.start()
        found: list[bytes] = []
        for _ in range(2):  # one connection for each stream
            channel, _address = server.accept()
            channel.settimeout(20)
            with channel, channel.makefile("rb") as said:
                for _line in range(2 if not found or found[0].startswith(b"<28>") else 1):
                    length = b"".join(iter(lambda said=said: said.read(1), b" "))  # type: ignore[misc]
                    found.append(said.read(int(length)))
                    if found[-1].startswith(b"<28>"):
                        break
    texts = {each.split(b"] ", 1)[1]: each[: each.index(b">") + 1] for each in found}
    assert texts[b"up"] == b"<30>"
    assert texts[b"bad"] == b"<28>"
    assert max(map(len, found)) == 8192


@pytest.mark.sweep
def test_lines_arrive_after_the_log_daemon_and_ours_were_replaced(
    daemon: Daemon, receivers: Callable[..., Receiver]
) -> None:
    log = receivers(daemon.home / "log.sock")
    os.mkfifo(daemon.home / "fifo")
    written(daemon, f"unix:{log.path}", TALK)
    daemon.start()
    with (daemon.home / "fifo").open("w", buffering=1) as say:
        for number, way in enumerate(("", "log daemon", "kill", "upgrade")):
            if way == "log daemon":
                log.close()
                say.write("nobody hears this\n")
                wait_until(lambda: "bytes dropped" in daemon.events())
                log = receivers(daemon.home / "log.sock")
            elif way == "kill":
                daemon.kill()
                daemon.start()
            elif way == "upgrade":
                upgrade(daemon)
            say.write(f"line {number}\n")
            wait_until(lambda number=number, log=log: any(b"]: line %d" % number in each for each in log.texts()))  # type: ignore[misc]
    assert "log.sock can be written again; " in daemon.events()


@pytest.mark.sweep
def test_a_log_daemon_that_reads_nothing_costs_lines_and_nothing_else(
    daemon: Daemon, receivers: Callable[..., Receiver]
) -> None:
    log = receivers(daemon.home / "log.sock")
    written(daemon, f"unix:{log.path}", "seq 20000; touch done; sleep 300")
    daemon.start()
    wait_until((daemon.home / "done").exists)
    wait_until(lambda: "nobody reads it" in daemon.events())
    assert daemon.state("web") == "RUNNING"


@pytest.mark.sweep
@pytest.mark.skipif(RSYSLOGD is None, reason="rsyslogd is not installed")
def test_rsyslogd_understands_both_forms(daemon: Daemon) -> None:
    home, out = daemon.home, daemon.home / "out"
    host = own_host()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    (home / "rsyslog.conf").write_text(
        f"""module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
input(type="imuxsock" Socket="{home}/rsys.sock" UseSysTimeStamp="off")
input(type="imudp" port="{port}" address="{host}")
template(name="all" type="string" string="%app-name%|%procid%|%syslogfacility-text%|%syslogseverity-text%|%structured-data%|%msg%\\n")
action(type="omfile" file="{out}" template="all")
"""
    )
    server = subprocess.Popen(
        [str(RSYSLOGD), "-n", "-f", str(home / "rsyslog.conf"), "-i", str(home / "rsyslog.pid")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until((home / "rsys.sock").exists)
        wait_until(lambda: f":{port:04X} " in Path("/proc/net/udp").read_text())  # what comes earlier is lost
        local, remote = (
            {"syslog": {"to": to, "facility": "local1"}} for to in (f"unix:{home}/rsys.sock", f"udp:{host}:{port}")
        )
        program = {"cmd": "echo '<4>one: two'; sleep 300", "shell": True, "starttime": 0, "stderr": "null"}
        daemon.write(
            json.dumps({"programs": {"here": {**program, "stdout": local}, "there": {**program, "stdout": remote}}})
        )
        daemon.start()
        wait_until(lambda: out.exists() and out.read_text().count("\n") == 2)
        pids = {name: each["pid"] for name, each in daemon.status().items()}
        data = '[taskmaster@32473 program="there" instance="0" stream="stdout"]'
        assert sorted(out.read_text().splitlines()) == [
            f"here|{pids['here']}|local1|warning|-| one: two",
            f"there|{pids['there']}|local1|warning|{data}|one: two",
        ]
    finally:
        server.kill()
        server.wait()


def test_the_journal_gets_the_stream_of_the_program_itself(daemon: Daemon) -> None:
    path = daemon.home / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as journal:
        journal.bind(str(path))
        journal.listen()
        journal.settimeout(20)
        target = {"journal": {"to": f"unix:{path}", "severity": "notice"}}
        program = {"cmd": "echo up; echo bad >&2; sleep 300", "shell": True, "starttime": 0, "stdout": target}
        daemon.write(json.dumps({"programs": {"web": {**program, "stderr": "stdout"}}}))
        daemon.start()
        stream, _ = journal.accept()
        with stream, stream.makefile("rb") as said:
            assert [said.readline() for _ in range(9)] == [
                b"web\n", b"\n", b"5\n", b"1\n", b"0\n", b"0\n", b"0\n", b"up\n", b"bad\n",
            ]  # fmt: skip
            pid = daemon.status()["web"]["pid"]
            assert os.readlink(f"/proc/{pid}/fd/1").startswith("socket:")
            assert os.readlink(f"/proc/{pid}/fd/1") == os.readlink(f"/proc/{pid}/fd/2")
            assert os.readlink(f"/proc/{pid}/fd/1") not in held_by(daemon.pid), "the daemon has kept it"
            assert "journalctl -t web" in daemon.ctl("logs", "web").stderr
            daemon.kill()
            daemon.start()
            assert daemon.status()["web"]["pid"] == pid


@pytest.mark.sweep
def test_without_a_journal_the_start_fails_and_names_it(daemon: Daemon) -> None:
    target = {"journal": {"to": f"unix:{daemon.home}/none"}}
    daemon.write(json.dumps({"programs": {"web": {"cmd": "sleep 300", "startretries": 0, "stdout": target}}}))
    daemon.start()
    assert f"cannot reach the journal at {daemon.home}/none" in daemon.wait_for("web", "FATAL")["detail"]


def test_the_event_log_goes_to_syslog(daemon: Daemon, receivers: Callable[..., Receiver]) -> None:
    log = receivers(daemon.home / "events.sock")
    program = {"web": {"cmd": "exit 3", "shell": True, "startretries": 0}, "up": {"cmd": "sleep 300", "starttime": 0}}
    target = {"syslog": {"to": f"unix:{log.path}", "facility": "local5"}}
    daemon.write(json.dumps({"taskmasterd": {"logfile": target}, "programs": program}))
    daemon.start()
    wait_until(lambda: all(any(words in each for each in log.texts()) for words in (b"gave up", b"up started")))
    pid = daemon.pid
    found = [re.fullmatch(rb"<(\d+)>.{15} taskmasterd\[(\d+)\]: (.*)", each) for each in log.texts()]
    lines = {each[3].partition(b" (")[0]: (int(each[1]), int(each[2])) for each in found if each}
    assert lines[b"up started"] == (21 * 8 + 6, pid)
    assert (21 * 8 + 3, pid) in lines.values(), "the error"
    refused = daemon.ctl("logs", "--daemon")
    assert (refused.returncode, "syslog at unix:" in refused.stderr) == (1, True)
    assert "taskmasterctl events" in refused.stderr
    assert not list((daemon.home / "log").glob("taskmasterd.log*"))
    upgrade(daemon)
    wait_until(lambda: any(b"goes on after an upgrade" in each for each in log.texts()))
    daemon.kill()
    daemon.start()
    wait_until(lambda: any(b"took over 2 processes" in each for each in log.texts()))


@pytest.mark.sweep
def test_the_event_log_goes_to_the_journal_with_its_fields(daemon: Daemon, receivers: Callable[..., Receiver]) -> None:
    log = receivers(daemon.home / "native.sock")
    web = {"cmd": "exit 3", "shell": True, "startretries": 0, "autorestart": "never", "numprocs": 2}
    target = {"journal": {"to": f"unix:{log.path}"}}
    daemon.write(json.dumps({"taskmasterd": {"logfile": target}, "programs": {"web": web}}))
    daemon.start()
    wait_until(lambda: sum(b"gave up" in each for each in log.texts()) == 2)
    daemon.ctl("stop", "web")
    wait_until(lambda: sum(b"stopped by uid" in each for each in log.texts()) == 2)
    found = [dict(line.split(b"=", 1) for line in each.splitlines()) for each in log.texts()]
    first = found[0]
    assert first[b"MESSAGE"].startswith(b"taskmasterd ")
    assert (first[b"PRIORITY"], first[b"SYSLOG_IDENTIFIER"]) == (b"6", b"taskmasterd")
    assert b"TASKMASTER_PROGRAM" not in first
    said = {
        (each[b"MESSAGE"].split(b"(")[0].split(b":", 2)[1][2:9], each.get(b"TASKMASTER_EVENT")): each
        for each in found
        if each.get(b"TASKMASTER_INSTANCE") == b"1"
    }
    assert {b"started", b"failed", b"fatal", b"stopped"} >= {event for _text, event in said}
    assert said[b"started", b"started"][b"TASKMASTER_PROGRAM"] == b"web"
    assert said[b"gave up", b"fatal"][b"PRIORITY"] == b"3"
    assert said[b"stopped", b"stopped"][b"TASKMASTER_UID"] == str(os.getuid()).encode()

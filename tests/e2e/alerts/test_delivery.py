"""What alert rules deliver: by commands, mail, requests and datagrams. One daemon has a program for each test."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.alerts import (
    SLEEPER,
    act,
    bugs,
    configured,
    crash,
    error,
    got,
    rule,
    telling,
    waiting,
    warnings,
    words,
)
from tests.support.daemon import Daemon, process_exists
from tests.support.receivers import HOST, PASSWORD, USER, Certificate, Mailbox, Web, mail_server, web_server
from tests.support.wait import wait_until

NAMES = ("plain", "slow", "hung", "bad", "later", "mailed", "asked", "many", "local", "net", "mute")
HUNG = "echo $$ >> pids; trap '' TERM; sleep 86399 & wait; wait"
QUICK = {**SLEEPER, "cmd": "true", "autostart": False, "startretries": 0}


class Stage:
    """The daemon, and those who get its alerts."""

    def __init__(self, daemon: Daemon, mails: Mailbox, web: Web, local: socket.socket, net: socket.socket) -> None:
        self.daemon = daemon
        self.mails = mails
        self.web = web
        self.local = local
        self.net = net


def secret(home: Path, name: str, text: str) -> str:
    """Return the path of a file with a secret."""
    path = home / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def rules(home: Path, port: int, ours: Certificate, web: Web, net: int) -> dict[str, Any]:
    """Return a rule for each of NAMES, and some more."""
    server = {"to": "ops@example.org", "server": f"{HOST}:{port}", "ca": str(ours.path), "tls": "starttls"}
    good = {"user": USER, "password_file": secret(home, "good", PASSWORD)}
    wrong = {"user": USER, "password_file": secret(home, "wrong", "WRONG-PASSWORD")}
    found: dict[str, Any] = {
        "plain": telling("plain"),
        "slow": {**telling("slow"), "for": 4},
        "hung": {"cmd": {"cmd": HUNG, "shell": True}, "timeout": 3},
        "bad": {"cmd": "false", "events": ["*"]},
        "everything": telling("everything", events=["*"], targets=["bad"]),
        "later": {"cmd": {"cmd": "test -e ready || exit 75; cat >> later", "shell": True}},
        "mailed": {"mail": {**server, "auth": good}, "batch": 0},
        "refused": {"mail": {**server, "auth": wrong}, "batch": 0, "targets": ["mailed"]},
        "asked": {"http": {"url": web.url}, "batch": 0, "events": ["running"]},
        "many": telling("many", events=["exited"], at_most="5/1h"),
        "hundred": telling("hundred", events=["exited"], batch=0.2, targets=["many"]),
        "local": {"events": ["*"], "syslog": f"unix:{home}/log.sock"},
        "net": {"events": ["running"], "syslog": {"to": f"udp:{HOST}:{net}", "facility": "local1"}},
        "mute": {"events": ["*"], "syslog": f"unix:{home}/mute.sock"},
    }
    return {name: {"targets": [name], **value} for name, value in found.items()}


@pytest.fixture(scope="module")
def stage(share_daemon: Callable[[str], Daemon], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    ours, daemon = Certificate(tmp_path_factory.mktemp("certificate"), "ours"), share_daemon("")
    with (
        mail_server(ours, auth=True) as (port, mails),
        web_server() as web,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mute,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as net,
    ):
        local.bind(str(daemon.home / "log.sock"))
        mute.bind(str(daemon.home / "mute.sock"))
        net.bind((HOST, 0))
        for each in (local, net):
            each.settimeout(20)
        programs = {name: {**SLEEPER, "autostart": False} for name in NAMES}
        programs |= {"many": {**QUICK, "numprocs": 100}, "mute": {**QUICK, "numprocs": 200}}
        daemon.write(configured(rules(daemon.home, port, ours, web, net.getsockname()[1]), **programs))
        daemon.start()
        yield Stage(daemon, mails, web, local, net)
        assert bugs(daemon) == []


def contents(directory: Path, *without: str) -> str:
    """Return what is in all files below a directory, but for those of these names; some may go meanwhile."""
    found = ""
    for path in directory.rglob("*"):
        if path.is_file() and path.name not in without:
            with suppress(FileNotFoundError):
                found += path.read_bytes().decode("utf-8", "replace")
    return found


def begun(stage: Stage, name: str) -> Daemon:
    """Start a program; returns the daemon."""
    act(stage.daemon, f"start {name}")
    stage.daemon.wait_for(name, "RUNNING")
    return stage.daemon


def test_a_command_hears_of_trouble_and_of_its_end(stage: Stage) -> None:
    daemon = begun(stage, "plain")
    crash(daemon, "plain")
    wait_until(lambda: words(daemon, "plain") == ["exited"])
    begun(stage, "plain")
    wait_until(lambda: (daemon.home / "plain.said").read_text() == "exited plain EXITED\nrecovered plain RUNNING\n")
    first, second = got(daemon, "plain")
    assert (first["status"], second["was"]) == (9, "crash")
    act(daemon, "stop plain")
    assert error(daemon, "plain") == ""
    assert words(daemon, "plain") == ["exited", "recovered"]


@pytest.mark.sweep
def test_for_spares_what_is_over_soon_and_tells_the_rest_once(stage: Stage) -> None:
    daemon = begun(stage, "slow")
    crash(daemon, "slow")
    begun(stage, "slow")
    crash(daemon, "slow")
    wait_until(lambda: words(daemon, "slow") == ["exited"])
    begun(stage, "slow")
    wait_until(lambda: words(daemon, "slow") == ["exited", "recovered"])
    assert got(daemon, "slow")[1]["lasted"] >= 4


@pytest.mark.sweep
def test_a_hundred_ends_are_told_in_their_order_or_counted(stage: Stage) -> None:
    daemon = stage.daemon
    daemon.ctl("start", "many")
    wait_until(lambda: len(got(daemon, "hundred")) == 100)
    numbers = [event["seq"] for event in got(daemon, "hundred")]
    assert numbers == sorted(numbers)
    wait_until(lambda: waiting(daemon, "many") == 0)
    assert words(daemon, "many") == ["exited"] * 5


@pytest.mark.sweep
def test_a_command_that_hangs_is_ended_and_the_next_one_runs(stage: Stage) -> None:
    daemon = begun(stage, "hung")
    crash(daemon, "hung")
    begun(stage, "hung")
    pids = daemon.home / "pids"
    wait_until(lambda: pids.exists() and pids.read_text().count("\n") == 2, within_s=30)
    assert not process_exists(int(pids.read_text().split()[0]))
    wait_until(lambda: waiting(daemon, "hung") == 0)
    wait_until(lambda: "alert hung: it took longer than 3s" in warnings(daemon))


def test_a_failed_alert_is_an_event_that_no_rule_gets(stage: Stage) -> None:
    daemon = begun(stage, "bad")
    wait_until(lambda: "alert bad: dropped a message of 1 event: exit 1" in daemon.events())
    wait_until(lambda: "running" in words(daemon, "everything"))
    assert '"event":"alert-failed","rule":"bad","reason":"exit 1"' in contents(daemon.home / "history")
    assert "alert-failed" not in words(daemon, "everything")
    wait_until(lambda: "alert bad: exit 1" in warnings(daemon))  # until then it says how many events of others wait
    assert daemon.state("bad") == "RUNNING"


def test_exit_code_75_asks_for_another_try(stage: Stage) -> None:
    daemon = begun(stage, "later")
    crash(daemon, "later")
    wait_until(lambda: error(daemon, "later") == "exit 75")
    assert "alert later: 1 waits; exit 75" in warnings(daemon)
    (daemon.home / "ready").touch()
    wait_until(
        lambda: daemon.ctl("alert", "flush", "later").stdout == "alert later: 0 wait\n"
    )  # one on its way may fail
    assert words(daemon, "later") == ["exited"]
    assert error(daemon, "later") == ""


def test_trouble_goes_by_mail_and_a_wrong_password_stops_nobody_else_and_is_nowhere(stage: Stage) -> None:
    daemon = begun(stage, "mailed")
    crash(daemon, "mailed")
    wait_until(lambda: len(stage.mails.mails) == 1)
    wait_until(lambda: error(daemon, "refused").startswith("535 "))
    assert "mailed EXITED: killed by SIGKILL" in stage.mails.mails[0]["Subject"]
    assert stage.mails.secure == [True]
    body = stage.mails.mails[0].get_content()
    assert "  why       mailed is " in body
    assert "killed by SIGKILL" in body.split("  why ")[1]
    assert f"  do        taskmasterctl -s {daemon.socket} " in body
    tried = daemon.ctl("alert", "test", "refused")
    assert (tried.returncode, "C: ***" in tried.stdout, "535 " in tried.stderr) == (1, True, True)
    seen = tried.stdout + tried.stderr + daemon.ctl("alert").stdout + warnings(daemon) + daemon.launch("-T").stdout
    seen += contents(daemon.home, "good", "wrong", daemon.config.name)
    seen += "".join(Path(f"/proc/{daemon.pid}/{name}").read_text() for name in ("environ", "cmdline"))
    assert [word for word in (PASSWORD, "WRONG-PASSWORD", "SECRET") if word in seen] == []


def test_retry_after_is_obeyed_and_a_refusal_drops_the_message(stage: Stage) -> None:
    web, daemon = stage.web, stage.daemon
    web.requests.clear()  # that of `alert test`, if that test ran before
    web.answers = [(429, {"Retry-After": "1"}), (200, {}), (404, {})]
    begun(stage, "asked")
    wait_until(lambda: len(web.requests) == 2)
    assert web.requests[1].at - web.requests[0].at >= 1.0
    assert web.requests[0].body == web.requests[1].body
    act(daemon, "restart asked")
    wait_until(lambda: "alert asked: dropped a message of 1 event: 404 Not Found" in daemon.events())
    assert len(web.requests) == 3


def test_a_local_log_daemon_gets_everything_and_one_that_is_away_costs_nothing(stage: Stage) -> None:
    daemon, sign = begun(stage, "local"), f" taskmaster[{stage.daemon.pid}]: ".encode()
    while b"local RUNNING" not in (message := stage.local.recv(65536)):
        assert sign in message
    assert message.startswith(b"<30>")
    stage.local.close()
    (daemon.home / "log.sock").unlink()
    crash(daemon, "local")
    wait_until(lambda: "alert local: " in warnings(daemon))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(daemon.home / "log.sock"))
        again.settimeout(20)
        begun(stage, "local")
        assert sign in again.recv(65536)


@pytest.mark.sweep
def test_a_log_daemon_that_does_not_read_never_blocks_ours(stage: Stage) -> None:
    stage.daemon.ctl("start", "mute")
    wait_until(lambda: error(stage.daemon, "mute") == "nobody reads it")
    assert rule(stage.daemon, "mute")["waiting"] == 0


def test_udp_to_a_number_has_the_fields_of_rfc_5424(stage: Stage) -> None:
    begun(stage, "net")
    message = stage.net.recv(65536)
    assert message.startswith(b"<142>1 20")
    assert b' running [taskmaster@32473 program="net" instance="0" event="running" seq="' in message
    assert message.endswith(b"\xef\xbb\xbfnet RUNNING")


def test_alert_test_and_list_say_what_they_do(stage: Stage) -> None:
    daemon = stage.daemon
    listed = daemon.ctl("alert")
    assert [line.split()[0] for line in listed.stdout.splitlines()[:3]] == ["RULE", "plain", "slow"]
    assert "mail ops@example.org by 127.0.0.1:" in listed.stdout
    assert 'taskmaster_alerts_waiting{rule="plain"} 0\n' in daemon.ctl("metrics").stdout
    tried = daemon.ctl("alert", "test", "everything", "--event", "recovered")
    assert (tried.returncode, tried.stdout) == (0, "alert everything: delivered\n")
    assert daemon.ctl("alert", "test", "pgae").returncode == 5
    assert daemon.ctl("alert", "test", "plain", "--event", "fatl").returncode == 2
    document = json.loads(daemon.ctl("--json", "alert", "test", "asked").stdout)
    assert f"> POST http://{HOST}:{stage.web.port}/***" in [each["text"] for each in document["dialogue"]]
    assert document["alerts"][0]["rule"] == "asked"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_command_runs_as_its_user_with_its_variables(daemon: Daemon) -> None:
    text = 'echo "I am $(id -un) with $A in $PWD"'
    page = {"cmd": {"cmd": text, "shell": True}, "user": "nobody", "env": {"A": "b"}, "workingdir": "/"}
    daemon.write(configured({"page": page}))
    daemon.start()
    act(daemon, "alert test page")
    wait_until(lambda: "alert page: I am nobody with b in /\n" in daemon.events())

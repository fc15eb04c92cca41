"""One-shot commands against the real daemon: every row of the exit-code table, JSON of every verb, terminals, strangers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pexpect
import pytest

from taskmaster_common.commands.table import COMMANDS
from tests.support.daemon import Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

CONFIG = """
defaults: {restart_delay: 0.05, startretries: 1}
programs:
  web: {cmd: sleep 86400, numprocs: 2, starttime: 0}
  off: {cmd: sleep 86400, autostart: false}
  done: {cmd: "true", starttime: 0, autorestart: unexpected}
  bad: {cmd: "sh -c 'echo address already in use >&2; exit 1'", autostart: false, starttime: 30}
  nope: {cmd: /nonexistent/run, autostart: false}
  slow: {cmd: sleep 86400, autostart: false, starttime: 60}
  wide: {cmd: sleep 86400, starttime: 0, description: "%s"}
""" % ("words " * 30)  # fmt: skip


@pytest.fixture
def running(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon with a program of each kind, as wanted."""
    return _settled(make_daemon(CONFIG))


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """One of the same kind that no test changes."""
    return _settled(share_daemon(CONFIG))


def _settled(daemon: Daemon) -> Daemon:
    """Start it, and wait until what ends by itself has ended, and the others run."""
    daemon.start()
    daemon.wait_for("done", "EXITED")
    for name in ("web:0", "web:1", "wide"):
        daemon.wait_for(name, "RUNNING")
    return daemon


# -- exit codes


HEALTHY = (
    ("status", 0),
    ("status web", 0),
    ("status -q web", 0),
    ("status off", 3),
    ("status nosuch", 4),
    ("status web nosuch", 4),
    ("show web", 0),
    ("show nosuch", 4),
    ("logs nosuch", 4),
    ("pid nosuch", 4),
    ("pid off", 1),
    ("pid web", 0),
    ("version", 0),
    ("start web", 0),
    ("stop off", 0),
    ("stop nosuch", 5),
    ("stop web nosuch", 5),
    ("restart --if-running off", 0),
    ("signal CONT web", 0),
    ("signal CONT off", 1),
    ("signal NOPE web", 2),
    ("signal CONT nosuch", 5),
    ("reload", 0),
    ("reload --dry-run --exit-code", 0),
    ("reload web", 2),
    ("nosuch", 2),
    ("start", 2),
    ("start --nosuch web", 2),
    ("help nosuch", 2),
    ("--nosuch status", 2),
    ("--timeout 0.2 start slow", 124),
    ("status", 0),  # STARTING is as wanted
    ("status slow", 3),
    ("stop slow", 0),
    ("start bad", 1),
    ("start nope", 1),
    ("start web bad", 1),
    ("status", 3),
    ("status --failed", 3),
    ("stop bad nope", 0),
    ("status", 0),
)


@pytest.mark.slow
def test_every_row_of_the_table_of_exit_codes(running: Daemon) -> None:
    """Whatever ends with another code than 0 says why, unless it is told by the table of status itself."""
    pids = [running.status()[name]["pid"] for name in ("web:0", "web:1")]
    for line, code in HEALTHY:
        done = running.ctl(*line.split())
        assert done.returncode == code, (line, done)
        assert "Traceback" not in done.stderr
        assert bool(done.stderr) == (code not in (0, 3)) or "warning:" in done.stderr, (line, done)
    assert [running.status()[name]["pid"] for name in ("web:0", "web:1")] == pids, "start of what runs restarted it"


@pytest.mark.slow
def test_a_wrong_configuration_is_exit_6_and_touches_nothing(running: Daemon) -> None:
    pid = running.status()["web:0"]["pid"]
    running.write(CONFIG.replace("numprocs: 2", "numprosc: 3").replace("starttime: 60", "starttime: soon"))
    done = running.ctl("reload")
    assert done.returncode == 6
    assert "programs.web.numprosc: unknown key; did you mean numprocs?" in done.stderr
    assert 'programs.slow.starttime: "soon" is not a duration' in done.stderr
    assert running.status()["web:0"]["pid"] == pid
    assert running.ctl("reload", "--dry-run", "--exit-code").returncode == 6
    running.write(CONFIG.replace("numprocs: 2", "numprocs: 3"))
    assert running.ctl("reload", "--dry-run", "--exit-code").returncode == 1


ALONE = ("completion", "import", "export")
"""Verbs that need no daemon."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_without_a_daemon_a_verb_that_acts_is_7_and_one_that_looks_is_4(daemon: Daemon, command: object) -> None:
    name, acts, arguments = command.name, command.acts, command.arguments  # type: ignore[attr-defined]
    words = {
        "SIGNAL TARGET...": ("HUP", "web"), "TARGET...": ("web",), "TARGET [TEXT...]": ("web", "hello"),
        "TARGET COUNT": ("web", "2"), "TARGET": ("web",),
    }.get(arguments, ())  # fmt: skip
    done = daemon.ctl(name, *words)
    # health: as a HEALTHCHECK knows it; attach lacks a terminal first, and those that need no daemon their words
    others = {"help": 0, "health": 1, "attach": 2, **dict.fromkeys(ALONE, 2)}
    assert done.returncode == others.get(name, 7 if acts else 4)
    if name not in ("help", "attach", *ALONE):
        assert f"cannot reach taskmasterd at {daemon.socket}: no such file" in done.stderr
        assert "Start it:  taskmasterd -c" in done.stderr
    assert not daemon.pidfile.exists()


@pytest.mark.slow
def test_a_shutdown_says_what_it_did(running: Daemon) -> None:
    pid = running.pid
    done = running.ctl("shutdown")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"3 processes stopped, taskmasterd (pid {pid}) has ended\n",
        "",
    )
    _settled(running)
    assert running.ctl("-q", "shutdown").stdout == ""
    _settled(running)
    document = json.loads(running.ctl("--json", "shutdown").stdout)
    assert (document["stopped"], document["by"], document["exit"]) == (3, f"uid {os.geteuid()}", 0)
    _settled(running)
    pid = running.pid
    assert running.ctl("shutdown", "--no-wait").stdout == "shutdown requested\n"
    wait_until(lambda: not running.alive)


@pytest.mark.slow
def test_a_signal_that_stands_after_the_name_is_told_in_its_order(shared: Daemon) -> None:
    done = shared.ctl("signal", "web", "HUP")
    assert done.returncode == 2
    assert "the signal comes first: signal HUP web" in done.stderr
    assert "the signal comes first: signal 15 web off" in shared.ctl("signal", "web", "off", "15").stderr


@pytest.mark.slow
def test_status_and_the_event_log_tell_the_last_line_of_what_gave_up(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(
        "defaults: {restart_delay: 0.05, startretries: 0, starttime: 30}\n"
        "programs:\n"
        "  bad: {cmd: [sh, -c, 'echo out; printf \"first\\\\nin \\\\033[31muse\\\\n\" >&2; exit 1']}\n"
        "  good: {cmd: sleep 86400, starttime: 0}\n"
    ).start()
    wait_until(lambda: daemon.state("bad") == "FATAL")
    row = daemon.ctl("status", "bad").stdout.splitlines()[1]
    assert re.sub(r"after \d\.\ds", "after 0.0s", row).endswith('exit 1 after 0.0s: "in \\x1b[31muse" (try 1 of 1)')
    processes = json.loads(daemon.ctl("--json", "status").stdout)["processes"]
    assert {each["name"]: each.get("stderr") for each in processes} == {"bad": "in \x1b[31muse", "good": None}
    assert "bad last line of stderr: in \\x1b[31muse" in daemon.ctl("logs", "--daemon", "bad").stdout


@pytest.mark.slow
def test_show_can_be_pasted_and_its_json_has_types(make_daemon: Callable[..., Daemon]) -> None:
    words = ["sh", "-c", 'echo "it\'s" $0; exec sleep 300', "a b", "", "x\ny'"]
    program = {"cmd": words, "numprocs": 2, "starttime": 0.5, "env": {"B": "two words", "A": "1"}, "exitcodes": [0, 3]}
    daemon = make_daemon(
        json.dumps({"programs": {"web": program, "sh": {"cmd": "sleep 300 | cat", "shell": True}}})
    ).start()
    text = daemon.ctl("show", "web").stdout
    cmd = next(line for line in text.splitlines() if line.split()[:1] == ["cmd"]).split(None, 1)[1]
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {cmd}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == words
    settings = json.loads(daemon.ctl("--json", "show", "web").stdout)["programs"][0]["settings"]
    assert settings["cmd"] == words
    assert (settings["numprocs"], settings["starttime"], settings["exitcodes"]) == (2, 0.5, [0, 3])
    assert (settings["autostart"], settings["user"], settings["env"], settings["stopsignal"]) == (
        True,
        None,
        ["A", "B"],
        "TERM",
    )
    settings = json.loads(daemon.ctl("--json", "show", "--env", "web").stdout)["programs"][0]["settings"]
    assert settings["env"] == {"A": "1", "B": "two words"}
    assert "cmd                sleep 300 | cat\n" in daemon.ctl("show", "sh").stdout


@pytest.mark.slow
def test_show_says_when_and_by_whom_a_process_was_ended(running: Daemon) -> None:
    os.kill(running.status()["web:0"]["pid"], signal.SIGKILL)
    wait_until(lambda: running.status()["web:0"]["restarts"] == 1)
    told = next(line for line in running.ctl("show", "web").stdout.splitlines() if "killed by" in line)
    assert re.fullmatch(
        r" +web:0 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +killed by KILL, not by a stop of taskmasterd after .*, unexpected",
        told,
    )


@pytest.mark.slow
def test_a_refused_reload_says_whether_the_file_has_changed_since(running: Daemon) -> None:
    good = running.config.read_text()
    running.write("programs: {web: {cmd: [}}")
    assert running.ctl("reload").returncode == 6
    told = running.ctl("status").stderr
    assert f"in use:\n  {running.config}:1:" in told
    assert "Check it again:" in told
    running.write(good)
    assert "The file has changed since:" in running.ctl("status").stderr
    assert running.ctl("reload").returncode == 0
    assert running.ctl("status").stderr == ""


# -- why


@pytest.mark.slow
def test_a_failed_start_tells_why_the_last_words_and_the_next_step(running: Daemon) -> None:
    told = running.ctl("start", "bad").stderr
    assert "bad did not start: exit 1 after" in told
    assert "(try 2 of 2), now FATAL" in told
    assert "stderr: address already in use" in told
    assert f"Log:    {running.home}/log/bad.log" in told
    assert "taskmasterctl logs --stderr bad" in told
    told = running.ctl("start", "nope").stderr
    assert "cannot execute /nonexistent/run: no such file" in told


@pytest.mark.slow
def test_ctrl_c_ends_the_wait_and_the_start_goes_on(running: Daemon) -> None:
    code = (  # tests in the background of a shell have SIGINT ignored
        "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from taskmasterctl.cli import main; sys.exit(main(['start', 'slow']))"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code],
        env=running.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: running.state("slow") == "STARTING")
    client.send_signal(signal.SIGINT)
    told = client.communicate(timeout=20)[1]
    assert client.returncode == 130
    assert "no longer waiting for start of slow" in told
    assert "taskmasterctl status slow" in told
    assert running.state("slow") == "STARTING"


@pytest.mark.sweep
@pytest.mark.slow
def test_a_frozen_daemon_is_given_up_and_how_to_wake_it_is_told(shared: Daemon) -> None:
    shared.signal(signal.SIGSTOP)
    try:
        done = shared.ctl("status")
        quick = shared.ctl("--timeout", "0.3", "stop", "web")
    finally:
        shared.signal(signal.SIGCONT)
    assert done.returncode == 4
    assert "accepted the connection but did not answer within 5s" in done.stderr
    assert f"kill -CONT {shared.pid}" in done.stderr
    assert (quick.returncode, "did not answer after 0.3s" in quick.stderr) == (124, True)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_stranger_is_told_whose_socket_it_is_and_who_he_is(shared: Daemon) -> None:
    """The code is imported before the identity changes: an ordinary user may not be able to read this tree."""
    for directory in (shared.home.parent, shared.home):
        directory.chmod(0o755)
    code = (
        "import os, sys, grp, pwd; from taskmasterctl import cli; from taskmasterctl.connect import diagnose; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(cli.main(sys.argv[1:]))"
    )
    for words in (("status",), ("stop", "web")):
        done = subprocess.run(
            [sys.executable, "-c", code, "-s", str(shared.socket), *words],
            env=shared.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 4
        first, *hints = done.stderr.splitlines()
        assert first == f"taskmasterctl: cannot reach taskmasterd at {shared.socket}: permission denied"
        assert hints[0].strip() == "The socket is root:root srw-------."
        assert "(uid 65534)" in hints[1]


# -- JSON


JSON = (
    *(
        "status",
        "show web",
        "logs web",
        "logs --daemon -n 1",
        "logs --reopen",
        "pid",
        "pid web",
        "version",
        "start web",
    ),
    *("why", "why web", "events -n 2"),
    *("wait web", "deps", "deps --reverse web", "health", "check web"),
    *("stop off", "restart off", "signal CONT web", "signal --list", "reload", "reload --dry-run", "help", "help stop"),
    *("runs", "overrides", "disable off", "enable off", "scale web 2", "scale web file", "simulate web"),
    *("metrics", "top --once", "send web hello", "alert list"),
    *("-V", "--help", "nosuch", "start nosuch", "start bad", "upgrade", "shutdown"),
)
NO_ERRORS = ("start bad", "check web", "send web hello")
"""What ends with a code because of its results."""
STREAMS = {"attach", "subscribe", *ALONE}
"""Verbs that end only when somebody ends them, and those without a daemon: they have tests of their own."""


@pytest.mark.slow
def test_json_of_every_verb_has_a_schema_and_is_all_that_stdout_holds(running: Daemon) -> None:
    assert {line.split()[0] for line in JSON} >= {command.name for command in COMMANDS} - STREAMS
    for line in JSON:
        done = running.ctl("--json", *line.split())
        documents = [json.loads(each) for each in done.stdout.splitlines()]
        assert documents, line
        assert len(documents) == 1 or line.startswith(("logs", "events")), line
        assert all(document["schema"] == 1 for document in documents), line
        sample = line.startswith("top")  # one of many, or the only one
        assert documents[-1].get("exit", 0 if sample else None) == done.returncode, line
        assert ("error" in documents[-1] or not done.returncode) or line in NO_ERRORS, line


# -- terminals and pipes


def on_terminal(daemon: Daemon, columns: int, *words: str, **changes: str) -> str:
    """Return what the client writes to a terminal of that width."""
    client = pexpect.spawn(
        sys.executable,
        ["-m", "taskmasterctl", *words],
        env={**daemon.environment, "TERM": "xterm", **changes},
        dimensions=(24, columns),
        encoding="utf-8",
        timeout=20,
    )
    client.expect(pexpect.EOF)
    client.close()
    return str(client.before)


@pytest.mark.slow
def test_a_terminal_of_80_columns_is_never_wrapped_and_a_pipe_never_cut(shared: Daemon) -> None:
    shown = on_terminal(shared, 80, "status")
    plain = re.sub(r"\x1b\[\d*m", "", shown)
    assert max(len(line) for line in plain.split("\r\n")) == 80
    assert plain != shown
    assert "words " * 29 in on_terminal(shared, 80, "status", "--wide")
    piped = shared.ctl("status").stdout
    assert "words " * 29 in piped
    assert "\x1b" not in piped
    assert "\x1b" in shared.ctl("--color", "always", "status").stdout


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"TERM": "dumb"}, *in_the_sweep({"NO_COLOR": "1"})], ids=["TERM=dumb", "NO_COLOR"])
def test_a_terminal_that_wants_no_escapes_gets_none(running: Daemon, changes: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal(running, 80, "status", **changes)
    assert "\x1b" not in on_terminal(running, 80, "start", "bad", **changes)

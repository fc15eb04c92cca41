"""The shell on a terminal, against a real daemon: what one types, and what one sees."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from taskmaster_common import __version__
from taskmasterctl.shell.news import MOST_A_SECOND
from tests.support.daemon import PROGRAMS, Daemon, command_environment
from tests.support.forkserver import ForkServer
from tests.support.terminal import SHELL, Terminal
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

CONFIG = """
defaults: {starttime: 0}
programs:
  web: {cmd: sleep 300, numprocs: 2}
  cron: {cmd: sleep 300, autostart: false}
  a@b+c.d-1: {cmd: sleep 300, autostart: false}
"""
CTRL_C, CTRL_D, CTRL_R, CTRL_U, CTRL_Z, TAB, RIGHT = "\x03", "\x04", "\x12", "\x15", "\x1a", "\t", "\x1b[C"

OpenShell = Callable[..., Terminal]


@pytest.fixture(scope="module")
def shells() -> Iterator[ForkServer | None]:
    """Run the shells, where the system can say of a child when it ends."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    server = ForkServer(command_environment(Path("/nonexistent")), SHELL)
    yield server
    server.close()


@pytest.fixture
def open_shell(shells: ForkServer | None) -> Iterator[OpenShell]:
    """Open the shell of a daemon in a terminal."""
    with ExitStack() as stack:

        def opened(
            daemon: Daemon,
            *words: str,
            size: tuple[int, int] = (80, 24),
            until: str = "taskmaster>",
            **environment: str,
        ) -> Terminal:
            variables = {**daemon.environment, **environment}
            terminal = stack.enter_context(Terminal(variables, words, size=size, forks=shells))
            if until:
                terminal.prompt(until)
            return terminal

        yield opened


@pytest.fixture
def running(daemon: Daemon) -> Daemon:
    daemon.write(CONFIG)
    return up(daemon)


@pytest.fixture(scope="module")
def standing(share_daemon: Callable[[str], Daemon]) -> Daemon:
    return up(share_daemon(CONFIG))


def up(daemon: Daemon) -> Daemon:
    """Start it, and wait until what starts by itself runs."""
    daemon.start()
    for name in ("web:0", "web:1"):
        daemon.wait_for(name, "RUNNING")
    return daemon


@pytest.fixture
def shared(standing: Daemon) -> Daemon:
    """A daemon that no test changes, and no history of its shells."""
    (standing.home / "shell-history").unlink(missing_ok=True)
    return standing


def test_it_opens_with_who_is_there_and_how_everything_is(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared)
    rows = shell.rows()
    assert rows[0] == f"taskmasterd {__version__} (pid {shared.pid}) at {shared.socket}; type help"[:80]
    head = next(at for at, row in enumerate(rows) if row.startswith("NAME"))  # the first line may be longer than a row
    assert [row.split()[:2] for row in rows[head : head + 5]] == [
        ["NAME", "STATE"],
        ["web:0", "RUNNING"],
        ["web:1", "RUNNING"],
        ["cron", "STOPPED"],
        ["a@b+c.d-1", "STOPPED"],
    ]
    shell.see(f"2/4 running  2 stopped | taskmasterd {__version__} up")


def test_quiet_opens_with_the_prompt_alone(shared: Daemon, open_shell: OpenShell) -> None:
    assert open_shell(shared, "-q").rows()[0] == "taskmaster>"


def test_tab_completes_verbs_with_their_description_and_names_with_their_state(
    running: Daemon, open_shell: OpenShell
) -> None:
    shell = open_shell(running)
    shell.type(f"sto{TAB}")
    shell.prompt("taskmaster> stop")
    shell.type(CTRL_U + "sta" + TAB)
    shell.see("start   start programs and wait until they run")
    shell.type("rt " + TAB)
    shell.see("cron       stopped: not started")

    def offered() -> list[str]:
        rows = shell.rows()
        first = next((at for at, row in enumerate(rows) if row.lstrip().startswith("cron       stopped")), len(rows))
        return [row.split()[0] for row in rows[first : first + 6] if row]

    wait_until(lambda: offered() == ["cron", "a@b+c.d-1", "web", "web:0", "web:1", "all"])
    shell.type("a@" + TAB)
    shell.prompt("taskmaster> start a@b+c.d-1")
    shell.type("\r")
    shell.see("a@b+c.d-1 started (pid ")
    assert running.state("a@b+c.d-1") == "RUNNING"


def test_tab_after_signal_offers_signals_and_then_names(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared)
    shell.type("signal " + TAB)
    shell.see("hang up; many daemons reload their configuration")
    assert "web:0" not in "\n".join(row for row in shell.rows() if row.startswith("  "))
    shell.type("usr1" + TAB)
    shell.prompt("taskmaster> signal USR1")
    shell.type("web:1" + TAB)
    shell.prompt("taskmaster> signal USR1 web:1")


@pytest.mark.sweep
def test_completion_knows_a_program_that_a_reload_brought(running: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(running)
    running.write(CONFIG + "  zebra: {cmd: sleep 300}\n")
    assert running.ctl("reload").returncode == 0
    shell.see("3/5 running")
    shell.type("stop ze" + TAB)
    shell.prompt("taskmaster> stop zebra")


def test_ctrl_c_clears_the_line_and_ctrl_d_on_an_empty_one_leaves(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared)
    shell.type("stop web")
    shell.prompt("taskmaster> stop web")
    shell.type(CTRL_C)
    shell.prompt()
    shell.type("x")
    shell.prompt("taskmaster> x")
    shell.type(CTRL_D)  # not empty: nothing to the right of the cursor, so nothing happens
    shell.type("\x7f")
    shell.prompt()
    shell.type(CTRL_D)
    assert shell.ended() == (0, None)
    assert shell.modes_now() == shell.modes
    assert shared.state("web:0") == "RUNNING"
    assert shared.alive


def test_several_commands_stand_on_one_line_and_errors_say_what_instead(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, "-q")
    shell.type("pid web:0; statsu;stop wbe ; pid web:1\r")
    shell.see("did you mean web?")
    shell.prompt()
    pids = [str(shared.status()[name]["pid"]) for name in ("web:0", "web:1")]
    assert shell.rows()[1:6] == [
        pids[0],
        'taskmasterctl: unknown verb "statsu"; did you mean status?',
        "  type `help` for the verbs",
        'taskmasterctl: no program named "wbe"; did you mean web?',
        pids[1],
    ]
    shell.type("stop 'web\r")
    shell.see("no closing quotation")
    shell.type("\r  \r# nothing\r")
    shell.type("help notify\r")
    shell.see("usage: notify [on|off]")
    shell.type("exit now\r")
    shell.see('exit does not take "now"')
    shell.type("quit\r")
    assert shell.ended() == (0, None)


def test_shutdown_asks_here_and_only_yes_means_yes(running: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(running)
    for answer in ("\r", "n\r", CTRL_C, CTRL_D):
        shell.type("shutdown\r")
        shell.prompt("Stop all programs and the daemon? [y/N]")
        shell.type(answer)
        shell.see("nothing was stopped")
        shell.prompt()
        shell.type("\x0c")  # Ctrl-L
        wait_until(lambda: "nothing was stopped" not in shell.text())
    shell.type("shutdown\r")
    shell.prompt("Stop all programs and the daemon? [y/N]")
    shell.type("y\r")
    shell.prompt("taskmaster (disconnected)>")
    wait_until(lambda: not running.pidfile.exists())


@pytest.mark.sweep
def test_ctrl_c_ends_a_follow_of_bytes_that_are_no_text_and_the_shell_goes_on(
    daemon: Daemon, open_shell: OpenShell
) -> None:
    daemon.write(
        "programs: {talk: {cmd: [sh, -c, 'while :; do printf \"caf\\\\303\\\\251 \\\\377\\\\376 raw\\\\n\"; sleep 0.05; done']}}"
    )
    shell = open_shell(daemon.start(), "-q")
    shell.type("logs -f -n 0 talk\r")
    shell.see("caf\u00e9 \\xff\\xfe raw")
    shell.type(CTRL_C)
    shell.prompt()
    shell.type("pid talk\r")
    shell.see(str(daemon.status()["talk"]["pid"]))
    shell.prompt()
    shell.type(CTRL_D)
    assert shell.ended() == (0, None)
    assert shell.modes_now() == shell.modes


@pytest.mark.sweep
def test_ctrl_c_ends_the_wait_and_not_the_operation(daemon: Daemon, open_shell: OpenShell) -> None:
    daemon.write(
        f"programs: {{deaf: {{cmd: {sys.executable} -S {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 5}}}}"
    )
    shell = open_shell(daemon.start(), "-q")
    wait_until(lambda: daemon.log("deaf"))
    shell.type("stop deaf; pid\r")
    wait_until(lambda: daemon.state("deaf") == "STOPPING")
    shell.type(CTRL_C)
    shell.see("It goes on in the daemon.")
    shell.prompt()
    assert str(daemon.pid) not in shell.text()
    daemon.wait_for("deaf", "STOPPED")


@pytest.mark.sweep
def test_a_storm_of_changes_keeps_the_typed_text_and_is_counted(daemon: Daemon, open_shell: OpenShell) -> None:
    daemon.write(
        "programs: {flap: {cmd: sh -c 'exit 3', numprocs: 40, autostart: false, startretries: 4, restart_delay: 0.01,"
        " restart_max_delay: 0.01, starttime: 30}}"
    )
    shell = open_shell(daemon.start(), "-q")
    shell.type("stop fl")
    shell.prompt("taskmaster> stop fl")
    began = time.monotonic()
    daemon.ctl("start", "flap", "--no-wait")
    wait_until(lambda: all(each["state"] == "FATAL" for each in daemon.status().values()), within_s=20)
    shell.type("ap")
    shell.see("40 fatal")
    wait_until(lambda: sum(_counted(shell)) == 200)
    counted, told = _counted(shell)
    assert told <= MOST_A_SECOND * (time.monotonic() - began + 2)
    assert counted > told
    shell.prompt("taskmaster> stop flap")


def _counted(shell: Terminal) -> tuple[int, int]:
    """Return how many changes were counted only, and how many were told."""
    rows = shell.everything()
    counted = sum(int(row.split()[1]) for row in rows if row.startswith("... "))
    return counted, sum(" -> " in row for row in rows)


@pytest.mark.sweep
def test_notify_off_leaves_the_line_alone(daemon: Daemon, open_shell: OpenShell) -> None:
    daemon.write(
        "programs: {bad: {cmd: sh -c 'exit 3', autostart: false, startretries: 1, restart_delay: 0.01, starttime: 30}}"
    )
    shell = open_shell(daemon.start(), "-q")
    shell.type("notify off\r")
    shell.see("notify is off")
    daemon.ctl("start", "bad")
    shell.see("1 fatal")
    assert " -> " not in shell.text()
    shell.type("notify on\r")
    shell.see("notify is on")
    daemon.ctl("start", "bad")
    shell.see("bad STARTING -> FATAL (exit 3 after")


@pytest.mark.sweep
def test_what_a_command_has_told_is_not_told_again(daemon: Daemon, open_shell: OpenShell) -> None:
    daemon.write(
        "programs: {bad: {cmd: sh -c 'exit 3', autostart: false, startretries: 1, restart_delay: 0.01, starttime: 30}}"
    )
    shell = open_shell(daemon.start(), "-q")
    shell.type("start bad\r")
    shell.see("now FATAL")
    shell.see("1 fatal")
    shell.type("pid\r")
    shell.see(str(daemon.pid))
    assert " -> " not in shell.text()


def test_a_daemon_that_dies_and_comes_back_is_told_once_each_and_nothing_is_repeated(
    running: Daemon, open_shell: OpenShell
) -> None:
    shell = open_shell(running)
    shell.type("stop web:1\r")
    shell.see("web:1 stopped")
    shell.prompt()
    shell.type("start cr")
    shell.prompt("taskmaster> start cr")
    assert running.ctl("shutdown").returncode == 0
    shell.prompt("taskmaster (disconnected)> start cr")
    shell.see(f"no connection to taskmasterd at {running.socket}"[:70])
    running.start()
    shell.prompt("taskmaster> start cr")
    shell.see("2/4 running")
    shell.see("connected to taskmasterd again")
    text = shell.text()
    assert text.count("taskmasterd was shut down by ") == 1
    assert "is lost" not in text
    assert text.count(f"connected to taskmasterd again ({__version__}, pid {running.pid})") == 1
    assert running.state("web:1") == "RUNNING"
    assert "cron" not in running.events().rpartition(f"taskmasterd {__version__} started")[2]
    shell.type("on\r")
    shell.see("cron started (pid ")


def test_a_daemon_that_is_killed_under_a_running_wait_leaves_the_shell_usable(
    daemon: Daemon, open_shell: OpenShell
) -> None:
    daemon.write("programs: {slow: {cmd: sleep 300, starttime: 60, autostart: false}}")
    shell = open_shell(daemon.start(), "-q")
    shell.type("start slow\r")
    wait_until(lambda: daemon.state("slow") == "STARTING")
    daemon.signal(signal.SIGKILL)
    shell.see("the daemon closed the connection")
    shell.prompt("taskmaster (disconnected)>")
    shell.type("status\r")
    shell.see("cannot reach taskmasterd")
    shell.prompt("taskmaster (disconnected)>")


def test_without_a_daemon_it_opens_and_says_why(daemon: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(daemon, until="taskmaster (disconnected)>")
    shell.see("cannot reach taskmasterd at")
    assert "no such file" in shell.text().replace("\n", "")
    daemon.write("programs: {}")
    daemon.start()
    shell.prompt("taskmaster>")


def test_it_fits_another_size_and_a_narrow_one_has_no_toolbar(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, "-q", size=(60, 12))
    shell.see("2/4 running")
    shell.type("restart web")
    shell.prompt("taskmaster> restart web")
    shell.resize(39, 10)
    wait_until(lambda: "running |" not in shell.text())
    shell.prompt("taskmaster> restart web")
    shell.resize(80, 24)
    shell.see("2/4 running  2 stopped | taskmasterd")
    shell.prompt("taskmaster> restart web")


def test_forty_columns_and_ten_lines_are_enough(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, size=(40, 10))
    shell.type("start " + TAB)
    shell.see("cron")
    shell.type(CTRL_C)
    shell.prompt()
    shell.type("status --watch\r")
    shell.see("  2/4 running")  # the head of a frame; the toolbar has one blank
    shell.type(CTRL_C)
    shell.prompt()
    assert "too small" not in " ".join(shell.everything()), "as prompt_toolkit says where it has no room"


def test_the_history_is_private_and_offers_itself_again(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, "-q")
    shell.type("pid web:1\rversion\r")
    shell.see(f"taskmasterd {__version__} (protocol 2)")
    shell.prompt()
    shell.type(CTRL_D)
    shell.ended()
    history = shared.home / "shell-history"
    assert history.read_text() == "pid web:1\nversion\n"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    again = open_shell(shared, "-q")
    again.type("pi")
    again.see("taskmaster> pid web:1")  # grey: a suggestion
    again.type(RIGHT + "\r")
    again.see(str(shared.status()["web:1"]["pid"]))
    again.prompt()
    again.type(CTRL_R + "vers")
    again.see("version")
    again.type("\r\r")
    again.see(f"taskmasterd {__version__} (protocol 2)")


@pytest.mark.sweep
def test_a_history_that_cannot_be_kept_is_one_warning(running: Daemon, open_shell: OpenShell) -> None:
    (running.home / "shell-history").mkdir()
    shell = open_shell(running, "-q")
    shell.see("taskmasterctl: warning: the history is not kept")
    shell.type("version\r")
    shell.see("protocol 2")
    shell.prompt()
    assert shell.text().count("warning") == 1


@pytest.mark.parametrize(
    ("number", "busy"),
    [
        (signal.SIGTERM, False),
        (signal.SIGHUP, True),
        *in_the_sweep((signal.SIGTERM, True), (signal.SIGHUP, False)),
    ],
)
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(
    shared: Daemon, open_shell: OpenShell, number: int, busy: bool
) -> None:
    shell = open_shell(shared, "-q")
    shell.type("half typed" if not busy else "logs -f web:0\r")
    shell.see("half typed" if not busy else "logs -f")
    os.kill(shell.child.pid, number)
    assert shell.ended() == (None, number)
    assert shell.modes_now() == shell.modes
    assert shell.raw.rfind(b"\x1b[?2004l") >= shell.raw.rfind(b"\x1b[?2004h")
    assert b"Traceback" not in shell.raw


DROPS = """
import os, signal, sys
from taskmasterctl.options import Options
from taskmasterctl.shell.shell import CommandLine, run_shell
from taskmasterctl.connect.sockets import Sockets

class Gone:
    def __del__(self):  # what a destructor raises is dropped, a signal's exception too
        if sys.argv[2] == "hup":
            os.kill(os.getpid(), signal.SIGHUP)
        raise ValueError("of another kind")

command_line = CommandLine(lambda _options, _words: bool(Gone()) and 0, lambda pieces: None, lambda _uid: "")
run_shell(Options(quiet=True), command_line, Sockets(("/nowhere",)), sys.argv[1], plain=True)
"""


def drops(daemon: Daemon, what: str, typed: str) -> tuple[int, bytes]:
    """Type into a shell whose commands drop an exception of that kind; return how it ended and its stderr."""
    ours, terminal = os.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", DROPS, str(daemon.home), what],
            stdin=terminal,
            env=daemon.environment,
            stderr=subprocess.PIPE,
        ) as child:
            os.write(ours, typed.encode())
            said = child.communicate(timeout=60)[1]
            return child.returncode, said
    finally:
        os.close(ours)
        os.close(terminal)


def test_a_signal_whose_exception_is_dropped_on_its_way_ends_it_all_the_same_and_prints_nothing(daemon: Daemon) -> None:
    assert drops(daemon, "hup", "pid\n") == (-signal.SIGHUP, b"")


def test_another_exception_that_is_dropped_is_printed_as_ever(daemon: Daemon) -> None:
    status, said = drops(daemon, "error", f"pid\n{CTRL_D}")
    assert status == 0
    assert b"ValueError: of another kind" in said


@pytest.mark.sweep
def test_ctrl_z_stops_it_with_a_sound_terminal_and_it_comes_back(shared: Daemon) -> None:
    job_control = ("sh", "-c", 'set -m; "$@"; echo it stands still; read go; fg', "sh")
    with Terminal(shared.environment, ["-q"], under=job_control) as shell:
        shell.prompt()
        shell.type("stop w")
        shell.prompt("taskmaster> stop w")
        shell.type(CTRL_Z)
        shell.see("it stands still")
        assert shell.modes_now() == shell.modes
        shell.type("\r")
        shell.prompt("taskmaster> stop w")
        shell.type("eb" + CTRL_C + CTRL_D)
        shell.ended()
        assert shell.modes_now() == shell.modes


@pytest.mark.skipif(not shutil.which("less"), reason="no less")
def test_a_long_answer_goes_through_less_and_the_shell_goes_on_after_it(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, "-q", PAGER="less")
    shell.type("show web; pid web:0\r")
    wait_until(lambda: shell.rows()[-1] == ":")
    assert "log files:" not in shell.text()
    shell.type("G")
    shell.see("log files:")
    shell.type("!")
    shell.see("not available")  # it would be root's shell behind sudo
    shell.type("\rq")
    shell.prompt()
    assert str(shared.status()["web:0"]["pid"]) in [row.strip() for row in shell.rows()]
    shell.type("--no-pager show web\r")
    shell.see("log files:")
    shell.prompt()


def test_a_dumb_terminal_gets_no_escape_sequence(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, TERM="dumb")
    shell.type("pid web:0\r")
    answer = str(shared.status()["web:0"]["pid"])
    wait_until(lambda: answer in (row.strip() for row in shell.rows()))  # it stands in the table above, too
    shell.prompt()
    shell.type("half")
    shell.prompt("taskmaster> half")
    shell.type(CTRL_C)
    shell.see("^C")
    shell.prompt()
    shell.type("shutdown\rn\r")
    shell.see("nothing was stopped")
    shell.prompt()
    shell.type(CTRL_D)
    assert shell.ended() == (0, None)
    assert b"\x1b" not in shell.raw


def test_no_color_means_no_colour(shared: Daemon, open_shell: OpenShell) -> None:
    shell = open_shell(shared, NO_COLOR="1")
    shell.see("2/4 running")
    assert b"\x1b[32m" not in shell.raw
    assert b"\x1b[0;33m" not in shell.raw


def test_status_watch_redraws_in_place_until_ctrl_c(running: Daemon, open_shell: OpenShell) -> None:
    watch = open_shell(running, "status", "--watch", until="")
    watch.see("2/4 running")
    assert running.ctl("start", "cron").returncode == 0
    watch.see("3/4 running")
    wait_until(lambda: [row.split()[1] for row in watch.rows() if row.startswith("cron ")] == ["RUNNING"])
    watch.type(CTRL_C)
    assert watch.ended() == (130, None)


def test_q_leaves_status_watch_and_the_terminal_is_as_it_was(running: Daemon, open_shell: OpenShell) -> None:
    watch = open_shell(running, "status", "--watch", until="")
    watch.see("(q leaves)")
    watch.type("xq")
    assert watch.ended() == (0, None)
    assert watch.modes_now() == watch.modes

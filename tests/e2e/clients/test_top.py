"""`top` on a real terminal, with a real daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest

from tests.support.daemon import ROOT, Daemon, process_exists
from tests.support.forkserver import ForkServer
from tests.support.guarded import all_new
from tests.support.talk import Talk
from tests.support.terminal import Terminal
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import crowding

CONFIG = """
defaults: {starttime: 0, restart_delay: 0.05}
programs:
  web: {cmd: "sh -c 'echo hello $TASKMASTER_INSTANCE; sleep 86400 & wait'", numprocs: 4}
  db: {cmd: sleep 86400}
  mailer: {cmd: "sh -c 'exit 3'", startretries: 0, starttime: 30}
  off: {cmd: sleep 86400, autostart: false}
"""


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon whose processes no test changes."""
    return up(share_daemon(CONFIG))


def up(daemon: Daemon) -> Daemon:
    """Start it, and wait until its processes have settled."""
    daemon.start()
    daemon.wait_for("mailer", "FATAL")
    for name in ("web:0", "web:1", "web:2", "web:3", "db"):
        daemon.wait_for(name, "RUNNING")
    return daemon


def screen(
    daemon: Daemon,
    *words: str,
    forks: ForkServer | None = None,
    size: tuple[int, int] = (80, 24),
    variables: dict[str, str] | None = None,
) -> Terminal:
    """Return a terminal in which `top` will run."""
    default = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    environment = {**daemon.environment, **default, **(variables or {})}
    return Terminal(environment, ("top", *words), size=size, forks=forks)


def row_of(terminal: Terminal, name: str) -> str:
    """Return the row of a process."""
    return next((row for row in terminal.rows() if re.match(rf"[> ][* ]\s*{re.escape(name)}( |$)", row)), "")


def selected(terminal: Terminal) -> int | None:
    """Return the number of the selected row; None while the screen is being drawn."""
    marked = [number for number, row in enumerate(terminal.rows()) if re.match(r">[* ]", row)]
    return marked[0] if len(marked) == 1 else None


def select(terminal: Terminal, name: str) -> None:
    """Move the selection down to a row. `top` draws by itself, too: only a selection that has moved is a key's answer."""
    rows = terminal.rows()
    first = next(number for number, row in enumerate(rows) if " NAME" in row) + 1
    terminal.type("\x1b[H")
    wait_until(lambda: selected(terminal) == first)
    while not row_of(terminal, name).startswith(">"):
        before = selected(terminal)
        terminal.type("\x1b[B")
        wait_until(lambda before=before: selected(terminal) not in (None, before))  # type: ignore[misc]


def left(terminal: Terminal, key: str = "q") -> int | None:
    """Leave, and check that the terminal is as it was; return the exit code."""
    terminal.type(key)
    code, _ = terminal.ended()
    assert terminal.modes_now() == terminal.modes
    raw = bytes(terminal.raw)
    for begin, end in ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h")):
        assert raw.rfind(end) > raw.rfind(begin), (begin, end)
    return code


def outside(terminal: Terminal, text: str) -> bool:
    """Return whether a verb has the terminal, where Ctrl-C is a signal again, and has written this.

    The screen alone does not tell: `top` may just be taking its rows away.
    """
    since = bytes(terminal.raw).rpartition(b"\x1b[?1049l")[2]
    written = b"\x1b[?1049h" not in since and text.encode() in since
    return written and bool(terminal.local_modes() & termios.ISIG)


# -- what is shown


@pytest.mark.parametrize(
    ("size", "variables"),
    [
        ((40, 8), {"LANG": "C"}),
        ((200, 60), {"TERM": "linux"}),
        *in_the_sweep(
            ((80, 24), {}),
            ((30, 5), {}),
            ((200, 60), {"NO_COLOR": "1"}),
        ),
    ],
)
def test_on_any_screen_no_line_is_too_wide_and_nothing_fails(
    shared: Daemon, forks: ForkServer, size: tuple[int, int], variables: dict[str, str]
) -> None:
    real = None if "LANG" in variables else forks  # only a start of its own has a locale of its own
    with screen(shared, forks=real, size=size, variables=variables) as terminal:
        if size == (30, 5):
            terminal.see("too small")
        else:
            wait_until(lambda: re.search(r"web \(4\) .*RUNNING +.*\d\.\d", terminal.text()) is not None, within_s=20)
            wait_until(lambda: row_of(terminal, "web (4)").startswith(">") or row_of(terminal, "db").startswith(">"))
        shown = terminal.text()
        assert len(terminal.rows()) == size[1]
        if variables.get("TERM") == "linux" or variables.get("LANG") == "C":
            assert shown.isascii()
        elif size[0] == 200:
            wait_until(lambda: any(block in terminal.text() for block in "▁▂▃▄▅▆▇█"), within_s=20)
        if "NO_COLOR" in variables:
            assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", bytes(terminal.raw))
        assert left(terminal) == 0


@pytest.mark.sweep
def test_the_window_may_change_its_size_at_any_time(shared: Daemon, forks: ForkServer) -> None:
    with screen(shared, forks=forks) as terminal:
        terminal.see("web (4)")
        terminal.see("UPTIME")
        terminal.resize(40, 8)
        wait_until(lambda: "UPTIME" not in terminal.text() and "web (4)" in terminal.text())
        terminal.resize(30, 5)
        terminal.see("too small")
        terminal.resize(200, 60)
        terminal.see("UPTIME")
        assert left(terminal) == 0


@pytest.mark.parametrize(("variables", "words"), [({"TERM": "dumb"}, ()), ({}, ("--once",))])
def test_a_dumb_terminal_and_once_get_one_table(
    shared: Daemon, forks: ForkServer, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    with screen(shared, *words, forks=forks, variables=variables) as terminal:
        assert terminal.ended() == (0, None)
        assert "\x1b[?1049h" not in terminal.raw.decode()
        assert ("\x1b" in terminal.raw.decode()) is False
        assert "web (4)" in terminal.text()
        assert all(len(row) <= 80 for row in terminal.rows())


def test_into_a_pipe_it_is_one_whole_table_with_every_process(shared: Daemon) -> None:
    done = shared.ctl("top", "--sort", "state")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    head, titles, *rows = done.stdout.splitlines()
    assert "5 of 7 run" in head
    assert titles.split() == ["NAME", "STATE*", "PID", "UPTIME", "RST", "%CPU", "MEM", "DETAIL"]
    assert rows[0].split()[:2] == ["mailer", "FATAL"]
    assert [row.split()[0] for row in rows if "web:" in row] == ["web:0", "web:1", "web:2", "web:3"]


def test_json_has_a_line_for_each_sample_until_it_is_ended(shared: Daemon) -> None:
    once = shared.ctl("top", "--json", "--once", "db")
    assert once.returncode == 0
    (line,) = once.stdout.splitlines()
    document = json.loads(line)
    assert (document["schema"], document["verb"]) == (1, "top")
    (process,) = document["processes"]
    assert process["name"] == "db"
    assert process["memory_bytes"] > 0
    assert process["cpu_percent"] >= 0
    client = subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "top", "--json", "--every", "0.1s", "web"],
        env=shared.environment, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert client.stdout
    documents = [json.loads(client.stdout.readline()) for _ in range(3)]
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=20)
    assert client.returncode == 130
    assert [len(each["processes"]) for each in documents] == [4, 4, 4]
    assert all(each["processes"][0]["cpu_percent"] is not None for each in documents)


@pytest.mark.parametrize("words", [("--every", "0.01s"), ("--sort", "pid"), ("--nosuch",)])
def test_what_is_typed_wrongly_is_2_and_an_unknown_name_4(shared: Daemon, words: tuple[str, ...]) -> None:
    assert shared.ctl("top", *words).returncode == 2
    assert shared.ctl("top", "nosuch").returncode == 4


def test_rows_open_to_processes_and_to_all_that_belongs_to_them(shared: Daemon, forks: ForkServer) -> None:
    with screen(shared, forks=forks) as terminal:
        terminal.see("web (4)")
        select(terminal, "web (4)")
        terminal.type("\r")
        terminal.see("web:3")
        select(terminal, "web:1")
        terminal.type("\r")
        pid = shared.status()["web:1"]["pid"]
        wait_until(lambda: "sleep 86400" in terminal.text())
        assert str(pid) in row_of(terminal, "web:1")
        terminal.type("\r")
        wait_until(lambda: "sleep 86400" not in terminal.text())
        assert left(terminal) == 0


def test_a_filter_and_the_list_of_keys(shared: Daemon, forks: ForkServer) -> None:
    with screen(shared, forks=forks) as terminal:
        terminal.see("web (4)")
        terminal.type("/state:fat")
        wait_until(lambda: "mailer" in terminal.text() and "web" not in terminal.text())
        terminal.type("\r")
        terminal.see("filter: state:fat   h help")
        terminal.type("\x1b")
        terminal.see("web (4)")
        terminal.type("h")
        terminal.see("the programs run on")
        terminal.type("h")
        wait_until(lambda: "the programs run on" not in terminal.text())
        assert left(terminal) == 0


def test_output_shows_below_and_on_the_whole_screen_and_one_comes_back_to_the_same_state(
    shared: Daemon, forks: ForkServer
) -> None:
    with screen(shared, "web", forks=forks) as terminal:
        terminal.see("web (4)")
        terminal.type("\r")
        terminal.see("web:3")
        select(terminal, "web:2")
        terminal.type("l")
        terminal.see("hello 2")
        assert "web:0" in terminal.text()
        terminal.type("L")
        wait_until(lambda: outside(terminal, "hello 2"))
        terminal.type("\x03")
        wait_until(lambda: row_of(terminal, "web:2").startswith(">"))
        terminal.see("hello 2")
        terminal.type("l")
        wait_until(lambda: "hello 2" not in terminal.text())
        terminal.type("w")
        terminal.see("-- Enter goes back --")
        assert "web:2 is RUNNING since" in terminal.text()
        terminal.type("\r")
        wait_until(lambda: row_of(terminal, "web:2").startswith(">"))
        terminal.type("e")
        wait_until(lambda: outside(terminal, "started"))
        terminal.type("\x03")
        wait_until(lambda: row_of(terminal, "web:2").startswith(">"))
        assert left(terminal) == 0


def test_ctrl_c_and_deadly_signals_leave_the_terminal_as_it_was(shared: Daemon, forks: ForkServer) -> None:
    with screen(shared, forks=forks) as terminal:
        terminal.see("web (4)")
        assert left(terminal, "\x03") == 130
    with screen(shared, forks=forks) as terminal:
        terminal.see("web (4)")
        terminal.child.send_signal(signal.SIGTERM)
        assert_died_in_order(terminal, signal.SIGTERM)


def test_a_deadly_signal_ends_it_too_while_a_verb_has_the_terminal(shared: Daemon, forks: ForkServer) -> None:
    with screen(shared, "web:1", forks=forks) as terminal:
        terminal.see("web:1")
        terminal.type("L")
        wait_until(lambda: outside(terminal, "hello 1"))
        terminal.child.send_signal(signal.SIGHUP)
        assert_died_in_order(terminal, signal.SIGHUP)


def assert_died_in_order(terminal: Terminal, number: int) -> None:
    assert terminal.ended() == (None, number)
    assert terminal.modes_now() == terminal.modes
    assert bytes(terminal.raw).rfind(b"\x1b[?1049l") > bytes(terminal.raw).rfind(b"\x1b[?1049h")


# -- what is done


@pytest.fixture
def running(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon of one test."""
    return up(make_daemon(CONFIG))


def test_what_is_asked_for_is_what_is_done_and_leaving_ends_nothing(running: Daemon, forks: ForkServer) -> None:
    before = {name: each["pid"] for name, each in running.status().items()}
    with screen(running, forks=forks) as terminal:
        terminal.see("web (4)")
        select(terminal, "off")
        terminal.type("s")
        wait_until(lambda: running.state("off") == "RUNNING")
        terminal.see("off started")
        select(terminal, "web (4)")
        terminal.type("\r")
        terminal.see("web:3")
        select(terminal, "web:3")
        terminal.type("x")
        terminal.see("stop web:3? y/n")
        terminal.type("o")  # not y: nothing happens
        wait_until(lambda: "y/n" not in terminal.text())
        terminal.type("xy")
        wait_until(lambda: running.state("web:3") == "STOPPED")
        terminal.see("web:3 stopped")
        terminal.type("gusr1\r")
        terminal.see("send USR1 to web:3? y/n")
        terminal.type("y")
        terminal.see("nothing runs there")
        assert left(terminal) == 0
    after = {name: each["pid"] for name, each in running.status().items()}
    assert {name for name in before if before[name] != after[name]} == {"web:3", "off"}


@pytest.mark.sweep
def test_a_process_that_was_removed_meanwhile_is_said_to_be_gone(running: Daemon, forks: ForkServer) -> None:
    with screen(running, forks=forks) as terminal:
        terminal.see("web (4)")
        select(terminal, "web (4)")
        terminal.type("\r")
        terminal.see("web:3")
        select(terminal, "web:3")
        terminal.type("x")
        terminal.see("stop web:3? y/n")
        running.write(CONFIG.replace("numprocs: 4", "numprocs: 3"))
        assert running.ctl("reload").returncode in (0, 1)
        wait_until(lambda: "web:3" not in running.status())
        terminal.type("y")
        terminal.see('"web:3"')
        assert left(terminal) == 0
    assert {running.state(f"web:{n}") for n in range(3)} == {"RUNNING"}


@pytest.mark.sweep
def test_a_killed_daemon_is_said_and_comes_back_by_itself_and_an_orderly_end_is_told(
    running: Daemon, forks: ForkServer
) -> None:
    pid = running.status()["db"]["pid"]
    with screen(running, forks=forks) as terminal:
        terminal.see("web (4)")
        running.kill()
        terminal.see("no daemon since ")
        assert "web (4)" in terminal.text()
        assert process_exists(pid)
        running.start()
        wait_until(lambda: "no daemon" not in terminal.text(), within_s=20)
        wait_until(lambda: row_of(terminal, "db"))
        assert running.ctl("shutdown").returncode == 0
        code, _ = terminal.ended()
        assert code == 4
        assert "shut" in terminal.text()
        assert terminal.modes_now() == terminal.modes


@pytest.mark.sweep
def test_it_goes_on_over_an_upgrade(running: Daemon, forks: ForkServer) -> None:
    with screen(running, forks=forks) as terminal:
        terminal.see("web (4)")
        assert running.ctl("upgrade").returncode == 0
        select(terminal, "off")
        terminal.type("s")
        wait_until(lambda: running.state("off") == "RUNNING")
        wait_until(lambda: "no daemon" not in terminal.text())
        assert left(terminal) == 0


@pytest.mark.sweep
def test_keys_are_answered_while_many_restart(make_daemon: Callable[..., Daemon], forks: ForkServer) -> None:
    daemon = make_daemon(
        "programs: {many: {cmd: sleep 86400, numprocs: 60, starttime: 0}, other: {cmd: sleep 86400}}\n"
    )
    daemon.start()
    with screen(daemon, forks=forks) as terminal:
        terminal.see("many (60)")
        select(terminal, "many (60)")
        before = {each["pid"] for name, each in daemon.status().items() if name != "other"}
        terminal.type("ry")
        for _ in range(4):
            began = time.monotonic()
            terminal.type("h")
            terminal.see("the programs run on")
            terminal.type("h")
            wait_until(lambda: "the programs run on" not in terminal.text())
            assert time.monotonic() - began < 5 * crowding()
        with Talk(daemon) as talk:
            wait_until(lambda: all_new(talk, before), within_s=60)
        assert left(terminal, "\x03") == 130


@pytest.mark.sweep
def test_it_can_be_suspended_and_goes_on(shared: Daemon) -> None:
    if not os.path.exists("/bin/bash"):
        pytest.skip("needs bash")
    environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **shared.environment, "PS1": "shell> "}
    client = f"{sys.executable} -m taskmasterctl top"
    under = ("/bin/bash", "--norc", "-i", "-c", f"set -m; {client}; echo stopped $?; fg; echo over $?; :", "bash")
    with Terminal(environment, (), under=under) as terminal:
        terminal.see("web (4)", within_s=20)
        terminal.type("\x1a")
        terminal.see("web (4)", within_s=20)
        wait_until(lambda: b"stopped 148" in terminal.raw)
        terminal.type("q")
        wait_until(lambda: b"over 0" in terminal.raw)


# -- what others pay


def test_no_one_shot_verb_loads_the_screen_and_a_table_loads_no_line_editor(shared: Daemon) -> None:
    code = (
        "import sys; from taskmasterctl.cli import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    for words in (("status", "db"), ("logs", "db"), ("metrics", "db"), ("top", "--once", "db")):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=shared.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        loaded = set(done.stderr.split())
        assert not loaded & {"prompt_toolkit", "asyncio", "ssl", "yaml", "taskmasterctl.top.screen"}
        assert ("taskmasterctl.top.run" in loaded) is (words[0] == "top")

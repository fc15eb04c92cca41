"""`attach`: what is shown and typed, who types, whose size counts, and that a terminal is always given back."""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.forkserver import ForkServer
from tests.support.guarded import config
from tests.support.keeper import file_has, kill_keeper
from tests.support.terminal import Terminal, in_front
from tests.support.wait import wait_until
from tests.support.wire import connect, crowding, seconds_of_status

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="terminals are tested on Linux")]

Attach = Callable[..., Terminal]
SH = {
    "cmd": "bash --norc -i",
    "tty": True,
    "starttime": 0,
    "env": {"PS1": "> ", "HISTFILE": "/dev/null"},
    "stopsignal": "HUP",
}
KEYS = {"cmd": "stty raw -echo; printf 'ready\\r\\n'; exec cat -v", "tty": True, "starttime": 0, "shell": True}
PAINTER = r"""
import os, signal, sys, termios, tty
tty.setraw(0)
def paint(*_):
    global last
    size = os.get_terminal_size()
    if size != last:  # as programs do that look before they paint
        last = size
        os.write(1, b"\x1b[H\x1b[2Jpainted %dx%d" % size)
last = None
signal.signal(signal.SIGWINCH, paint)
os.write(1, b"\x1b[?1049h\x1b[?1000;1006h\x1b[?2004h\x1b[?1h\x1b[?25l")
paint()
while True:
    key = os.read(0, 1)
    if key == b"q":
        break
"""
MODES_OFF = (b"\x1b[?1000l", b"\x1b[?1006l", b"\x1b[?2004l", b"\x1b[?1l", b"\x1b[?1049l\x1b[0m\x1b[?25h")


@pytest.fixture
def attach(forks: ForkServer | None) -> Attach:
    """Return what attaches a terminal of its own to a program."""

    def make(daemon: Daemon, *words: str, size: tuple[int, int] = (80, 24)) -> Terminal:
        return Terminal(daemon.environment, ("attach", *words), size=size, forks=forks)

    return make


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon with programs that tests attach to; each leaves them as they were."""
    painter = {"cmd": [sys.executable, "-I", "-c", PAINTER], "tty": True, "starttime": 0, "autorestart": "always"}
    return share_daemon(
        config(
            sh=SH,
            keys=KEYS,
            paint=painter,
            two={**SH, "numprocs": 2},
            lines={
                "cmd": "cat; echo to stderr >&2",
                "stdin": "pipe",
                "starttime": 0,
                "shell": True,
                "autorestart": "always",
            },
            deaf={"cmd": "echo deaf; exec sleep 300", "starttime": 0, "shell": True},
            once={"cmd": "echo once", "tty": True, "starttime": 0, "autorestart": "never", "shell": True},
        )
    ).start()


def at_prompt(terminal: Terminal) -> None:
    """Wait until a shell has read all keys before these, and reads the next ones itself."""
    terminal.see("attached")
    terminal.prompt(">")


def detach(terminal: Terminal) -> None:
    """Type the keys, and check that the terminal is as it was."""
    terminal.type("\x1dd")
    assert terminal.ended() == (0, None)
    assert terminal.modes_now() == terminal.modes


def test_what_is_typed_runs_and_all_that_is_shown_is_in_the_log(shared: Daemon, attach: Attach) -> None:
    pid = shared.wait_for("sh", "RUNNING")["pid"]
    wait_until(lambda: shared.log("sh").endswith(b"> "))  # bash reads its keys itself from its first prompt on
    with attach(shared, "sh") as terminal:
        terminal.see("attached to sh (pid")
        terminal.see("you type). Ctrl-] d detaches, Ctrl-] ? helps")
        terminal.type("echo $((6*7))\r")
        terminal.see("\n42\n>")
        began = time.monotonic()
        detach(terminal)
        assert time.monotonic() - began < 2 * crowding()
    shown = bytes(terminal.raw).partition(b"helps\r\n")[2].rpartition(b"\x1b[?2004l\x1b[0m")[0]
    assert shown.replace(b"\x1b[?2004h", b"", 1) == shared.log("sh")[-len(shown.replace(b"\x1b[?2004h", b"", 1)) :]
    assert shared.status()["sh"]["pid"] == pid
    assert "attached" in shared.events()
    assert "bytes typed" in shared.events()
    assert "6*7" not in shared.events()


def test_every_key_but_ours_is_the_program_s(shared: Daemon, attach: Attach) -> None:
    with attach(shared, "keys") as terminal:
        terminal.see("ready")
        terminal.type("\x10\x12\x1c\x1a\x03\x13\x11")
        terminal.see("^P^R^\\^Z^C^S^Q")
        terminal.type("\x1b[A")
        terminal.see("^[[A")
        terminal.type("\x1d")
        terminal.see("^]")
        terminal.type("x\x1d\x1dy")
        terminal.see("x^]y")
        terminal.type("\x1b[200~\x1b[93;5ud\x1b[201~")
        terminal.see("^[[200~^[[93;5ud^[[201~")
        terminal.type("\x1b[93;133ud")
        assert terminal.ended() == (0, None)
    with attach(shared, "--detach-keys", "ctrl-x,d", "keys") as terminal:
        terminal.see("you type). ctrl-x d detaches")
        terminal.type("\x1d!d\x18d")
        assert terminal.ended() == (0, None)
    wait_until(lambda: shared.log("keys").endswith(b"^]!d"))


def test_ctrl_c_ends_what_runs_in_a_shell_and_not_the_client(shared: Daemon, attach: Attach) -> None:
    with attach(shared, "sh") as terminal:
        at_prompt(terminal)
        terminal.type("sleep 99; echo st$((1))ll\r")
        wait_until(lambda: in_front(shared.status()["sh"]["pid"]) == "sleep 99")
        terminal.type("\x03")
        at_prompt(terminal)
        terminal.type("echo go$((1))ng\r")
        terminal.see("go1ng")
        assert "st1ll" not in terminal.text()
        detach(terminal)


def shows_help(terminal: Terminal) -> bool:
    """Ask for the keys, which the program may paint over; return whether they are there."""
    terminal.type("\x1d?")
    return "-- Ctrl-] then d detach" in terminal.text()


def is_painted(terminal: Terminal, size: tuple[int, int]) -> bool:
    """Ask for all of the screen; a program that is busy then may miss it, and one asks once more."""
    terminal.type("\x1dr")
    return f"painted {size[0]}x{size[1]}" in terminal.text() and "then d detach" not in terminal.text()


def told(terminal: Terminal, text: str) -> None:
    """Wait until a text has been shown, which may have scrolled away."""
    wait_until(lambda: text.encode() in bytes(terminal.raw))


def test_a_full_screen_is_whole_after_attaching_again_and_all_modes_are_taken_back(
    shared: Daemon, attach: Attach
) -> None:
    shared.wait_for("paint", "RUNNING")
    for size in ((60, 20), (60, 20), (50, 10)):
        with attach(shared, "paint", size=size) as terminal:
            terminal.see(f"painted {size[0]}x{size[1]}")
            wait_until(lambda terminal=terminal: b"\x1b[?1006h" in terminal.raw)  # type: ignore[misc]
            wait_until(lambda terminal=terminal: shows_help(terminal))  # type: ignore[misc]
            wait_until(lambda terminal=terminal, size=size: is_painted(terminal, size))  # type: ignore[misc]
            detach(terminal)
        assert all(each in bytes(terminal.raw) for each in MODES_OFF)
    with attach(shared, "paint") as terminal:
        terminal.see("painted 80x24")
        os.kill(terminal.child.pid, signal.SIGTERM)
        assert terminal.ended() == (143, None)
        assert terminal.modes_now() == terminal.modes
    assert all(each in bytes(terminal.raw) for each in MODES_OFF)


def test_who_may_only_look_does_not_make_the_program_paint(shared: Daemon) -> None:
    def wait_for_size(size: bytes) -> None:
        wait_until(lambda: b"painted " + size in shared.log("paint"))

    def is_painted_again() -> bool:
        typist.sendall(b'{"type":"redraw"}\n')
        return b"painted 77x32" in shared.log("paint")

    with connect(shared) as reader, connect(shared) as typist:
        for channel, words in ((reader, b"--read-only paint"), (typist, b"paint")):
            channel.sendall(b"attach " + words + b"\n")
            while b'"attached"' not in channel.recv(65_536):
                pass
        typist.sendall(b'{"type":"size","rows":31,"cols":77}\n')
        wait_for_size(b"77x31")
        reader.sendall(b'{"type":"redraw"}\n')
        assert seconds_of_status(shared) < 20, "it has had its turn"
        typist.sendall(b'{"type":"size","rows":33,"cols":77}\n')
        wait_for_size(b"77x33")
        assert b"painted 77x30" not in shared.log("paint")
        wait_until(is_painted_again)


def test_a_terminal_that_was_raw_stays_raw_and_its_descriptors_block(shared: Daemon, attach: Attach) -> None:
    with attach(shared, "sh") as terminal:
        terminal.see("attached")
        assert not terminal.local_modes() & termios.ICANON, "who reads that may type"
        terminal.prompt(">")
        flags = Path(f"/proc/{terminal.child.pid}/fdinfo/0").read_text()
        assert not int(flags.split("flags:")[1].split()[0], 8) & os.O_NONBLOCK
        terminal.type("\x1dz")  # no shell is there that could continue it
        terminal.type("echo ba$((1))ck\r")  # at once: what is typed meanwhile is not lost
        terminal.see("ba1ck")
        detach(terminal)


LIKE_A_SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
_, status = os.waitpid(pid, os.WUNTRACED)
os.tcsetpgrp(0, os.getpgrp())
print("suspended:", os.WIFSTOPPED(status), flush=True)
sys.stdin.readline()
os.tcsetpgrp(0, pid)
os.kill(pid, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_suspended_client_gives_the_terminal_back_and_goes_on_where_it_was(shared: Daemon) -> None:
    shell = (sys.executable, "-c", LIKE_A_SHELL)
    with Terminal(shared.environment, ("attach", "sh"), under=shell) as terminal:
        at_prompt(terminal)
        terminal.type("\x1dz")
        terminal.see("suspended: True")
        assert terminal.modes_now() == terminal.modes
        terminal.type("fg\r")
        wait_until(lambda: terminal.modes_now() != terminal.modes)
        terminal.type("echo ba$((2))ck\r")
        terminal.see("ba2ck")
        detach(terminal)


def test_one_types_and_has_the_size_and_the_others_look(shared: Daemon, attach: Attach) -> None:
    with (
        attach(shared, "sh", size=(100, 30)) as first,
        attach(shared, "--read-only", "sh", size=(40, 10)) as reader,
    ):
        told(first, "you type")
        at_prompt(first)
        told(reader, "you look")
        with attach(shared, "sh", size=(70, 20)) as second:
            told(second, "this terminal 70x20")
            told(second, "types since")
            told(second, "Ctrl-] t takes it")
            second.type("echo n$((0))\r")
            reader.type("echo n$((0))\x1dt\r")
            first.type("stty size\r")
            for each in (first, second, reader):
                each.see("30 100")
            reader.resize(41, 11)
            os.kill(reader.child.pid, signal.SIGWINCH)
            first.resize(90, 25)
            os.kill(first.child.pid, signal.SIGWINCH)
            first.type("stty size\r")
            second.see("25 90")
            second.type("\x1dt")
            told(second, "you type now")
            told(first, "types since")
            os.kill(first.child.pid, signal.SIGSTOP)
            second.type("stty size\r")
            second.see("20 70")
            os.kill(first.child.pid, signal.SIGCONT)
            assert "n0" not in second.text()
            second.type("\x1dt")
            told(second, "nobody types now")
            detach(second)
        for each in (first, reader):
            detach(each)


@pytest.mark.sweep
def test_what_nobody_reads_holds_nobody_up_and_arrives_in_order(daemon: Daemon, attach: Attach) -> None:
    reads_late = "stty raw -echo; echo ready; while ! test -e go; do sleep 0.02; done; exec cat > got"
    daemon.write(
        config(late={"cmd": reads_late, "tty": True, "starttime": 0, "shell": True, "workingdir": str(daemon.home)})
    )
    daemon.start()
    pasted = b"".join(b"%07d" % number for number in range(30_000))
    with attach(daemon, "late") as terminal, attach(daemon, "--read-only", "late") as other:
        terminal.see("ready")
        other.see("ready")
        for at in range(0, len(pasted), 4000):
            terminal.type(pasted[at : at + 4000].decode())
        assert daemon.state("late") == "RUNNING", "it answers, though nobody reads before there is a file"
        (daemon.home / "go").touch()
        file_has(daemon.home / "got", pasted)
        detach(terminal)
        detach(other)


@pytest.mark.sweep
def test_attached_clients_go_on_at_the_same_byte_when_the_daemon_dies_or_upgrades(
    daemon: Daemon, attach: Attach
) -> None:
    daemon.write(config(keys={**KEYS, "cmd": "stty raw -echo; echo ready; exec cat"}))
    daemon.start()
    with attach(daemon, "keys", size=(80, 24)) as terminal:
        terminal.see("ready")
        terminal.type("a1b2c3 ")
        terminal.see("a1b2c3")
        daemon.kill()
        terminal.see("-- daemon gone; keys goes on --")
        assert terminal.modes_now() == terminal.modes
        daemon.start()
        wait_until(lambda: terminal.modes_now() != terminal.modes)
        terminal.type("d4e5f6 ")
        terminal.see("d4e5f6")
        typed = "".join(f"{number:03}" for number in range(300))
        terminal.type(typed[:450])
        assert daemon.ctl("upgrade").returncode == 0
        terminal.type(typed[450:])
        wait_until(lambda: daemon.log("keys").endswith(typed[-50:].encode()))
        assert daemon.log("keys") == f"ready\na1b2c3 d4e5f6 {typed}".encode()
        kill_keeper(daemon)
        terminal.type(" after the keeper")
        wait_until(lambda: daemon.log("keys").endswith(b"after the keeper"), within_s=10)
        detach(terminal)
        assert bytes(terminal.raw).count(b"a1b2c3") == 1
        assert bytes(terminal.raw).count(b"d4e5f6") == 1


def test_who_is_attached_stays_over_restarts_and_leaves_with_3_when_nothing_follows(
    daemon: Daemon, attach: Attach
) -> None:
    daemon.write(config(sh={**SH, "autorestart": "always"}))
    daemon.start()
    with attach(daemon, "sh", size=(90, 24)) as terminal:
        at_prompt(terminal)
        terminal.type("exit 3\r")
        terminal.see("-- sh restarted: exit 3; pid")
        at_prompt(terminal)
        terminal.type("stty size\r")
        terminal.see("24 90")
        daemon.write(config(sh={**SH, "autorestart": "always", "env": {"PS1": "new> "}}))
        assert daemon.ctl("reload").returncode == 0
        terminal.see("new>")
        wait_until(lambda: terminal.text().count("-- sh restarted: ") == 2)
        assert daemon.ctl("stop", "sh").returncode == 0
        terminal.see("-- sh exited: ")
        assert terminal.ended() == (3, None)
        assert terminal.modes_now() == terminal.modes
    with attach(daemon, "--lines", "1", "sh") as terminal:
        assert terminal.ended() == (1, None)
        terminal.see("sh does not run")
        terminal.see("to start it: start sh")


def test_without_a_terminal_lines_go_at_enter_and_ctrl_c_leaves(shared: Daemon, attach: Attach) -> None:
    pid = shared.wait_for("lines", "RUNNING")["pid"]
    with attach(shared, "lines") as terminal:
        terminal.see("Ctrl-C or Ctrl-D leaves")
        terminal.type("a line\r")
        wait_until(lambda: terminal.text().count("a line") == 2)
        assert terminal.modes_now() == terminal.modes
        terminal.type("\x03")
        assert terminal.ended() == (0, None)
    assert shared.status()["lines"]["pid"] == pid
    with attach(shared, "deaf") as terminal:
        terminal.see("you look")
        terminal.see("deaf")
        terminal.type("\x04")
        assert terminal.ended() == (0, None)


@pytest.mark.sweep
def test_inside_the_shell_it_is_the_same_and_comes_back_to_the_prompt(shared: Daemon) -> None:
    with Terminal(shared.environment) as terminal:
        terminal.prompt()
        terminal.type("fg sh\r")
        terminal.see("Ctrl-] ? helps")
        at_prompt(terminal)
        terminal.type("echo in$((3))side\r")
        terminal.see("in3side")
        terminal.type("\x1dd")
        terminal.prompt()
        terminal.type("pid sh\r")
        terminal.see(f"\n{shared.status()['sh']['pid']}\n")
        terminal.type("exit\r")
        assert terminal.ended() == (0, None)


def test_what_cannot_be_attached_says_why(shared: Daemon, attach: Attach) -> None:
    shared.wait_for("once", "EXITED")
    with attach(shared, "once") as terminal:
        assert terminal.ended() == (1, None)
        assert "once\n" in terminal.text(), "what a short program wrote is shown"
    no_terminal = shared.ctl("attach", "sh")
    assert no_terminal.returncode == 2
    assert "send --file - sh" in no_terminal.stderr
    assert "logs -f sh" in no_terminal.stderr
    for words, code, text in (
        (("two",), 2, "attach needs one process, and two means two:0 two:1"),
        (("nobody",), 4, 'no program named "nobody"'),
        (("--detach-keys", "alt-x", "sh"), 2, "is no sequence of detach keys"),
    ):
        with attach(shared, *words) as terminal:
            assert terminal.ended() == (code, None)
            assert text in terminal.text()


@pytest.mark.sweep
def test_a_stopped_viewer_costs_the_program_nothing_and_is_told_what_it_missed(daemon: Daemon, attach: Attach) -> None:
    many = "stty -opost; read go; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo over; exec cat"
    daemon.write(config(many={"cmd": many, "tty": True, "starttime": 0, "shell": True}))
    daemon.start()
    with attach(daemon, "--read-only", "many") as terminal:
        terminal.see("attached")
        os.kill(terminal.child.pid, signal.SIGSTOP)
        assert daemon.ctl("send", "many", "").returncode == 0
        wait_until(lambda: daemon.log("many").endswith(b"over\n"), within_s=30)
        os.kill(terminal.child.pid, signal.SIGCONT)
        terminal.see("over", within_s=60)  # the screen of the test takes its time for what was not left out
        assert b"bytes were left out" in bytes(terminal.raw)
        detach(terminal)


def test_a_terminal_without_a_log_shows_what_comes_from_then_on(daemon: Daemon, attach: Attach) -> None:
    daemon.write(config(quiet={**SH, "stdout": "null"}))
    daemon.start()
    with attach(daemon, "quiet") as terminal:
        terminal.see("attached")
        wait_until(lambda: "bash" in in_front(daemon.status()["quiet"]["pid"]))
        terminal.type("\recho $((6*7))\r")
        terminal.see("\n42\n>")
        detach(terminal)

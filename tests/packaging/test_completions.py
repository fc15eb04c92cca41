"""Completions of bash, zsh and fish: up to date, free of syntax errors, and they offer what the real shells shall offer."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pexpect
import pytest

from scripts import completions
from taskmaster_common.commands.table import COMMANDS
from taskmasterctl.options import GLOBALS
from taskmasterd.system.procfs import state_of
from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

DIRECTORY = ROOT / "config" / "completions"
CONFIG = """
programs:
  web: {cmd: sleep 86400, numprocs: 2, starttime: 0}
  web-admin: {cmd: sleep 86400, autostart: false}
  nginx: {cmd: sleep 86400, starttime: 0}
"""
BASH = """
source "$1"
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_LINE=$2 COMP_POINT=${#2}
_taskmasterctl taskmasterctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def needs(shell: str) -> pytest.MarkDecorator:
    """Skip where a shell is not installed."""
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.fixture
def started(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon with three programs, and `taskmasterctl` in the PATH of its environment."""
    return with_command(make_daemon(CONFIG)).start()


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """One of the same kind that no test changes."""
    return with_command(share_daemon(CONFIG)).start()


def with_command(daemon: Daemon) -> Daemon:
    """Put a `taskmasterctl` that notes its calls into the PATH of the daemon's environment."""
    command = daemon.home / "bin" / "taskmasterctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >>{daemon.home}/calls\nexec {sys.executable} -m taskmasterctl "$@"\n')
    command.chmod(0o755)
    daemon.environment["PATH"] = f"{command.parent}:{daemon.environment['PATH']}"
    daemon.environment["LC_ALL"] = "C.UTF-8"
    return daemon


def run(daemon: Daemon, *words: str) -> str:
    """Run a command that has nothing to complain of; return what it prints."""
    done = subprocess.run(
        words, env=daemon.environment, cwd=daemon.home, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def by_bash(daemon: Daemon, line: str) -> list[str]:
    """Return what bash offers at the end of the line."""
    script = str(DIRECTORY / "taskmasterctl.bash")
    return run(daemon, "bash", "-c", BASH, "bash", script, line).split()


def by_fish(daemon: Daemon, line: str) -> dict[str, str]:
    """Return what fish offers at the end of the line, with the descriptions."""
    home = f"set -x HOME {daemon.home}; source {DIRECTORY}/taskmasterctl.fish"
    offered = run(daemon, "fish", "--no-config", "-c", f"{home}; complete -C$argv[1]", line).splitlines()
    return {word: told for word, _, told in (entry.partition("\t") for entry in offered)}


def by_zsh(daemon: Daemon) -> pexpect.spawn[str]:
    """Return a zsh at its prompt that has loaded the completion."""
    home = daemon.home
    functions = home / "functions"
    functions.mkdir()
    (functions / "_taskmasterctl").symlink_to(DIRECTORY / "_taskmasterctl")
    environment = {**daemon.environment, "TERM": "dumb", "PS1": "ready> ", "PROMPT_EOL_MARK": ""}
    shell = pexpect.spawn(
        "zsh", ["-f"], env=environment, cwd=str(home), encoding="utf-8", timeout=20, dimensions=(24, 200)
    )
    shell.expect("ready> ")
    shell.sendline(
        f"unsetopt zle; fpath=({functions} $fpath); autoload -Uz compinit; compinit -D -u; setopt zle; echo loa''ded"
    )
    shell.expect("loaded")
    shell.expect("ready> ")
    return shell


NASTY = (
    "web\trunning", "$(touch hacked)\tx", "`touch hacked`\tx", "a;touch hacked\tx", "'\tx", '"\tx', "--help\tx", "\\\tx",
    "web:$(touch hacked)\tx", "*\tx", "~/x\tx", "$HOME\tx", ":x\tx", "db\t$(touch hacked) `touch hacked` 'a:b\\", "x y\tz",
)  # fmt: skip


def with_nasty_names(daemon: Daemon) -> Daemon:
    """Put a `taskmasterctl` into the PATH that hands on whatever a daemon might say."""
    with_command(daemon)
    (daemon.home / "said").write_text("\n".join(NASTY) + "\n")
    (daemon.home / "bin" / "taskmasterctl").write_text(f"#!/bin/sh\ncat {daemon.home}/said\n")
    return daemon


def matched(shell: pexpect.spawn[str]) -> str:
    """Return the first group of what the shell has just shown."""
    assert isinstance(shell.match, re.Match)
    return str(shell.match.group(1))


# -- the files


@pytest.mark.parametrize("name", completions.FILES)
def test_a_script_is_what_the_generator_makes(name: str) -> None:
    assert (DIRECTORY / name).read_text() == completions.FILES[name](), "run: python -m scripts.generate"


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "taskmasterctl.bash"), ("zsh", "_taskmasterctl"), ("fish", "taskmasterctl.fish")]
)
def test_a_script_has_no_syntax_error(shell: str, name: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", str(DIRECTORY / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", completions.FILES)
def test_a_script_knows_every_verb_and_every_flag(name: str) -> None:
    text = (DIRECTORY / name).read_text()
    for flag in (*GLOBALS, *(flag for command in COMMANDS for flag in command.flags)):
        assert f"-l {flag.name[2:]} " in text if name.endswith(".fish") else flag.name in text
    assert all(command.name in text for command in COMMANDS)


# -- the hidden verb


def test_the_hidden_verb_tells_programs_processes_and_signals(shared: Daemon) -> None:
    wait_until(lambda: shared.state("web:1") == "RUNNING")
    programs = shared.ctl("_complete", "programs").stdout
    assert programs.splitlines() == ["web\t2 running", "web-admin\tstopped", "nginx\trunning"]
    processes = shared.ctl("_complete", "processes").stdout
    assert processes.splitlines() == ["web:0\trunning", "web:1\trunning", "web-admin\tstopped", "nginx\trunning"]
    assert "HUP\tsignal 1" in shared.ctl("_complete", "signals").stdout.splitlines()
    assert shared.ctl("_complete", "nothing").stdout == ""


def test_the_hidden_verb_is_in_no_help(daemon: Daemon) -> None:
    assert "_complete" not in daemon.ctl("--help").stdout


def test_without_a_daemon_the_hidden_verb_is_silent(daemon: Daemon) -> None:
    done = daemon.ctl("_complete", "programs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = daemon.ctl("-c", "missing.yaml", "_complete", "programs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def seconds_of_silence(daemon: Daemon) -> float:
    """Return how long the hidden verb has taken to say nothing."""
    began = time.monotonic()
    done = daemon.ctl("_complete", "programs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return time.monotonic() - began


@pytest.mark.slow
def test_a_frozen_daemon_costs_the_hidden_verb_about_a_second_and_no_word(shared: Daemon) -> None:
    shared.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(shared.pid) == "T")
        took = [seconds_of_silence(shared)]
        while (
            took[-1] > 2.5 and len(took) < 5
        ):  # this machine may have stood still; a client that waits too long always does
            took.append(seconds_of_silence(shared))
    finally:
        shared.signal(signal.SIGCONT)
    assert 0.9 < took[-1] < 2.5, took


def test_the_hidden_verb_loads_nothing_heavy(shared: Daemon) -> None:
    code = (
        "import sys, json; from taskmasterctl.cli import main; main(['_complete', 'programs']); "
        "print(json.dumps([*sys.modules]))"
    )
    loaded = set(json.loads(run(shared, sys.executable, "-c", code).splitlines()[-1]))
    assert not loaded & {"prompt_toolkit", "yaml", "difflib", "typing", "argparse", "socket", "asyncio", "signal"}


# -- bash


@needs("bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("taskmasterctl sta", {"status", "start"}),
        ("taskmasterctl ", {command.name for command in COMMANDS}),
        ("taskmasterctl --so", {"--socket"}),
        ("taskmasterctl --color ", {"auto", "always", "never"}),
        ("taskmasterctl --color=a", {"auto", "always"}),
        ("taskmasterctl wait --for s", {"stopped", "settled"}),
        ("taskmasterctl events --event o", {"operator", "oom"}),
        ("taskmasterctl reload --d", {"--dry-run"}),
        ("taskmasterctl reload --d -q", {"-q"}),
        ("taskmasterctl tail --f", {"--follow"}),
        ("taskmasterctl -q help sto", {"stop"}),
        ("taskmasterctl help stop ", set()),
        ("taskmasterctl version ", set()),
        ("taskmasterctl logs -n ", set()),
        ("taskmasterctl signal USR", {"USR1", "USR2"}),
    ],
)
def test_bash_completes_what_is_fixed_without_a_daemon(daemon: Daemon, line: str, offered: set[str]) -> None:
    assert set(by_bash(with_command(daemon), line)) == offered


@needs("bash")
@pytest.mark.slow
def test_bash_completes_live_names(shared: Daemon) -> None:
    assert by_bash(shared, "taskmasterctl start w") == ["web", "web-admin"]
    assert by_bash(shared, "taskmasterctl logs -n 5 -f ng") == ["nginx"]
    assert by_bash(shared, "taskmasterctl stop ") == ["all", "web", "web-admin", "nginx"]
    assert by_bash(shared, "taskmasterctl stop web:") == ["0", "1"]  # bash keeps what stands before the colon
    assert by_bash(shared, "taskmasterctl signal HUP web-") == ["web-admin"]
    assert by_bash(shared, "taskmasterctl stop -- n") == ["nginx"]


@needs("bash")
@pytest.mark.slow
def test_bash_asks_the_daemon_that_the_line_names(started: Daemon) -> None:
    socket = started.environment.pop("TASKMASTER_SOCKET")
    started.environment["RUNTIME_DIRECTORY"] = "/nonexistent"
    started.write(f"taskmasterd: {{socket: {socket}}}\n{CONFIG}")
    assert "nginx" not in by_bash(started, "taskmasterctl start n")
    for option in (f"-s {socket}", f"--socket={socket}", f"-s{socket}", f"-c {started.config}"):
        assert by_bash(started, f"taskmasterctl {option} start n") == ["nginx"]


@needs("bash")
def test_bash_asks_nobody_for_what_is_fixed(daemon: Daemon) -> None:
    by_bash(with_command(daemon), "taskmasterctl sta")
    by_bash(daemon, "taskmasterctl status --w")
    assert not (daemon.home / "calls").exists()


@needs("bash")
@pytest.mark.slow
def test_a_word_that_is_a_command_is_not_executed(shared: Daemon) -> None:
    by_bash(shared, "taskmasterctl start $(touch hacked)")
    by_bash(shared, "taskmasterctl -s `touch hacked` start ")
    assert not (shared.home / "hacked").exists()


@needs("bash")
@pytest.mark.slow
def test_tab_in_a_real_bash_completes_an_instance(shared: Daemon) -> None:
    with_prompt = {**shared.environment, "PS1": "ready> ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    shell = pexpect.spawn(
        "bash", ["--norc", "--noprofile"], env=with_prompt, cwd=str(shared.home), encoding="utf-8", timeout=10
    )
    try:
        shell.expect("ready> ")
        shell.sendline(f"bind 'set enable-bracketed-paste off'; source {DIRECTORY}/taskmasterctl.bash")
        shell.expect("ready> ")
        shell.send("taskmasterctl pid web:1\b1\t\rtaskmasterctl pi\t ng\t\r")
        shell.expect(r"\r\n(\d+)\r\n")
        assert int(matched(shell)) == shared.status()["web:1"]["pid"]
        shell.expect(r"\r\n(\d+)\r\n")
        assert int(matched(shell)) == shared.status()["nginx"]["pid"]
    finally:
        shell.close(force=True)


@needs("bash")
def test_bash_evaluates_nothing_that_a_daemon_calls_a_program(daemon: Daemon) -> None:
    assert by_bash(with_nasty_names(daemon), "taskmasterctl start ") == ["all", "web", "db"]
    assert by_bash(daemon, "taskmasterctl stop web:") == []
    assert by_bash(daemon, "taskmasterctl start $(touch${IFS}hacked)/") == []
    assert not (daemon.home / "hacked").exists()


# -- zsh


@needs("zsh")
@pytest.mark.slow
def test_tab_in_a_real_zsh_completes_verbs_flags_and_live_names(shared: Daemon) -> None:
    shell = by_zsh(shared)
    try:
        shell.send("taskmasterctl pid ng\t\r")
        shell.expect(r"\n(\d+)\r")
        assert int(matched(shell)) == shared.status()["nginx"]["pid"]
        shell.send("taskmasterctl pid web:1\b1\t\r")
        shell.expect(r"\n(\d+)\r")
        assert int(matched(shell)) == shared.status()["web:1"]["pid"]
        shell.send("taskmasterctl sta\t")
        shell.expect("start +-- start programs and wait until they run")
        shell.expect("status +-- one line for each process")
        shell.send("\x15taskmasterctl --json start web\t")
        shell.expect("web +-- 2 running")
        shell.expect("web-admin +-- stopped")
        shell.send("\x15taskmasterctl reload --\t")
        shell.expect("--dry-run +-- print the plan")
        shell.send("\x15taskmasterctl signal USR\t")
        shell.expect("USR1 +-- signal")
        shell.send("\x15taskmasterctl signal HUP web-\t\x01echo '\x05' \r")
        shell.expect("\ntaskmasterctl signal HUP web-admin")
    finally:
        shell.close(force=True)


@needs("zsh")
@pytest.mark.slow
def test_zsh_evaluates_nothing_that_a_daemon_calls_a_program(daemon: Daemon) -> None:
    shell = by_zsh(with_nasty_names(daemon))
    try:
        shell.send("taskmasterctl stop web:1\b\t")
        shell.send("\x15taskmasterctl start \t")
        shell.expect("web +-- running")
        shell.send("\x15echo do''ne\r")
        shell.expect("done")
        assert "touch" not in (shell.before or "")
    finally:
        shell.close(force=True)
    assert not (daemon.home / "hacked").exists()


# -- fish


@needs("fish")
def test_fish_evaluates_nothing_that_a_daemon_calls_a_program(daemon: Daemon) -> None:
    assert set(by_fish(with_nasty_names(daemon), "taskmasterctl start ")) == {"all", "web", "db"}
    assert not (daemon.home / "hacked").exists()


@needs("fish")
@pytest.mark.slow
def test_fish_completes_verbs_flags_and_live_names(shared: Daemon) -> None:
    wait_until(lambda: shared.state("web:1") == "RUNNING")
    assert by_fish(shared, "taskmasterctl sta")["status"].startswith("one line for each process")
    assert set(by_fish(shared, "taskmasterctl ")) == {command.name for command in COMMANDS}
    assert by_fish(shared, "taskmasterctl reload --d") == {"--dry-run": "print the plan and change nothing"}
    assert by_fish(shared, "taskmasterctl start web") == {"web": "2 running", "web-admin": "stopped"}
    assert by_fish(shared, "taskmasterctl -q stop web:") == {"web:0": "running", "web:1": "running"}
    assert by_fish(shared, "taskmasterctl stop a")["all"] == "every program"
    assert set(by_fish(shared, "taskmasterctl signal USR")) == {"USR1", "USR2"}
    assert set(by_fish(shared, "taskmasterctl signal HUP n")) == {"nginx"}
    assert set(by_fish(shared, "taskmasterctl help sto")) == {"stop"}
    assert set(by_fish(shared, "taskmasterctl --color a")) == {"auto", "always"}
    assert set(by_fish(shared, "taskmasterctl wait --for s")) == {"stopped", "settled"}
    assert set(by_fish(shared, "taskmasterctl events --event o")) == {"operator", "oom"}
    assert set(by_fish(shared, "taskmasterctl logs -n 5 n")) == {"nginx"}
    assert by_fish(shared, "taskmasterctl version n") == {}


@pytest.mark.sweep
@needs("fish")
@pytest.mark.slow
def test_fish_asks_the_daemon_that_the_line_names(started: Daemon) -> None:
    socket = started.environment.pop("TASKMASTER_SOCKET")
    started.environment["RUNTIME_DIRECTORY"] = "/nonexistent"
    assert "nginx" not in by_fish(started, "taskmasterctl start n")
    assert "nginx" in by_fish(started, f"taskmasterctl --socket {socket} start n")
    assert "nginx" in by_fish(started, f"taskmasterctl start --socket={socket} n")

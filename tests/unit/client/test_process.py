"""`taskmasterctl` with pipes, signals and terminals around it, against a daemon of cardboard."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taskmasterctl.cli import main
from tests.support.daemon import ROOT
from tests.support.fakedaemon import HOLD, FakeDaemon, end, process, result
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Capture = pytest.CaptureFixture[str]

PROCESSES = {"type": "processes", "processes": [process("web"), process("db", "FATAL", detail="gone")]}


@pytest.fixture
def path(short_dir: Path) -> str:
    return str(short_dir / "s")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "taskmasterctl", *words]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/common", **more}


# -- commands from a pipe


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    saved = os.dup(0)

    def feed(text: str) -> None:
        reader, writer = os.pipe()
        os.write(writer, text.encode())
        os.close(writer)
        os.dup2(reader, 0)
        os.close(reader)

    yield feed
    os.dup2(saved, 0)
    os.close(saved)


SCRIPT = "# a comment\n\nstart web   # another\nstop 'nope'\nbogus\n  start   'web'\n"
SCRIPT_REPLIES = {"start web": [result("web", "started"), end()], "stop nope": [end(5, "unknown-name", "no nope")]}


def test_a_pipe_runs_every_line_and_exits_as_the_first_that_failed(path: str, stdin: Any, capfd: Capture) -> None:
    stdin(SCRIPT)
    with FakeDaemon(path, SCRIPT_REPLIES) as daemon:
        assert main(["-s", path]) == 5
    assert daemon.requests == ["start web", "stop nope", "start web"]
    out, err = capfd.readouterr()
    assert out == "web started\nweb started\n"
    assert 'unknown verb "bogus"' in err


def test_a_pipe_with_e_stops_at_the_first_failure(path: str, stdin: Any) -> None:
    stdin(SCRIPT)
    with FakeDaemon(path, SCRIPT_REPLIES) as daemon:
        assert main(["-e", "-s", path]) == 5
    assert daemon.requests == ["start web", "stop nope"]


def test_an_open_quotation_is_a_mistake_of_that_line_alone(path: str, stdin: Any, capfd: Capture) -> None:
    stdin("stop 'Web\nstart web\n")
    with FakeDaemon(path, SCRIPT_REPLIES) as daemon:
        assert main(["-s", path]) == 2
    assert daemon.requests == ["start web"]
    assert 'cannot read "stop \'Web": no closing quotation' in capfd.readouterr().err


def test_an_empty_pipe_is_no_failure(stdin: Any, capfd: Capture) -> None:
    stdin("")
    assert main([]) == 0
    assert capfd.readouterr() == ("", "")


# -- as a process: signals, pipes, terminals


def test_ctrl_c_ends_the_wait_with_130_and_says_that_it_goes_on(path: str) -> None:
    with FakeDaemon(path, {"start web": [HOLD]}) as daemon:
        client = subprocess.Popen(command("-s", path, "start", "web"), stderr=subprocess.PIPE, env=environment())
        wait_until(lambda: daemon.requests)
        client.send_signal(signal.SIGINT)
        _, err = client.communicate(timeout=60)
    assert client.returncode == 130
    assert err.decode() == (
        "taskmasterctl: no longer waiting for start of web\n"
        f"  It goes on in the daemon. Look at it:  taskmasterctl -s {path} status web\n"
    )


def test_ctrl_c_while_following_a_log_is_quiet(path: str) -> None:
    with FakeDaemon(path, {"logs --follow web": [HOLD]}) as daemon:
        client = subprocess.Popen(command("-s", path, "logs", "-f", "web"), stderr=subprocess.PIPE, env=environment())
        wait_until(lambda: daemon.requests)
        client.send_signal(signal.SIGINT)
        _, err = client.communicate(timeout=60)
    assert (client.returncode, err) == (130, b"")


def test_a_reader_that_goes_away_is_quiet_141(path: str) -> None:
    piece = {"type": "output", "name": "web", "stream": "stdout", "text": "x" * 200_000}
    with FakeDaemon(path, {"logs web": [piece, end()]}):
        reader, writer = os.pipe()
        os.close(reader)
        client = subprocess.run(
            command("-s", path, "logs", "web"), stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False
        )
        os.close(writer)
    assert (client.returncode, client.stderr) == (141, b"")


def test_a_full_disk_is_told_and_closed_streams_are_not(path: str) -> None:
    with FakeDaemon(path, {"status": [PROCESSES, end()]}) as daemon:
        words = " ".join(command("-s", path, "status"))
        for redirection, exit_code, says in (
            (">/dev/full", 1, b"taskmasterctl: cannot write standard output: no space left on device\n"),
            (">&-", 0, b""),
            ("<&- >&-", 0, b""),
        ):
            client = subprocess.run(
                ["/bin/sh", "-c", f"{words} {redirection}"], stderr=subprocess.PIPE, env=environment(), check=False
            )
            assert (client.returncode, client.stderr) == (exit_code, says)
    assert daemon.requests == ["status"] * 3


def on_terminal(path: str, *words: str, **more: str) -> bytes:
    """Return what a client with a terminal for stdout writes."""
    master, slave = pty.openpty()
    client = subprocess.run(
        command("-s", path, *words), stdout=slave, stdin=slave, env=environment(**more), check=False
    )
    assert client.returncode in (0, 2)
    return written_to(master, slave)


def written_to(master: int, slave: int) -> bytes:
    """Close a terminal and return what was written to it."""
    os.close(slave)
    written = b""
    try:
        while piece := os.read(master, 65_536):
            written += piece
    except OSError:  # Linux: EIO is the end of a terminal
        pass
    os.close(master)
    return written


@pytest.mark.parametrize(
    ("words", "more", "paged"),
    [
        (["show", "web"], {}, True),
        (["help"], {}, True),
        (["?"], {}, True),
        (["runs", "web"], {}, True),
        (["runs", "--cron", "0 3 * * *", "-n", "50"], {}, True),
        (["--no-pager", "show", "web"], {}, False),
        (["--json", "show", "web"], {}, False),
        (["show", "web"], {"TERM": "dumb"}, False),
        (["show", "web"], {"PAGER": ""}, False),
        (["show", "web"], {"PAGER": "cat"}, False),
        (["logs", "--raw", "web"], {}, False),
        (["stop", "web"], {}, False),
    ],
)
def test_a_long_answer_on_a_terminal_goes_through_the_pager(
    path: str, short_dir: Path, words: list[str], more: dict[str, str], *, paged: bool
) -> None:
    pager = short_dir / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\nexec cat\n")
    pager.chmod(0o755)
    answer = [{"type": "text", "text": "line\n" * 50}, end()]
    verbs = dict.fromkeys(("show web", "stop web", "logs web", "runs web"), answer)
    with FakeDaemon(path, verbs):
        shown = on_terminal(path, *words, **{"TERM": "xterm", "PAGER": str(pager), **more})
    assert (b"PAGED" in shown) is paged
    assert shown


@pytest.mark.parametrize("ways", [(), ("-o", "new.yaml")], ids=["shown", "written"])
def test_import_shows_its_file_and_its_report_in_a_pager_and_keeps_its_exit_code(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, ways: tuple[str, ...]
) -> None:
    pager = short_dir / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\nexec head -n 1000\n")
    pager.chmod(0o755)
    lost = "".join(f"[program:p{number}]\ncommand=/bin/cat\nserverurl=x\n" for number in range(40))
    (short_dir / "old.conf").write_text(lost)
    monkeypatch.chdir(short_dir)
    words = ("import", "--from", "supervisor", "old.conf", *ways)
    given = {"TERM": "xterm", "PAGER": str(pager)}

    def shown_by(*flags: str) -> bytes:
        master, slave = pty.openpty()
        client = subprocess.run(
            command(*flags, *words), stdin=slave, stdout=slave, stderr=slave, env=environment(**given), check=False
        )
        assert client.returncode == 3
        return written_to(master, slave)

    shown = shown_by()
    assert shown.startswith(b"PAGED")
    assert shown.count(b"serverurl") >= 40, "the report is in the pager, too"
    (short_dir / "new.yaml").unlink(missing_ok=True)
    assert b"PAGED" not in shown_by("--no-pager")
    if not ways:
        pager.write_text("#!/bin/sh\necho PAGED\n")
        assert shown_by().startswith(b"PAGED")


def test_a_terminal_gets_colour_unless_somebody_objects(path: str) -> None:
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        assert b"\x1b[32mRUNNING\x1b[0m" in on_terminal(path, "status", TERM="xterm")
        for words, more in (
            (["status"], {"TERM": "dumb"}),
            (["status"], {"TERM": "xterm", "NO_COLOR": "1"}),
            (["status", "--color=never"], {"TERM": "xterm"}),
        ):
            written = on_terminal(path, *words, **more)
            assert b"RUNNING" in written
            assert b"\x1b" not in written


def test_a_terminal_obeys_nothing_that_a_program_wrote(path: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = "\x1b]0;t\x07\x1b[2Jx\rb | y \udc9b \x1b[31mred\x1b[0m\n"
    output = {"type": "output", "name": "web", "stream": "stdout", "text": text}
    with FakeDaemon(path, {"logs web": [output, end()]}):
        seen = rb"\x1b]0;t\x07\x1b[2Jx\rb | y \x9b " + b"\x1b[31mred\x1b[0m\r\n"
        assert on_terminal(path, "logs", "web", TERM="xterm") == seen
        assert b"\x1b]0;t\x07" in on_terminal(path, "logs", "--raw", "web", TERM="xterm")
        assert main(["-s", path, "logs", "web"]) == 0
        assert capfdbinary.readouterr().out == text.encode("utf-8", "surrogateescape")


def test_an_exit_code_that_is_none_is_a_failure(path: str) -> None:
    with FakeDaemon(
        path, {"pid": [{"type": "end", "exit": "\x1b]0;t\x07"}], "version": [{"type": "end", "exit": 256}]}
    ):
        assert main(["-s", path, "pid"]) == 1
        assert main(["-s", path, "version"]) == 1


def test_no_escape_in_a_pipe_unless_it_is_asked_for(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        main(["-s", path, "status"])
        assert "\x1b" not in capfd.readouterr().out
        main(["-s", path, "status", "--color", "always"])
        assert "\x1b[31mFATAL" in capfd.readouterr().out


def test_commands_from_a_pipe_never_load_the_line_editor(path: str) -> None:
    code = (
        "import sys; from taskmasterctl.cli import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        client = subprocess.run(
            [sys.executable, "-c", code, "-s", path],
            input=b"status; status\n# nothing\nexit\nfrobnicate\n",
            capture_output=True,
            env=environment(),
            check=False,
        )
    assert client.returncode == 0
    assert client.stdout.count(b"NAME") == 2
    assert b"\x1b" not in client.stdout
    loaded = set(client.stderr.decode().split())
    assert "taskmasterctl.options" in loaded
    assert not loaded & {
        "prompt_toolkit",
        "asyncio",
        "taskmasterctl.shell.shell",
        "taskmasterctl.shell.prompt",
        "taskmasterctl.shell.feed",
    }


def test_a_one_shot_command_loads_nothing_heavy(path: str) -> None:
    heavy = {"argparse", "typing", "yaml", "prompt_toolkit", "socket", "asyncio", "subprocess", "dataclasses", "pathlib",
             "logging", "threading", "signal", "shlex", "json", "re", "enum", "difflib", "taskmaster_common.schema", "taskmasterctl.connect.diagnose"}  # fmt: skip
    code = (
        "import sys; from taskmasterctl.cli import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        client = subprocess.run(
            [sys.executable, "-S", "-c", code, "-s", path, "status"],
            capture_output=True,
            env=environment(),
            check=False,
        )
    assert client.returncode == 0
    loaded = set(client.stderr.decode().split())
    assert "taskmasterctl.reply.replies" in loaded
    assert not loaded & heavy
    assert not [name for name in loaded if name.startswith("taskmasterctl.convert")], "for import and export alone"

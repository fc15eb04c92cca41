"""`taskmasterctl` from words to exit code, against a daemon of cardboard on a real socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from taskmaster_common.commands.table import parse
from taskmaster_common.errors import RequestError
from taskmasterctl.cli import main
from taskmasterctl.connect.client import request_words
from taskmasterctl.options import Options, split_options
from taskmasterctl.visible import shell_quoted
from tests.support.fakedaemon import CLOSE, HELLO, HOLD, FakeDaemon, end, process, result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Capture = pytest.CaptureFixture[str]

DAEMON = {"type": "daemon", "version": "9.9", "protocol": 1, "pid": 4711, "uptime_s": 60.0}
PROCESSES = {"type": "processes", "processes": [process("web"), process("db", "FATAL", detail="gone")]}


@pytest.fixture
def path(short_dir: Path) -> str:
    return str(short_dir / "s")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, short_dir: Path) -> None:
    for name in ("TASKMASTER_SOCKET", "TASKMASTER_CONFIG", "TASKMASTER_DEBUG", "NO_COLOR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(short_dir / "nowhere"))


# -- one-shot


def test_status_prints_the_table_and_exits_as_the_daemon_says(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"status": [DAEMON, PROCESSES, end(3)]}) as daemon:
        assert main(["-s", path, "status"]) == 3
    out, err = capfd.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "web", "db"]
    assert err == ""
    assert daemon.requests == ["status"]


def test_quiet_status_is_the_exit_code_alone(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"status web": [DAEMON, PROCESSES, end(0)]}):
        assert main(["-s", path, "status", "-q", "web"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "words",
    [
        ["-s", "@", "--json", "stop", "web", "--no-wait"],
        ["stop", "--no-wait", "web", "-s", "@", "--json"],
        ["stop", "-s@", "web", "--json", "--no-wait"],
        ["--socket=@", "stop", "--no-wait", "--json", "--", "web"],
    ],
)
def test_global_options_stand_before_and_after_the_verb(path: str, words: list[str], capfd: Capture) -> None:
    with FakeDaemon(path, {"stop --no-wait web": [result("web", "requested"), end()]}) as daemon:
        assert main([word.replace("@", path) for word in words]) == 0
    assert daemon.requests == ["stop --no-wait web"]
    assert json.loads(capfd.readouterr().out)["results"][0]["outcome"] == "requested"


def test_aliases_and_client_flags_do_not_travel(path: str) -> None:
    travels = ["status", "logs --follow --lines=5 web", "logs --daemon", "reload --dry-run --exit-code"]
    with FakeDaemon(path, {line: [end()] for line in travels}) as daemon:
        main(["-s", path, "status", "--wide", "--failed"])
        main(["-s", path, "tail", "-n5", "-f", "web"])
        main(["-s", path, "maintail"])
        main(["-s", path, "reread", "--exit-code"])
    assert daemon.requests == travels


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (["statsu"], 2, 'unknown verb "statsu"; did you mean status?'),
        (["stat"], 2, 'unknown verb "stat"; did you mean status?'),
        (["stop"], 2, "stop needs a name"),
        (
            ["logs", "--since", "2026-11-02T10:00", "--until", "2026-11-01T10:00", "web"],
            2,
            "--since is later than --until",
        ),
        (["stop", "--nowait", "web"], 2, "did you mean --no-wait?"),
        (["--jsno", "status"], 2, "did you mean --json?"),
        (["status", "--timeout", "soon"], 2, '--timeout: "soon" is not a duration'),
        (["status", "--timeout"], 2, "--timeout needs a value"),
        (["status", "--json=yes"], 2, "--json takes no value"),
        (["--color", "blue", "status"], 2, 'blue" is not one of auto, always, never'),
        (["-s", "x", "-c", "y", "status"], 2, "exclude each other"),
        (["start", "two words"], 2, "holds a blank"),
        (["help", "foo"], 2, 'unknown verb "foo"'),
        (["add", "web"], 2, "edit it, then `reload`"),
    ],
)
def test_a_mistake_in_the_command_line_is_exit_2_and_no_daemon_is_needed(
    words: list[str], exit_code: int, says: str, capfd: Capture
) -> None:
    assert main(words) == exit_code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("taskmasterctl: ")
    assert says in err


def test_a_mistake_with_json_is_a_document_too(capfd: Capture) -> None:
    assert main(["--json", "stop"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert (document["exit"], document["error"]["code"]) == (2, "usage")


def test_help_and_versions_need_no_daemon(capfd: Capture) -> None:
    for words in (["help"], ["--help"], ["-h"], ["?"]):
        assert main(words) == 0
        out = capfd.readouterr().out
        assert "Configuration:" in out
        assert "--timeout DUR" in out
    for words in (["help", "stop"], ["?", "stop"], ["stop", "--help"], ["-h", "stop", "web"], ["help", "stop", "-q"]):
        assert main(words) == 0
        assert capfd.readouterr().out.startswith("stop: ")
    assert main(["-V"]) == 0
    assert capfd.readouterr().out.startswith("taskmasterctl ")


def test_the_list_of_signals_needs_no_daemon(capfd: Capture) -> None:
    assert main(["signal", "--list"]) == 0
    assert " 1 HUP\n" in capfd.readouterr().out


def test_version_tells_both_sides(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"version": [DAEMON, end()]}):
        assert main(["-s", path, "version"]) == 0
        out = capfd.readouterr().out
        assert main(["-s", path, "version", "--json"]) == 0
        document = json.loads(capfd.readouterr().out)
    assert out.splitlines()[1].startswith("taskmasterd 9.9 (protocol 1), pid 4711")
    assert (document["client"]["protocol"], document["daemon"]["version"]) == (2, "9.9")


def test_an_error_of_the_daemon_is_shown_with_its_hints(path: str, capfd: Capture) -> None:
    unknown = end(5, "unknown-name", 'no program named "ngnix"; did you mean nginx?', ("type status",))
    with FakeDaemon(path, {"stop ngnix": [unknown]}):
        assert main(["-s", path, "-q", "stop", "ngnix"]) == 5
    assert capfd.readouterr() == (
        "",
        'taskmasterctl: no program named "ngnix"; did you mean nginx?\n  type status\n',
    )


def test_output_of_programs_arrives_byte_for_byte(path: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    every = bytes(range(256)) * 40
    piece = {"type": "output", "name": "web", "stream": "stdout", "text": every.decode("utf-8", "surrogateescape")}
    with FakeDaemon(path, {"logs web": [piece, piece, end()]}):
        assert main(["-s", path, "logs", "web"]) == 0
    assert capfdbinary.readouterr().out == every * 2


# -- no daemon, or one that is not well


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (["status"], 4),
        (["show", "web"], 4),
        (["logs", "web"], 4),
        (["pid"], 4),
        (["version"], 4),
        (["start", "web"], 7),
        (["stop", "web"], 7),
        (["restart", "web"], 7),
        (["signal", "HUP", "web"], 7),
        (["reload"], 7),
        (["shutdown"], 7),
    ],
)
def test_without_a_daemon_looking_is_exit_4_and_acting_7(
    words: list[str], exit_code: int, path: str, capfd: Capture
) -> None:
    assert main(["-s", path, *words]) == exit_code
    err = capfd.readouterr().err
    assert err.startswith(f"taskmasterctl: cannot reach taskmasterd at {path}: no such file\n  ")
    assert "Start it:  taskmasterd -c FILE" in err
    assert "Traceback" not in err


def test_without_a_daemon_json_is_a_document_with_the_error(path: str, capfd: Capture) -> None:
    assert main(["-s", path, "start", "web", "--json"]) == 7
    document = json.loads(capfd.readouterr().out)
    assert (document["results"], document["error"]["code"], document["exit"]) == ([], "unreachable", 7)


def test_a_refused_peer_is_exit_4_for_actions_too(path: str, capfd: Capture) -> None:
    refusal = end(4, "permission", "uid 3999999 may not control this daemon", ("root may",))
    with FakeDaemon(path, hello=refusal) as daemon:
        assert main(["-s", path, "stop", "web"]) == 4
    assert capfd.readouterr().err == "taskmasterctl: uid 3999999 may not control this daemon\n  root may\n"
    assert daemon.requests == []


@pytest.mark.parametrize(
    ("hello", "says"),
    [
        ({**HELLO, "protocol": 3}, "it speaks protocol 3, this client 2"),
        ({**HELLO, "name": "sshd"}, "is not taskmasterd"),
        (b"SSH-2.0-OpenSSH_9.2\n", "cannot read a reply"),
        (b"\xff\xfe\n", "cannot read a reply"),
        (b"[" * 100_000 + b"\n", "cannot read a reply"),
    ],
)
def test_somebody_else_who_answers_is_told_in_one_line(
    hello: dict[str, Any] | bytes, says: str, path: str, capfd: Capture
) -> None:
    with FakeDaemon(path, hello=hello):
        assert main(["-s", path, "status"]) == 4
    err = capfd.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_daemon_of_an_older_protocol_is_said_to_lack_what_came_later_and_is_used_for_the_rest(
    path: str, capfd: Capture
) -> None:
    with FakeDaemon(path, {"status": [end(0)]}, hello={**HELLO, "protocol": 1}) as daemon:
        assert main(["-s", path, "status"]) == 0
        assert main(["-s", path, "send", "web", "text"]) == 1
    assert "it speaks protocol 1, and `send` came with protocol 2" in capfd.readouterr().err
    assert daemon.requests == ["status"]


def test_a_connection_that_ends_too_early_says_that_the_operation_may_go_on(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"stop web": [CLOSE], "status": [CLOSE]}):
        assert main(["-s", path, "stop", "web"]) == 7
        assert "The daemon may have died. If it has not, the work goes on there. Look" in capfd.readouterr().err
        assert main(["-s", path, "status"]) == 4
    assert capfd.readouterr() == ("", "taskmasterctl: the daemon closed the connection before the end of its answer\n")


@pytest.mark.sweep
@pytest.mark.slow
def test_a_daemon_that_freezes_during_a_wait_is_given_up(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"stop web": [HOLD]}):
        assert main(["-s", path, "stop", "web"]) == 7
    err = capfd.readouterr().err
    assert "did not answer within 5s" in err
    assert f"It goes on in the daemon. Look at it:  taskmasterctl -s {path} status web" in err


def test_the_time_out_ends_the_wait_with_124_and_the_operation_goes_on(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, {"stop web": [HOLD]}):
        assert main(["-s", path, "stop", "web", "--timeout", "1.5s"]) == 124  # in which the request is sent
    assert capfd.readouterr().err == (
        "taskmasterctl: stop of web is not finished after 1.5s\n"
        f"  It goes on in the daemon. Look at it:  taskmasterctl -s {path} status web\n"
    )


def test_the_time_out_bounds_the_greeting_too(path: str, capfd: Capture) -> None:
    with FakeDaemon(path, hello=None):
        assert main(["-s", path, "stop", "web", "--timeout", "50ms"]) == 124
    assert capfd.readouterr().err == "taskmasterctl: taskmasterd did not answer after 0.1s\n"


def test_a_full_queue_of_connections_is_waited_for_no_longer_than_the_time_out(path: str, capfd: Capture) -> None:
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        for channel in waiting:
            channel.setblocking(False)
            channel.connect_ex(path)
        assert main(["-s", path, "status", "--timeout", "0.1"]) == 124
        for channel in waiting:
            channel.close()
    assert capfd.readouterr().err == "taskmasterctl: taskmasterd did not answer after 0.1s\n"


def test_shutdown_returns_only_when_the_daemon_has_closed(path: str) -> None:
    with FakeDaemon(path, {"shutdown": [end(), HOLD]}):
        assert main(["-s", path, "shutdown", "--timeout", "0.1"]) == 124
    os.unlink(path)
    with FakeDaemon(path, {"shutdown": [end(), CLOSE]}):
        assert main(["-s", path, "shutdown", "--timeout", "5"]) == 0


def test_a_shutdown_that_is_refused_does_not_wait_for_the_end_of_the_daemon(path: str, capfd: Capture) -> None:
    refusal = end(4, "permission", "shutdown: needs admin; uid 60001 has look (role mon)", ("a line for `roles`",))
    with FakeDaemon(path, {"shutdown": [refusal, HOLD]}):
        assert main(["-s", path, "shutdown", "--timeout", "0.5"]) == 4
    assert capfd.readouterr().err.startswith("taskmasterctl: shutdown: needs admin; uid 60001 has look (role mon)\n")
    os.unlink(path)
    with FakeDaemon(path, {"shutdown": [end(1, "failed", "could not be ended: web"), HOLD]}):
        assert main(["-s", path, "shutdown", "--timeout", "0.1"]) == 124


# -- which socket


def test_the_environment_names_the_socket(path: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKMASTER_SOCKET", path)
    assert main(["status"]) == 4
    assert "The path comes from $TASKMASTER_SOCKET." in capfd.readouterr().err
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        assert main(["status"]) == 0


def test_the_default_places_are_tried_in_order_and_told(short_dir: Path, capfd: Capture) -> None:
    assert main(["status"]) == 4
    err = capfd.readouterr().err
    assert f"at {short_dir}/nowhere/taskmaster.sock: no such file" in err
    assert "also tried /run/taskmaster/taskmaster.sock" in err


def test_a_configuration_names_the_socket_though_it_is_wrong_further_down(
    path: str, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKMASTER_SOCKET", "/nowhere")
    config = short_dir / "t.yaml"
    config.write_text("taskmasterd:\n  socket: s\nprograms:\n  web: {cmd: [}\n")
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        assert main(["-c", str(config), "status"]) == 0


def test_the_environment_names_the_configuration_that_names_the_socket(
    path: str, short_dir: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = short_dir / "t.yaml"
    config.write_text("taskmasterd: {socket: s}\nprograms: {}\n")
    monkeypatch.setenv("TASKMASTER_CONFIG", str(config))
    assert main(["status"]) == 4
    assert f"The path comes from $TASKMASTER_CONFIG, {config}." in capfd.readouterr().err
    with FakeDaemon(path, {"status": [PROCESSES, end()]}):
        assert main(["status"]) == 0
        monkeypatch.setenv("TASKMASTER_CONFIG", "/nowhere")
        assert main(["status"]) == 6
        assert "cannot find the socket: the file that TASKMASTER_CONFIG names has a problem" in capfd.readouterr().err
        monkeypatch.setenv("TASKMASTER_SOCKET", path)
        assert main(["status"]) == 0, "the socket is nearer"


def test_a_configuration_that_cannot_be_read_is_exit_6(short_dir: Path, capfd: Capture) -> None:
    os.mkfifo(short_dir / "fifo")
    for name in ("missing.yaml", "fifo", ""):
        assert main(["-c", str(short_dir / name), "status"]) == 6
        err = capfd.readouterr().err
        assert err.startswith(f"{short_dir / name}: error: ")
        assert "Traceback" not in err


def test_an_internal_error_is_one_line_and_a_traceback_only_on_demand(
    path: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"type": "processes"}  # a field is missing that the protocol promises
    with FakeDaemon(path, {"status": [broken, end()]}):
        assert main(["-s", path, "status"]) == 1
        err = capfd.readouterr().err
        assert err.startswith("taskmasterctl: internal error: KeyError")
        assert err.count("\n") == 1
        monkeypatch.setenv("TASKMASTER_DEBUG", "1")
        assert main(["-s", path, "status"]) == 1
        assert "Traceback" in capfd.readouterr().err


# -- options as values


def test_options_after_two_dashes_belong_to_the_verb() -> None:
    options, rest = split_options(["stop", "-q", "--", "-s", "--json"], Options())
    assert (options.quiet, options.json, options.socket) == (True, False, "")
    assert rest == ["stop", "--", "-s", "--json"]


def test_a_line_of_a_script_overrides_where_the_command_line_led() -> None:
    base, _ = split_options(["-s", "/a", "-q"], Options())
    options, _ = split_options(["-c", "/b", "status"], base)
    assert (options.socket, options.config, options.quiet) == ("", "/b", True)


@pytest.mark.parametrize(
    "line",
    [
        "status --wide a b",
        "logs -f -n 7 --stderr web",
        "restart --if-running all",
        "stop -- -x",
        "tail web",
    ],
)
def test_what_travels_reads_back_as_the_same_request(line: str) -> None:
    request = parse(line.split())
    again = parse(request_words(request))
    assert (again.verb, again.targets) == (request.verb, request.targets)
    assert {key: value for key, value in request.flags.items() if key != "wide"} == again.flags


@pytest.mark.parametrize(
    ("word", "expected"), [("/a/b-1.x", "/a/b-1.x"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")]
)
def test_words_in_hints_can_be_pasted_into_a_shell(word: str, expected: str) -> None:
    assert shell_quoted(word) == expected


def test_an_option_that_is_wrong_raises_usage() -> None:
    with pytest.raises(RequestError) as caught:
        split_options(["--bogus"], Options())
    assert caught.value.exit_code == 2

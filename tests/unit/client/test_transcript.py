"""The golden transcript, replayed through the codecs of both sides: what the wire says is what both understand."""

from __future__ import annotations

import json

import pytest

from taskmaster_common.commands.table import Request, parse, refuse_client_flags
from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import (
    MAX_REPLY,
    MAX_REQUEST,
    PROTOCOL_VERSION,
    LineDecoder,
    decode_input,
    decode_reply,
    encode,
    input_lines,
)
from taskmasterctl.connect.client import wire_line
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.replies import reply_for
from taskmasterctl.reply.watching import Screen, watch_reply
from tests.support.daemon import ROOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Exchange = tuple[str, list[dict[str, Any]]]

TRANSCRIPT = ROOT / "tests" / "golden" / "transcript.txt"
LINES = [line for line in TRANSCRIPT.read_text("ascii").splitlines() if line and not line.startswith("#")]
SAID = [line[3:] for line in LINES if line.startswith("S: ")]


def exchanges() -> list[Exchange]:
    """Return each request with the objects that answer it."""
    found: list[Exchange] = []
    for line in LINES:
        if line.startswith("C: {"):
            continue  # input of the request before
        if line.startswith("C: "):
            found.append((line[3:], []))
        elif found:
            found[-1][1].append(json.loads(line[3:]))
    return found


def parsed(line: str) -> Request | RequestError:
    try:
        return parse(line.split())
    except RequestError as error:
        return error


def rendered(line: str, replies: list[dict[str, Any]]) -> tuple[str, str]:
    request = parsed(line)
    reply = reply_for(request if isinstance(request, Request) else Request(""), Look(), as_json=False)
    if line.startswith("subscribe"):
        screen = Screen(now=lambda: 0.0, wall=lambda: "10:02:03", stamp=lambda: "", size=lambda: (80, 24))
        reply = watch_reply(Request("subscribe"), Look(), screen, in_place=False, as_json=False)
    chunks = [chunk for message in replies for chunk in reply.take(message)]
    return tuple("".join(text for stream, text in chunks if stream == wanted) for wanted in (OUT, ERR))  # type: ignore[return-value]


def test_every_line_is_the_client_s_or_the_daemon_s() -> None:
    assert {line[:3] for line in LINES} == {"C: ", "S: "}


def test_the_daemon_greets_first_with_the_version_that_we_speak() -> None:
    hello = decode_reply(LINES[0][3:].encode())
    assert (hello["type"], hello["name"], hello["protocol"]) == ("hello", "taskmasterd", PROTOCOL_VERSION)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_daemon_reads_every_request_however_it_arrives(size: int) -> None:
    asked = [line for line, _replies in exchanges()]
    sent = "".join(f"{line}\r\n" for line in asked).encode()
    decoder = LineDecoder(MAX_REQUEST)
    heard = [line.decode() for at in range(0, len(sent), size) for line in decoder.feed(sent[at : at + size])]
    assert heard == asked


@pytest.mark.parametrize(("line", "replies"), exchanges())
def test_the_daemon_understands_a_request_and_answers_its_verb(line: str, replies: list[dict[str, Any]]) -> None:
    request = parsed(line)
    if isinstance(request, RequestError):
        error = {"code": request.code, "message": request.message, "hints": list(request.hints)}
        assert replies == [{"type": "end", "exit": request.exit_code, "error": error}]
    else:
        refuse_client_flags(request)
        assert replies[0] == {"type": "ack", "verb": request.verb}
        ends = 0 if request.verb == "subscribe" else 1  # a subscription has no end
        assert [message["type"] for message in replies].count("end") == ends
        assert replies[-1]["type"] == "end" or not ends


def test_the_client_s_encoder_writes_the_input_of_the_transcript_and_the_daemon_reads_it() -> None:
    given = [line[3:].encode() for line in LINES if line.startswith("C: {")]
    assert given == [line.rstrip(b"\n") for line in (*input_lines(b"save-all"), encode({"type": "eof"}))]
    assert [decode_input(line) for line in given] == [json.loads(line) for line in given]


@pytest.mark.parametrize("line", SAID)
def test_the_daemon_s_encoder_writes_exactly_these_lines(line: str) -> None:
    assert encode(json.loads(line)).decode("ascii") == line + "\n"


@pytest.mark.parametrize("size", [1, 13, 1_000_000])
def test_the_client_reads_every_reply_however_it_arrives(size: int) -> None:
    sent = "".join(f"{line}\n" for line in SAID).encode()
    decoder = LineDecoder(MAX_REPLY)
    heard = [decode_reply(line) for at in range(0, len(sent), size) for line in decoder.feed(sent[at : at + size])]
    assert heard == [json.loads(line) for line in SAID]


@pytest.mark.parametrize("line", [line for line, _ in exchanges() if isinstance(parsed(line), Request)])
def test_the_client_sends_a_request_that_means_the_same(line: str) -> None:
    request = parse(line.split())
    assert parse(wire_line(request).decode().split()) == request


def test_the_client_shows_what_the_transcript_says() -> None:
    assert [rendered(line, replies) for line, replies in exchanges()] == [
        (
            (
                "NAME   STATE      PID  UPTIME  RESTARTS  DETAIL\n"
                "nginx  RUNNING   1042  3d4h           0  the front door\n"
                "web:1  BACKOFF      -  -              3  retry 2 of 3 in 4.0s; exit 1 after 0.2s\n"
            ),
            "",
        ),
        (
            "web:0 already started (pid 2001)\n",
            (
                "web:1: retry 3 of 3 in 2.0s; exit 1 after 0.2s\n"
                "taskmasterctl: web:1 did not start: exit 1 after 0.2s (try 4 of 4), now FATAL\n"
                "  stderr: bind: address already in use (127.0.0.1:8080)\n"
                "  Log:    /var/log/taskmaster/web-1.log\n"
                "  More:   taskmasterctl logs --stderr web:1      taskmasterctl show web:1\n"
            ),
        ),
        ("caf\u00e9\nraw \udcff\udcfe bytes\n", ""),
        ("console sent (9 bytes)\n", ""),
        (
            (
                "PROGRAM  CHANGE     KEYS  WHY\n"
                "web      restarted  cmd   cmd cannot change while it runs; restarts web:0\n    cmd  web -w 2 -> web -w 4\n"
                "1 unchanged; 1 restart, 0 new, 0 removed\n"
            ),
            "",
        ),
        (
            "",
            (
                "/etc/taskmaster/taskmaster.yaml:14:18: error: programs.web.autorestart: "
                '"sometimes" is not one of always, never, unexpected\n'
                "   14 |     autorestart: sometimes\n"
                "taskmasterctl: nothing was changed: 1 problem\n"
            ),
        ),
        ("", 'taskmasterctl: unknown verb "statsu"; did you mean status?\n  type `help` for the verbs\n'),
        ("", 'taskmasterctl: no program named "ngnix"; did you mean nginx?\n'),
        (
            (
                "NAME   STATE      PID  UPTIME  RESTARTS  DETAIL\n"
                "web:1  RUNNING   2002  1m             0  -\n"
                "10:02:03 web:1 RUNNING -> EXITED (exit 3 after 61.0s)\n"
                "NAME  STATE     PID  UPTIME  RESTARTS  DETAIL\n"
            ),
            "taskmasterctl: 7 changes were not shown: they came faster than they were read\n",
        ),
        ("taskmasterd 0.1.0 is now 0.2.0 (pid 4711, away for 25ms)\n", ""),
        (
            "",
            (
                "taskmasterctl: the installed code cannot go on with this daemon: "
                "ModuleNotFoundError: No module named 'taskmasterd.daemon'; nothing was changed\n"
            ),
        ),
        ("3 processes stopped, taskmasterd (pid 4711) has ended\n", ""),
    ]

"""The helper that delivers: mail, HTTP and syslog to servers that are well, ill and hostile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.alerts.helper import by_http, by_mail, by_syslog
from taskmasterd.alerts.helper.message import Envelope, Notice, Secrets, Undelivered
from taskmasterd.alerts.helper.secret import SecretError, read_secret
from taskmasterd.survival.execute import command
from tests.support.daemon import ROOT
from tests.support.receivers import (
    HOST,
    PASSWORD,
    USER,
    Certificate,
    Mailbox,
    Web,
    free_port,
    mail_server,
    server_that,
    web_server,
)
from tests.support.wait import wait_until

Deliver = Callable[[Notice, Envelope, Secrets], None]

FATAL = {
    "name": "web:1",
    "event": "fatal",
    "status": 256,
    "after": 0.2,
    "try": 4,
    "of": 4,
    "seq": 9,
    "words": ["bye ä"],
}
HOSTILE = "x\r\nBcc: evil@example.org\r\n\r\n\0\x1b[2J\udcff\u2028"
HURT = {**FATAL, "name": HOSTILE, "reason": HOSTILE, "words": [HOSTILE] * 5}


def message(*events: dict[str, Any], **more: Any) -> Notice:
    return Notice(**{"id": "5f3c.page", "at": 1e9, "events": events or (FATAL,), **more})


def order(destination: dict[str, Any], said: list[str] | None = None, timeout: float = 10.0) -> Envelope:
    secrets_free = said.append if said is not None else lambda _line: None
    return Envelope("page", "any", destination, "web1", timeout, 71, secrets_free)


def deliver(way: Deliver, destination: dict[str, Any], what: Notice | None = None) -> str:
    """Deliver; returns "" or why not, with what the failure is besides its text."""
    secrets = Secrets()
    try:
        way(what or message(), order(destination), secrets)
    except Undelivered as error:
        kinds = (("final", error.final), ("certificate", error.certificate))
        more = [word for word, there in kinds if there] + (
            [f"after {error.after:g}"] if error.after is not None else []
        )
        return " ".join([secrets.hidden(error.text), *(f"[{each}]" for each in more)])
    return ""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"), "ours")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"), "foreign")


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


@pytest.fixture
def clear() -> Iterator[tuple[int, Mailbox]]:
    """A mail server without STARTTLS."""
    with mail_server() as found:
        yield found


def mail(port: int, **more: Any) -> dict[str, Any]:
    return {"to": ["ops@example.org", "b@example.org"], "host": HOST, "port": port, "tls": "off", **more}


# -- mail


def test_a_mail_goes_by_starttls_and_password(certificate: Certificate, password: Path) -> None:
    auth = {"user": USER, "password_file": str(password)}
    with mail_server(certificate, auth=True) as (port, box):
        place = mail(port, tls="starttls", auth=auth, ca=str(certificate.path))
        assert deliver(by_mail.deliver, place) == ""
    (found,) = box.mails
    assert box.secure == [True]
    assert box.recipients == ["ops@example.org", "b@example.org"]
    assert found["Subject"] == "[web1] web:1 FATAL: exit 1 after 0.2s (try 4 of 4)"
    assert found["From"] == "taskmaster@web1"
    assert found["Message-ID"] == "<5f3c.page@web1>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Date"].datetime.timestamp() == 1e9
    assert "  said      bye ä" in found.get_content()
    assert found.get_content_charset() == "utf-8"


def test_a_server_without_starttls_gets_nothing(clear: tuple[int, Mailbox]) -> None:
    port, box = clear
    failure = deliver(by_mail.deliver, mail(port, tls="starttls"))
    assert failure == "the server has no STARTTLS, and nothing is sent in clear [final]"
    assert box.mails == []


@pytest.mark.parametrize("tls", ["starttls", "on"])
def test_a_foreign_certificate_is_not_trusted(certificate: Certificate, foreign: Certificate, tls: str) -> None:
    if tls == "starttls":
        with mail_server(foreign) as (port, box):
            failure = deliver(by_mail.deliver, mail(port, tls=tls, ca=str(certificate.path)))
            assert box.mails == []
    else:
        with web_server(foreign) as web:  # any server with TLS
            failure = deliver(by_mail.deliver, mail(web.port, tls=tls, ca=str(certificate.path)))
    assert failure.startswith("its certificate is not trusted: self")
    assert failure.endswith("[certificate]")


def test_a_wrong_password_is_final_and_never_said(certificate: Certificate, password: Path) -> None:
    password.write_text("not it\n")
    said: list[str] = []
    auth = {"user": USER, "password_file": str(password)}
    with mail_server(certificate, auth=True) as (port, _box):
        place = mail(port, tls="starttls", auth=auth, ca=str(certificate.path))
        with pytest.raises(Undelivered) as caught:
            by_mail.deliver(message(), order(place, said), Secrets())
    assert caught.value.text.startswith("535 ")
    assert caught.value.final
    assert "C: ***" in said
    assert [line for line in said if "AUTH" in line and line.startswith("C:")] == []


@pytest.mark.parametrize(
    ("refusal", "failure"), [("451 later", "451 later"), ("550 never", "550 never [final]"), ("421 bye", "421 bye")]
)
def test_a_refusal_of_the_message_is_final_only_with_a_5(
    clear: tuple[int, Mailbox], refusal: str, failure: str
) -> None:
    port, box = clear
    box.refusal = refusal
    assert deliver(by_mail.deliver, mail(port)) == failure


def test_nothing_that_happened_can_change_the_mail(clear: tuple[int, Mailbox]) -> None:
    port, box = clear
    assert deliver(by_mail.deliver, mail(port, to=["ops@example.org"]), message(HURT)) == ""
    (found,) = box.mails
    assert box.recipients == ["ops@example.org"]
    assert found["Bcc"] is None
    assert found.defects == []
    assert r"x\r\nBcc: evil@example.org\r\n\r\n\x00\x1b[2J\udcff\u2028" in found.get_content()


def test_no_line_of_a_mail_is_longer_than_smtp_allows(clear: tuple[int, Mailbox]) -> None:
    port, box = clear
    assert deliver(by_mail.deliver, mail(port), message({**FATAL, "reason": "x" * 5000, "words": ["ä" * 5000]})) == ""
    assert max(map(len, box.mails[0].as_bytes().split(b"\n"))) <= 998


def test_nobody_who_listens_is_a_reason_to_try_again() -> None:
    with free_port() as port, pytest.raises(OSError, match="refused"):
        by_mail.deliver(message(), order(mail(port)), Secrets())


@pytest.mark.parametrize("said", [b"", b"220 hello\r\n", b"garbage\r\n", b"220-" + b"x" * 100_000])
def test_a_server_that_speaks_no_smtp_is_a_reason_to_try_again(said: bytes) -> None:
    with server_that(lambda connection: connection.sendall(said)) as port:
        try:
            failure = deliver(by_mail.deliver, mail(port))
        except OSError as error:
            failure = str(error)
    assert failure
    assert "[final]" not in failure


@pytest.mark.parametrize(("code", "final"), [(0, None), (75, False), (67, True), (1, False)])
def test_sendmail_gets_the_mail_and_its_exit_code_counts(tmp_path: Path, code: int, final: bool | None) -> None:
    path = tmp_path / "sendmail"
    path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\ncat > {tmp_path}/mail\necho oops >&2\nexit {code}\n')
    path.chmod(0o755)
    failure = deliver(by_mail.deliver, {"to": ["ops@example.org"], "from": "me@x", "sendmail": str(path)})
    assert failure == ("" if final is None else f"{path}: exit {code}: oops{' [final]' if final else ''}")
    assert (tmp_path / "words").read_text() == "-i -f me@x -- ops@example.org\n"
    assert (tmp_path / "mail").read_text().startswith("From: me@x\nTo: ops@example.org\nSubject: [web1]")


# -- http


def test_json_has_the_events_and_an_id(web: Web) -> None:
    assert deliver(by_http.deliver, {"url": web.url}, message(HURT, left_out=2)) == ""
    (request,) = web.requests
    body = json.loads(request.body)
    assert (body["host"], body["rule"], body["id"], body["left_out"]) == ("web1", "page", "5f3c.page", 2)
    assert body["events"][0]["words"] == [HOSTILE] * 5
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-taskmaster-id"] == "5f3c.page"


def test_the_forms_for_a_chat_and_as_text(web: Web) -> None:
    assert deliver(by_http.deliver, {"url": web.url, "format": "slack"}) == ""
    assert deliver(by_http.deliver, {"url": web.url, "format": "text", "method": "PUT"}) == ""
    slack, text = web.requests
    assert json.loads(slack.body) == {"text": "[web1] web:1 FATAL: exit 1 after 0.2s (try 4 of 4)"}
    assert (text.method, text.body) == ("PUT", b"web:1 FATAL: exit 1 after 0.2s (try 4 of 4)\n")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_a_program_says_is_neither_a_link_nor_a_mention_in_a_chat(web: Web) -> None:
    what = message({"name": "web:1", "event": "fatal", "reason": "<!channel> a & b <https://evil|ok>"})
    assert deliver(by_http.deliver, {"url": web.url, "format": "slack"}, what) == ""
    said = json.loads(web.requests[0].body)["text"]
    assert said.endswith("web:1 FATAL: &lt;!channel&gt; a &amp; b &lt;https://evil|ok&gt;")


def test_a_body_of_ones_own_is_filled_in_once_and_stays_json(web: Web) -> None:
    body = '{"content": "{name} {event} on {host}: {text}", "all": "{json}", "other": {"a": 1}}'
    event = {**FATAL, "name": 'w"{text}\r\n'}
    assert deliver(by_http.deliver, {"url": web.url, "body": body}, message(event)) == ""
    assert deliver(by_http.deliver, {"url": web.url, "body": "plain {name}"}, message(event)) == ""
    found = json.loads(web.requests[0].body)
    assert found["content"].startswith('w"{text}\r\n fatal on web1: w"{text}')
    assert json.loads(found["all"])["id"] == "5f3c.page"
    assert found["other"] == {"a": 1}
    assert web.requests[1].body == b'plain w"{text}\r\n'


def test_headers_may_come_from_files(web: Web, password: Path) -> None:
    place = {"url": web.url, "headers": {"X-A": "b"}, "header_files": {"Authorization": str(password)}}
    said: list[str] = []
    by_http.deliver(message(), order(place, said), Secrets())
    assert web.requests[0].headers["authorization"] == PASSWORD
    assert web.requests[0].headers["x-a"] == "b"
    assert "> Authorization: ***" in said


def test_a_url_may_come_from_a_file_and_is_never_said(web: Web, tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text(web.url)
    path.chmod(0o600)
    said: list[str] = []
    by_http.deliver(message(), order({"url_file": str(path)}, said), Secrets())
    assert web.requests[0].path == "/services/T0/SECRET"
    assert f"> POST http://{HOST}:{web.port}/***" in said
    assert "SECRET" not in " ".join(said)


@pytest.mark.parametrize(
    ("status", "headers", "failure"),
    [
        (204, {}, ""),
        (500, {}, "500 Internal Server Error"),
        (404, {}, "404 Not Found [final]"),
        (408, {}, "408 Request Timeout"),
        (429, {"Retry-After": "2"}, "429 Too Many Requests [after 2]"),
        (503, {"Retry-After": "Fri, 01 Jan 2021 00:00:00 GMT"}, "503 Service Unavailable [after 0]"),
        (503, {"Retry-After": "soon"}, "503 Service Unavailable"),
    ],
)
def test_a_status_says_whether_to_try_again(web: Web, status: int, headers: dict[str, str], failure: str) -> None:
    web.answers = [(status, headers)]
    assert deliver(by_http.deliver, {"url": web.url}) == failure


def test_a_redirect_is_not_followed(web: Web) -> None:
    web.answers = [(302, {"Location": f"{web.url}/other"})]
    assert deliver(by_http.deliver, {"url": web.url}) == "302 Found: a redirect is not followed [final]"
    assert len(web.requests) == 1


def test_a_body_is_bounded_and_says_what_it_has_not(web: Web) -> None:
    many = message(*({**FATAL, "seq": number, "words": ["x" * 400]} for number in range(1000)))
    assert deliver(by_http.deliver, {"url": web.url}, many) == ""
    body = json.loads(web.requests[0].body)
    assert len(web.requests[0].body) <= by_http.MOST_SENT
    assert body["lost"] + len(body["events"]) == 1000
    assert body["events"][-1]["seq"] == 999


def test_https_is_verified(certificate: Certificate, foreign: Certificate) -> None:
    with web_server(certificate) as web:
        url = web.url.replace("http:", "https:")
        assert deliver(by_http.deliver, {"url": url, "ca": str(certificate.path)}) == ""
        failure = deliver(by_http.deliver, {"url": url, "ca": str(foreign.path)})
        assert failure.startswith("its certificate is not trusted")
        assert "SECRET" not in failure


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500]
)
def test_a_server_that_speaks_no_http_is_a_reason_to_try_again(said: bytes) -> None:
    with server_that(lambda connection: connection.sendall(said)) as port:
        try:
            failure = deliver(by_http.deliver, {"url": f"http://{HOST}:{port}/SECRET"})
        except OSError as error:
            failure = str(error)
    assert failure
    assert "[final]" not in failure
    assert "SECRET" not in failure


# -- syslog by name and TCP


def test_tcp_counts_the_bytes_of_each_entry() -> None:
    received: list[bytes] = []

    def read(connection: socket.socket) -> None:
        received.extend(iter(lambda: connection.recv(65536), b""))

    with server_that(read) as port:
        assert deliver(by_syslog.deliver, {"to": f"tcp:localhost:{port}"}, message(FATAL, HURT)) == ""
        wait_until(lambda: len(b"".join(received)) > 300 and b"".join(received).count(b"<26>1 ") == 2)
    count, _, rest = b"".join(received).partition(b" ")
    first, second = rest[: int(count)], rest[int(count) :]
    assert first.startswith(b"<26>1 ")
    count, _, rest = second.partition(b" ")
    assert len(rest) == int(count)
    assert b"\n" not in rest


def test_udp_by_name_sends_one_datagram_an_event() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind((HOST, 0))
        daemon.settimeout(10)
        place = {"to": f"udp:localhost:{daemon.getsockname()[1]}", "facility": "local0", "tag": "tm"}
        assert deliver(by_syslog.deliver, place, message(FATAL, {**FATAL, "reason": "ä" * 10_000})) == ""
        first, second = daemon.recv(65536), daemon.recv(65536)
    assert b" web1 tm 71 fatal [taskmaster@32473 " in first
    assert first.startswith(b"<130>1 ")
    assert 2000 < len(second) <= 2048


# -- files with secrets


@pytest.mark.parametrize(
    ("content", "mode", "wrong"),
    [
        ("fine", 0o640, ""),
        ("fine\n", 0o600, ""),
        ("seen", 0o644, "everybody may read it (mode 0644); chmod o-r"),
        ("", 0o600, "it is empty"),
        ("two\nlines\n", 0o600, "it has more than one line, or control characters"),
        ("x" * 10_000, 0o600, "it has more than 8192 bytes"),
    ],
)
def test_a_file_is_judged_before_it_counts_as_a_secret(tmp_path: Path, content: str, mode: int, wrong: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)
    path.chmod(mode)
    if not wrong:
        assert read_secret(str(path)) == "fine"
        return
    with pytest.raises(SecretError) as caught:
        read_secret(str(path))
    assert str(caught.value) == f"{path}: {wrong}"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_a_secret_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("fine")
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    with pytest.raises(SecretError, match="it belongs to uid 65534"):
        read_secret(str(path))


# -- the process


def run(*rows: dict[str, Any], within_s: float = 30) -> list[dict[str, Any]]:
    """Run the helper with these lines; returns its answers."""
    words = command("--alert", "0", str(ROOT), str(ROOT / "common"))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run(words, input=text.encode(), capture_output=True, timeout=within_s, check=True)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def head(destination: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = {"taskmaster_alert": 1, "rule": "page", "kind": "http", "destination": destination, "host": "web1"}
    return {**whole, "timeout": 10.0, "pid": 71, "dialogue": False, **more}


def row(number: int) -> dict[str, Any]:
    return {"id": f"{number}.page", "at": 1e9, "events": [FATAL], "left_out": 0, "lost": 0}


def test_the_helper_answers_for_each_message_and_stops_at_one_that_has_to_wait(web: Web) -> None:
    web.answers = [(200, {}), (404, {}), (429, {"Retry-After": "7"})]
    assert run(head({"url": web.url}), *(row(number) for number in range(5))) == [
        {"id": "0.page", "done": True},
        {"id": "1.page", "failed": "404 Not Found", "final": True},
        {"id": "2.page", "failed": "429 Too Many Requests", "final": False, "after": 7.0},
    ]


def test_a_helper_of_another_version_delivers_nothing(web: Web) -> None:
    (answer,) = run(head({"url": web.url}, taskmaster_alert=2), row(1))
    assert "taskmasterctl upgrade" in answer["stop"]
    assert web.requests == []


def test_a_delivery_has_a_time_limit_whatever_the_server_does() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"a")
            if connection.recv(1) == b"":
                return

    with server_that(drip) as port:
        (answer,) = run(head({"url": f"http://{HOST}:{port}/"}, timeout=0.5), row(1))
    assert answer == {"id": "1.page", "failed": "it took longer than 0.5s", "final": False}


def test_a_helper_whose_daemon_is_gone_delivers_one_message_at_most(web: Web) -> None:
    words = command("--alert", "0", str(ROOT), str(ROOT / "common"))
    read, write = os.pipe()
    os.close(read)
    text = "".join(json.dumps(each) + "\n" for each in (head({"url": web.url}), row(1), row(2), row(3)))
    done = subprocess.run(words, input=text.encode(), stdout=write, stderr=subprocess.DEVNULL, check=False, timeout=30)
    os.close(write)
    assert done.returncode != 0
    assert [request.headers["x-taskmaster-id"] for request in web.requests] == ["1.page"]


def test_the_helper_holds_secrets_in_no_variable_and_no_word(web: Web, tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text(web.url)
    path.chmod(0o600)
    (*said, done) = run(head({"url_file": str(path)}, dialogue=True), row(1))
    assert done == {"id": "1.page", "done": True}
    assert "SECRET" not in json.dumps(said)
    assert sys.executable in command("--alert", "0")

"""Addresses, requests, answers and kept output of probes, as values."""

from __future__ import annotations

import socket

import pytest

from taskmasterd.probing.text.address import Address, tcp_addresses, unix_address
from taskmasterd.probing.text.http import MOST_READ, http_request, status_in
from taskmasterd.probing.text.result import MOST_OUTPUT, last_lines

FOUR, SIX = socket.AF_INET, socket.AF_INET6


def test_a_port_alone_is_of_this_host() -> None:
    assert tcp_addresses("5432") == (Address(FOUR, ("127.0.0.1", 5432)),)
    assert tcp_addresses("10.0.0.1:80") == (Address(FOUR, ("10.0.0.1", 80)),)
    assert tcp_addresses("[fe80::1]:80") == (Address(SIX, ("fe80::1", 80)),)


def test_localhost_is_both_loopback_addresses() -> None:
    assert tcp_addresses("localhost:80") == (Address(FOUR, ("127.0.0.1", 80)), Address(SIX, ("::1", 80)))


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "db:5432", "127.0.0.1", "1.2.3:80", "127.0.0.1:", "127.0.0.1:٣", "::1:x"]
)
def test_what_is_no_numeric_address_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no port|is neither a numeric address nor localhost"):
        tcp_addresses(text)


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://127.0.0.1:8001/ready?x=1#here", "GET /ready?x=1 HTTP/1.1", "Host: 127.0.0.1:8001"),
        ("http://localhost", "GET / HTTP/1.1", "Host: localhost"),
        ("http://[::1]:81/", "GET / HTTP/1.1", "Host: [::1]:81"),
        ("http://127.0.0.1?q", "GET /?q HTTP/1.1", "Host: 127.0.0.1"),
        ("unix:/run/a.sock:/live/x", "GET /live/x HTTP/1.1", "Host: localhost"),
        ("unix:/run/a.sock", "GET / HTTP/1.1", "Host: localhost"),
    ],
)
def test_a_request_names_path_and_host(url: str, line: str, host: str) -> None:
    lines = http_request(url).sent.decode().split("\r\n")
    assert (lines[0], lines[1]) == (line, host)
    assert lines[-3:] == ["Connection: close", "", ""]


def test_a_url_without_a_port_means_80_and_a_unix_url_the_socket() -> None:
    assert http_request("http://127.0.0.1/x").addresses == (Address(FOUR, ("127.0.0.1", 80)),)
    assert http_request("unix:/run/a.sock:/x").addresses == unix_address("/run/a.sock")


@pytest.mark.parametrize(
    "url",
    ["https://localhost/", "http://db/", "http://u:p@127.0.0.1/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y",
     "http://127.0.0.1/ä", "http://127.0.0.1:0/", "unix:a.sock:/x", "ftp://127.0.0.1/", "http:///x"],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"https|numeric|user here|may not hold|is no port|no absolute path|neither"):
        http_request(url)


def test_headers_are_added_and_may_replace_ours_but_not_smuggle_lines() -> None:
    sent = http_request("http://127.0.0.1/", headers={"host": "example", "X-Probe": "1"}).sent.decode()
    assert "host: example\r\n" in sent
    assert "Host: 127.0.0.1" not in sent
    assert "X-Probe: 1\r\n" in sent
    for name, value in (("X", "1\r\nY: 2"), ("X:", "1"), ("", "1"), ("X Y", "1")):
        with pytest.raises(ValueError, match="is no header"):
            http_request("http://127.0.0.1/", headers={name: value})


def test_200_to_399_is_success_unless_statuses_are_given() -> None:
    usual, chosen = http_request("http://127.0.0.1/"), http_request("http://127.0.0.1/", [204])
    assert [usual.verdict(status)[0] for status in (199, 200, 302, 399, 400)] == [False, True, True, True, False]
    assert [chosen.verdict(status)[0] for status in (200, 204)] == [False, True]
    assert chosen.verdict(503) == (False, "http 503")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", 200),
        (b"HTTP/1.0 503\n", 503),
        (b"HTTP/1.1 404\r\n", 404),
        (b"", None),
        (b"HT", None),
        (b"HTTP/1.1 20", None),
        (b"HTTP/1.1 200 " + b"x" * (MOST_READ - 20), None),
    ],
)
def test_the_status_is_in_the_first_line_once_it_is_complete(answer: bytes, status: int | None) -> None:
    assert status_in(answer) == status


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-x\r\n", b"X", b"HTTP/2 200\r\n", b"HTTP/1.1 20\r\n", b"HTTP/1.1 2000\r\n", b"HTTP/1.1 abc\r\n",
     b"HTTP/1.1 200 " + b"x" * MOST_READ, b"\r\nHTTP/1.1 200 OK\r\n", b"HTTP/1.x 200 OK\r\n"],
)  # fmt: skip
def test_an_answer_that_is_not_http_is_no_status(answer: bytes) -> None:
    with pytest.raises(ValueError, match="the answer is no HTTP"):
        status_in(answer)


def test_of_an_output_the_last_five_lines_within_512_bytes_are_kept_as_printable_text() -> None:
    assert last_lines(b"") == ()
    assert last_lines(b"one\n\n  \ntwo") == ("one", "two")
    assert last_lines(b"".join(b"%d\n" % number for number in range(9))) == ("4", "5", "6", "7", "8")
    assert last_lines(b"\x1b[31mred\xff\r\n") == ("\\x1b[31mred�",)
    (line,) = last_lines(b"x" * 10_000)
    assert len(line) == MOST_OUTPUT

"""What `-t` says of an alert's destination, from a look at this machine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from taskmasterd.configuration.alerting import doubts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sendmail_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    program, text = tmp_path / "sendmail", tmp_path / "text"
    program.touch(mode=0o755)
    text.touch(mode=0o644)

    def said(path: Path) -> tuple[tuple[str, bool], ...]:
        return doubts({"to": ["a@b"], "sendmail": str(path)}, None)

    assert said(program) == ()
    assert said(text) == ((f"sendmail: {text} is not executable", False),)
    assert said(tmp_path) == ((f"sendmail: {tmp_path} is not executable", False),)
    assert said(tmp_path / "none") == ((f"sendmail: {tmp_path}/none does not exist", False),)


def test_a_log_daemon_that_does_not_listen_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    to = {"to": f"unix:{path}", "facility": "daemon"}
    said = "what is sent there is lost until one does"
    assert doubts(to, None) == ((f"no log daemon listens at {path}: no such file or directory; {said}", False),)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        assert doubts(to, None) == ()
    assert doubts(to, None) == ((f"no log daemon listens at {path}: connection refused; {said}", False),)
    assert doubts({"to": "udp:127.0.0.1:1"}, None) == ()

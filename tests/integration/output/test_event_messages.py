"""The event log as messages, at the end of the daemon: what waits is sent while somebody reads."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from taskmasterd.output.elsewhere import events
from taskmasterd.output.elsewhere.events import EventMessages

LINES = [(b"2026-11-28T10:02:31.402+01:00 info line %d\n" % number, "") for number in range(700)]


def test_lines_that_wait_are_sent_at_the_orderly_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_TRIES", 6000)  # the reader may wait long for a processor
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        log.settimeout(60)
        messages = EventMessages(f"syslog to=unix:{path}", lambda _seconds, _callback: None)
        messages.take(LINES)
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.extend(log.recv(4096) for _ in LINES))
        reader.start()
        messages.finish()
        reader.join(60)
    assert [each.rsplit(b" ", 1)[1] for each in got] == [b"%d" % number for number in range(700)]
    assert messages.dropped == 0


def test_the_end_waits_for_nobody_for_long(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        messages = EventMessages(f"syslog to=unix:{path}", lambda _seconds, _callback: None)
        messages.take(LINES)
        thread = threading.Thread(target=messages.finish)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()

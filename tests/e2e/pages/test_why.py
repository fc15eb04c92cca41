"""docs/why/: what a real daemon says of starts, stops and reloads that fail is found among the headings."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.packaging.test_why import HOLE, headings
from tests.support.daemon import Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.sweep
FILES = {
    "crlf": b"#!/bin/sh\r\n",
    "mark": b"\xef\xbb\xbf#!/bin/sh\n",
    "blank": b"\n#!/bin/sh\n",
    "empty": b"",
    "plain": b"echo\n",
    "windows": b"MZ\x90\0",
    "moved": b"#!/nowhere/python3\n",
}
ONCE = {"startretries": 0, "autorestart": "never", "starttime": 30}


def programs(home: str, port: int) -> dict[str, object]:
    """Return programs of which none comes up, by name."""
    commands: dict[str, dict[str, object]] = {name: {"cmd": f"{home}/{name}"} for name in FILES}
    others: dict[str, dict[str, object]] = {
        "nowhere": {"cmd": "no-such-command-here"},
        "gone": {"cmd": "/nowhere/at/all"},
        "directory": {"cmd": home},
        "linked": {"cmd": f"{home}/link"},
        "closed": {"cmd": f"{home}/closed"},
        "elsewhere": {"cmd": "true", "workingdir": f"{home}/nowhere"},
        "unset": {"cmd": "true", "env_file": "no.env"},
        "unfed": {"cmd": "true", "stdin": "./no-such-file"},
        "unlogged": {"cmd": "true", "stdout": "./planted"},
        "brief": {"cmd": "sh -c 'echo oh; exit 3'"},
        "silent": {"cmd": "false"},
        "daemonized": {"cmd": "sh -c 'sleep 300 & exit 0'"},
        "unready": {"cmd": "sleep 300", "ready": {"unix": f"{home}/none"}, "start_timeout": 0.3},
        "killed": {"cmd": "sh -c 'kill -SEGV $$'"},
        "unprepared": {"cmd": "sleep 300", "pre_start": "false"},
        "taken": {"cmd": "sleep 300", "sockets": {"http": f"127.0.0.1:{port}"}},
        "waiting": {"cmd": "sleep 300", "depends_on": ["brief"]},
        "off": {"cmd": "sleep 300", "enabled": False},
        "unowned": {"cmd": "sleep 300", "user": "nobody-has-this-name"},
        "unbound": {"cmd": "sleep 300", "cpu_affinity": "8191"},
        "unlimited": {"cmd": "sleep 300", "rlimits": {"nofile": 10_000_000_000}},
    }
    return {name: {**ONCE, **keys} for name, keys in (commands | others).items()}


def is_known(text: str) -> bool:
    """Return whether a heading is in this text, with anything in its holes."""
    patterns = (re.escape(title).replace(HOLE, ".*") for title in headings() if title.replace(HOLE, "").count(" ") > 1)
    return any(re.search(pattern, text, re.DOTALL) for pattern in patterns)


def test_each_program_that_fails_says_what_a_heading_says(daemon: Daemon) -> None:
    for name, content in FILES.items():
        (daemon.home / name).write_bytes(content)
        (daemon.home / name).chmod(0o755)
    (daemon.home / "closed").touch(0o644)
    (daemon.home / "link").symlink_to("nothing")
    (daemon.home / "planted").symlink_to("elsewhere.log")
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = programs(str(daemon.home), other.getsockname()[1])
        daemon.write(json.dumps({"programs": wanted}))
        daemon.start()
        wait_until(lambda: all(row["state"] in ("FATAL", "BACKOFF", "STOPPED") for row in daemon.status().values()))
    details = {name: row["detail"] for name, row in daemon.status().items()}
    assert len(details) == len(wanted)
    assert {name: text for name, text in details.items() if not is_known(text)} == {}


def test_a_refused_reload_and_a_second_daemon_say_what_a_heading_says(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: sleep 300}}")
    daemon.start()
    second = daemon.launch("-n")
    assert is_known(second.stderr), second.stderr
    daemon.write("programs: {web: {cmd: sleep 300, colour: blue}}")
    refused = daemon.ctl("reload")
    assert refused.returncode == 6
    assert is_known(refused.stderr), refused.stderr
    gone = daemon.ctl("-s", str(daemon.home / "none"), "status")
    assert is_known(gone.stderr), gone.stderr
    assert not is_known("a text that nobody has written down")

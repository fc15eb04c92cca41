"""What tests of alerts share: a configuration with rules, what commands have heard, how the rules are."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from tests.support.daemon import Daemon
from tests.support.wait import wait_until
from tests.support.wire import ask

SLEEPER: dict[str, Any] = {"cmd": "sleep 86400", "starttime": 0, "autorestart": "never"}


def telling(file: str = "got", **more: Any) -> dict[str, Any]:
    """Return a rule whose command writes the events into a file, and one line about each beside it."""
    text = f'cat >> {file}; echo "$TASKMASTER_EVENT $TASKMASTER_NAME $TASKMASTER_STATE" >> {file}.said'
    return {"cmd": {"cmd": text, "shell": True}, **more}


def configured(alerts: dict[str, Any], **programs: Any) -> str:
    """Return a configuration with these rules, and the program `web`."""
    return json.dumps({"programs": {"web": SLEEPER, **programs}, "alerts": alerts})


def crash(daemon: Daemon, name: str = "web") -> None:
    """Kill a process and wait until the daemon has noticed; its successor may run already."""
    pid = daemon.wait_for(name, "RUNNING")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status()[name]["pid"] != pid)


def act(daemon: Daemon, line: str) -> None:
    """Have the daemon do something; a client would take longer than most tests."""
    answer = ask(daemon, line.encode())
    assert answer[-1]["exit"] == 0, answer


def got(daemon: Daemon, file: str = "got") -> list[dict[str, Any]]:
    """Return the events that the command of `telling` has got, but not one whose line is still being written."""
    path = daemon.home / file
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def words(daemon: Daemon, file: str = "got") -> list[str]:
    """Return the words of these events."""
    return [event["event"] for event in got(daemon, file)]


def rule(daemon: Daemon, name: str) -> dict[str, Any]:
    """Return the row of a rule in `alert list`."""
    return next(each for each in ask(daemon, b"alert list") if each.get("rule") == name)


def waiting(daemon: Daemon, name: str) -> int:
    """Return how many events a rule has that wait."""
    return int(rule(daemon, name)["waiting"])


def error(daemon: Daemon, name: str) -> str:
    """Return why the last message of a rule did not arrive."""
    return rule(daemon, name)["error"] or ""


def warnings(daemon: Daemon) -> str:
    """Return what `status` warns of."""
    return "\n".join(next(each for each in ask(daemon, b"status") if each["type"] == "daemon")["warnings"])


def bugs(daemon: Daemon) -> list[str]:
    """Return the lines of the event log that report a bug of ours."""
    return [line for line in daemon.events().splitlines() if "internal error" in line or "Traceback" in line]

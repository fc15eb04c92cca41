"""Each key of a program changed alone by a reload: what a dry run says is what happens, and to that program only."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

from taskmaster_common.config import LIVE, LIVE_OR_NEXT, NEXT, RELOAD_CLASS, RESTART
from tests.support.daemon import Daemon
from tests.support.keysamples import SAMPLES
from tests.support.wait import wait_until
from tests.support.wire import ask

pytestmark = [pytest.mark.sweep, pytest.mark.slow]

NO_KEYS = ("refusal", "socket_options")
PLAIN = {"cmd": "cmd: sleep 300", "starttime": "starttime: 0", "stoptime": "stoptime: 2"}
JSON = {"log_format": "log_format: json"}
NEEDS = {
    "log_prefix": {"log_format": "log_format: prefix"},
    **dict.fromkeys(("log_time", "log_levels", "log_events"), JSON),
    "schedule": {"type": "type: oneshot"},
}
"""What a program has from the beginning, so that another key of it can change alone."""
MORE = {
    "cmd": "cmd: sleep 301",
    "clear_env": "clear_env: true",
    "cgroup": "cgroup: true",
    "health": "health: {exec: 'true', interval: 100}",
    "user": f"user: '{os.getuid()}'",
    "group": f"group: '{os.getgid()}'",
    "workingdir": "workingdir: /",
    "sockets": "sockets: {http: /SITE/http.sock}",
    "start_timeout": "start_timeout: 7",
    "shell": "shell: true",
    "log_prefix": "log_prefix: '{name} '",
    "log_time": "log_time: utc",
    "log_levels": "log_levels: false",
    "log_events": "log_events: true",
    "stdout": "stdout: /SITE/out.log",
    "stderr": "stderr: /SITE/err.log",
    "watch": "watch: /SITE/watched",
    "depends_on": "depends_on: [cmd]",
    **{key: f"{key}: /bin/true" for key in ("pre_start", "post_start", "pre_restart", "pre_stop", "stop_cmd", "post_stop")},
}  # fmt: skip
OF_A_JOB = ("type", "start_timeout", "startretries", "starttime")
ALSO = {"type": OF_A_JOB, "tty": ("stderr",), "shell": ("cmd",)}
"""Keys that a key gives another value, too."""
KEYS = [key for key in RELOAD_CLASS if key not in NO_KEYS]


def configuration(daemon: Daemon, changed: set[str]) -> str:
    """Return a program for each key, with another value of it where it is `changed`."""
    text = "programs:\n"
    for key in KEYS:
        lines = {**PLAIN, **NEEDS.get(key, {})}
        if key in changed:
            lines[key] = MORE.get(key) or SAMPLES[key]
        text += f"  {key}:\n" + "".join(f"    {line}\n" for line in lines.values())
    return text.replace("/SITE", str(daemon.home))


def plan_of(daemon: Daemon, request: str) -> list[dict[str, Any]]:
    """Return what a reload does to programs, less those that it keeps."""
    messages = ask(daemon, request.encode())
    plans = [message["programs"] for message in messages if message["type"] == "plan"]
    assert plans, messages
    return [program for some in plans for program in some if program["change"] != "kept"]


def is_outdated(daemon: Daemon, slot: str, outdated: bool) -> bool:
    return bool(daemon.status()[slot]["outdated"]) == outdated


def is_another(daemon: Daemon, slot: str, pid: int) -> bool:
    return daemon.status()[slot]["pid"] not in (None, pid)


def test_each_key_does_what_its_class_says_and_what_the_dry_run_has_said(daemon: Daemon) -> None:
    (daemon.home / "watched").mkdir()
    daemon.write(configuration(daemon, set()))
    daemon.start()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()), within_s=60)
    changed: set[str] = set()
    for key in KEYS:
        before = {name: each["pid"] for name, each in daemon.status().items()}
        changed.add(key)
        daemon.write(configuration(daemon, changed))
        said = plan_of(daemon, "reload --dry-run")
        assert [each["name"] for each in said] == [key]
        assert {key} <= {*said[0]["keys"]} <= {key, *ALSO.get(key, ())}
        assert plan_of(daemon, "reload --no-wait") == said
        kind = RELOAD_CLASS[key]
        slot = key if key != "numprocs" else "numprocs:0"
        if kind == RESTART:
            wait_until(partial(is_another, daemon, slot, before[key]), within_s=20)
        after = daemon.status()
        assert (after[slot]["pid"] == before[key]) == (kind != RESTART), key
        if kind in (LIVE, LIVE_OR_NEXT, NEXT) and "next start" not in said[0]["why"]:
            wait_until(partial(is_outdated, daemon, slot, kind == NEXT), within_s=20)
        strangers = {name for name in before if name != key and after[name]["pid"] != before[name]}
        assert strangers <= changed, "what restarts by its own key may still be under way, nobody else"

"""Restarts that go instance by instance, and reloads that leave instances as they are, with a real daemon and real programs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.wait import wait_until


def configure(daemon: Daemon, **programs: object) -> Daemon:
    """Write a configuration with these programs."""
    daemon.write(json.dumps({"programs": programs}))
    return daemon


def commands(daemon: Daemon) -> list[str]:
    """Return the command lines of all instances, as the kernel knows them."""
    lines = [Path(f"/proc/{each['pid']}/cmdline").read_text() for each in daemon.status().values()]
    return [line.replace("\0", " ").strip() for line in lines]


def test_after_a_reload_without_restarts_only_what_is_restarted_by_hand_has_the_new_command(daemon: Daemon) -> None:
    web = {"cmd": "sleep 98", "numprocs": 2, "starttime": 0}
    configure(daemon, web=web).start()
    wait_until(lambda: commands(daemon) == ["sleep 98", "sleep 98"])
    configure(daemon, web={**web, "cmd": "sleep 99"}, more={"cmd": "sleep 97", "starttime": 0})
    assert daemon.ctl("reload", "--no-restart").returncode == 0
    assert commands(daemon) == ["sleep 98", "sleep 98", "sleep 97"], "what is new is started all the same"
    assert daemon.status()["web:0"]["detail"] == "outdated (cmd)"
    daemon.ctl("restart", "web:0")
    assert commands(daemon)[:2] == ["sleep 99", "sleep 98"]
    assert [each["outdated"] for each in daemon.status().values()] == [False, True, False]
    pid = daemon.status()["web:1"]["pid"]
    configure(daemon, web=web)
    assert daemon.ctl("reload").returncode == 0
    assert commands(daemon) == ["sleep 98", "sleep 98"]
    assert daemon.status()["web:1"]["pid"] == pid
    assert "web restarted: cmd cannot change" in daemon.events()

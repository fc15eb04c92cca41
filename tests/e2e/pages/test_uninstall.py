"""docs/operate/uninstall.md: what a daemon leaves lies in the places that `taskmasterd --files` names, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.sweep
PAGE = (ROOT / "docs" / "operate" / "uninstall.md").read_text()
INSTALLED = ("examples", "documentation")
"""What goes with the package."""


def places(said: str) -> dict[str, Path]:
    """Return the places of a listing by their labels."""
    rows = (re.match(r"\s*(.+?) +(/\S+)", line) for line in said.splitlines())
    return {row[1]: Path(row[2]) for row in rows if row}


def test_all_that_is_left_is_in_the_places_that_are_listed(daemon: Daemon) -> None:
    for name, variable in (("run", "RUNTIME_DIRECTORY"), ("state", "STATE_DIRECTORY"), ("log", "LOGS_DIRECTORY")):
        (daemon.home / name).mkdir()
        daemon.environment[variable] = str(daemon.home / name)
    daemon.socket = daemon.home / "run" / "taskmaster.sock"
    daemon.pidfile = daemon.home / "run" / "taskmasterd.pid"
    daemon.environment["TASKMASTER_SOCKET"] = str(daemon.socket)
    daemon.write("programs: {web: {cmd: echo up, starttime: 0, autorestart: never}}\nalerts: {a: {cmd: cat}}")
    assert daemon.launch().returncode == 0
    wait_until(lambda: daemon.status()["web"]["state"] == "EXITED")
    assert daemon.ctl("disable", "web").returncode == 0
    listed = places(daemon.launch("--files").stdout)
    assert daemon.ctl("shutdown").returncode == 0
    assert list(places(PAGE.partition("--files")[2].partition("```")[0])) == list(listed)
    known = {path.parent if label == "socket" else path for label, path in listed.items() if label not in INSTALLED}
    left = {path for path in daemon.home.rglob("*") if path.is_file()}
    assert {path.parent.name for path in left} >= {"history", "overrides", "log"}, "there is something to find"
    assert {path for path in left if not known & {path, *path.parents}} == set()

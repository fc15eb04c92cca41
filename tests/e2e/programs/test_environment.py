"""What programs get to see of their surroundings, by the daemon and the client as they are installed."""

from __future__ import annotations

import pytest

from tests.support.daemon import Daemon

pytestmark = pytest.mark.slow

PLAIN = "programs: {web: {cmd: sleep 300, starttime: 0, stoptime: 2, stdout: 'null', stderr: 'null', env: {A: one}}}"
SHARED = """
include: [more.yaml]
programs: {web: {extends: sleeper, stdout: 'null'}}
"""
MORE = """
templates:
  quiet: {stdout: /dev/full, stderr: 'null', env: {A: none}}
  sleeper: {extends: quiet, cmd: sleep 300, starttime: 0, stoptime: 2, env: {A: one}}
"""


def test_keys_that_move_into_a_template_of_another_file_restart_nothing(daemon: Daemon) -> None:
    daemon.write(PLAIN)
    daemon.start()
    pid = daemon.wait_for("web", "RUNNING")["pid"]
    (daemon.home / "more.yaml").write_text(MORE)
    daemon.write(SHARED)
    assert daemon.ctl("reload", "--dry-run", "--exit-code").returncode == 0
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] == pid
    (daemon.home / "more.yaml").write_text(MORE.replace("quiet: {", "quiet: {extends: sleeper, "))
    refused = daemon.ctl("reload")
    assert refused.returncode != 0
    assert "the templates make a circle: quiet → sleeper → quiet" in refused.stderr
    assert daemon.status()["web"]["pid"] == pid

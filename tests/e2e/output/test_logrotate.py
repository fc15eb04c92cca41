"""The logrotate snippet as logrotate itself obeys it, on files that are being written."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/usr/bin:/sbin:/bin")
ROTATIONS = 4
pytestmark = [pytest.mark.slow, pytest.mark.skipif(LOGROTATE is None, reason="logrotate is not installed")]


def _snippet(daemon: Daemon, before: str) -> Path:
    """Write what we ship, after the line `before`, with this test's places in it."""
    text = (ROOT / "config" / "logrotate" / "taskmaster").read_text()
    places = {
        "/var/log/taskmaster": str(daemon.home / "log"),
        "/opt/taskmaster/bin/taskmasterctl": f"{sys.executable} -m taskmasterctl",
        "/etc/taskmaster/taskmaster.yaml": str(daemon.config),
    }
    for installed, here in places.items():
        assert installed in text
        text = text.replace(installed, here)
    path = daemon.home / "logrotate.conf"
    path.write_text(f"{before}\n{text}")
    path.chmod(0o644)
    return path


def _rotate(daemon: Daemon, snippet: Path) -> None:
    done = subprocess.run(
        [str(LOGROTATE), "--force", "--state", str(daemon.home / "logrotate.state"), str(snippet)],
        env=daemon.environment, cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.sweep
@pytest.mark.parametrize("before", ["create", *in_the_sweep("nocreate")])  # Debian's own file says create
def test_no_line_is_lost_or_doubled_when_logrotate_rotates_what_is_being_written(daemon: Daemon, before: str) -> None:
    count = "i=0; while :; do i=$((i + 1)); echo $i; [ $((i % 200)) -gt 0 ] || sleep 0.01; done"
    daemon.write(
        json.dumps({
            "taskmasterd": {"socket": str(daemon.socket)},
            "defaults": {"log_maxbytes": 0},
            "programs": {"p": {"cmd": ["sh", "-c", count], "starttime": 0}},
        })
    )  # fmt: skip
    daemon.pidfile = Path(f"{daemon.socket}.pid")  # beside a configured socket; by it the test ends the daemon
    daemon.start()
    snippet = _snippet(daemon, before)
    log = daemon.home / "log" / "p.log"
    for _ in range(ROTATIONS):
        wait_until(lambda: log.exists() and log.stat().st_size > 0)
        _rotate(daemon, snippet)
    wait_until(lambda: log.exists() and log.stat().st_size > 0)
    assert daemon.ctl("stop", "p").returncode == 0
    packed = [Path(f"{log}.{number}.gz") for number in range(ROTATIONS, 1, -1)]
    pieces = [_content(path) for path in (*packed, Path(f"{log}.1"), log)]
    assert all(pieces)
    lines = b"".join(pieces).split()
    assert lines == [b"%d" % number for number in range(1, len(lines) + 1)]
    events = daemon.home / "log" / "taskmasterd.log"
    assert b"reopening all log files" in _content(Path(f"{events}.1")) + events.read_bytes()

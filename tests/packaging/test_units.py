"""What other programs read of ours: the systemd unit and the logrotate snippet."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from taskmaster_common.commands.table import parse
from taskmaster_common.config import DaemonConfig
from taskmaster_common.paths import SYSTEM_CONFIG, default_places
from taskmasterctl.options import Options, split_options
from tests.support.daemon import ROOT

UNIT = ROOT / "config" / "systemd" / "taskmasterd.service"
LOGROTATE = ROOT / "config" / "logrotate" / "taskmaster"
INSTALLED = "/opt/taskmaster/bin/"


def setting(name: str) -> str:
    """Return a setting of the unit that stands there once."""
    (value,) = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]
    return value


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_has_nothing_to_say_about_the_unit(short_dir: Path) -> None:
    commands = short_dir / "bin"
    commands.mkdir()
    for name in ("taskmasterd", "taskmasterctl"):
        (commands / name).write_text("#!/bin/sh\n")
        (commands / name).chmod(0o755)
    copy = short_dir / UNIT.name
    copy.write_text(UNIT.read_text().replace(INSTALLED, f"{commands}/"))
    done = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if "Failed to" in done.stderr and str(copy) not in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_waits_longer_than_the_daemon_takes_to_stop() -> None:
    assert float(setting("TimeoutStopSec")) > DaemonConfig().shutdown_timeout
    assert setting("KillMode") == "process"


def test_the_unit_names_the_default_configuration_and_directories() -> None:
    assert setting("ExecStart") == f"{INSTALLED}taskmasterd -c {SYSTEM_CONFIG}"
    places = default_places(0, {})
    assert places.run_dir == f"/run/{setting('RuntimeDirectory')}"
    assert places.log_dir == f"/var/log/{setting('LogsDirectory')}"
    assert places.state_dir == f"/var/lib/{setting('StateDirectory')}"


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        (setting("ExecReload"), "reload"),
        (next(line for line in LOGROTATE.read_text().splitlines() if "taskmasterctl" in line), "logs"),
    ],
    ids=["ExecReload", "postrotate"],
)
def test_the_client_understands_what_it_is_called_with(line: str, verb: str) -> None:
    command, *words = shlex.split(line.partition("||")[0])
    assert command == f"{INSTALLED}taskmasterctl"
    options, rest = split_options(words, Options())
    assert options.config == SYSTEM_CONFIG
    assert parse(rest).verb == verb


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="no logrotate here")
def test_logrotate_reads_the_snippet(short_dir: Path) -> None:
    copy = short_dir / "taskmaster"
    shutil.copy(LOGROTATE, copy)
    copy.chmod(0o644)
    done = subprocess.run(
        [str(shutil.which("logrotate")), "-d", "-s", os.devnull, copy], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr

"""What other programs read of ours: the systemd unit and the logrotate snippet."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskmaster_common.commands.table import parse
from taskmaster_common.config import DaemonConfig
from taskmaster_common.paths import SYSTEM_CONFIG, default_places
from taskmasterctl.options import Options, split_options
from taskmasterd.launch.printing import UNITS, text_of
from tests.support.daemon import ROOT

UNIT = ROOT / "config" / "systemd" / "taskmasterd.service"
LOGROTATE = ROOT / "config" / "logrotate" / "taskmaster"
INSTALLED = "/opt/taskmaster/bin/"


def setting(name: str) -> str:
    """Return a setting of the unit that stands there once."""
    (value,) = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]
    return value


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("manager", UNITS)
def test_systemd_has_nothing_to_say_about_the_units(manager: str, short_dir: Path) -> None:
    commands = short_dir / "bin"
    commands.mkdir()
    for name in ("taskmasterd", "taskmasterctl"):
        (commands / name).write_text("#!/bin/sh\n")
        (commands / name).chmod(0o755)
    copy = short_dir / UNIT.name
    copy.write_text((ROOT / "config" / UNITS[manager]).read_text().replace(INSTALLED, f"{commands}/"))
    done = subprocess.run(
        ["systemd-analyze", "--man=no", f"--{manager}", "verify", copy],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if "Failed to" in done.stderr and str(copy) not in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("manager", UNITS)
def test_a_printed_unit_starts_the_commands_of_this_installation(manager: str) -> None:
    lines = text_of(manager).splitlines()
    started = [shlex.split(line.partition("=")[2]) for line in lines if line.startswith("Exec")]
    for words, command in zip(started, ("taskmasterd", "taskmasterctl")):
        assert (words[0] == f"{sys.prefix}/bin/{command}" and os.access(words[0], os.X_OK)) or (
            words[:3] == [sys.executable, "-m", command]
        )
    assert len(started) == 2
    assert INSTALLED not in "\n".join(lines)
    original = (ROOT / "config" / UNITS[manager]).read_text().partition("\n[Unit]\n")[2].splitlines()
    assert [line for line in lines[lines.index("[Unit]") + 1 :] if not line.startswith("Exec")] == [
        line for line in original if not line.startswith("Exec")
    ]


def test_the_waits_and_limits_of_a_users_unit_are_those_of_the_system() -> None:
    mine = (ROOT / "config" / UNITS["user"]).read_text().splitlines()
    for name in ("TimeoutStopSec", "KillMode", "WatchdogSec", "RestartPreventExitStatus", "RuntimeDirectory", "Type"):
        assert f"{name}={setting(name)}" in mine


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

"""What other programs read of ours: the systemd units, sysusers.d and tmpfiles.d, and the logrotate snippet."""

from __future__ import annotations

import fnmatch
import grp
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from taskmaster_common.commands.table import parse
from taskmaster_common.config import DaemonConfig, mode_of_socket
from taskmaster_common.paths import SYSTEM_CONFIG, default_places
from taskmasterctl.options import Options, split_options
from taskmasterd.launch import printing
from taskmasterd.launch.printing import UNITS, text_of
from tests.support.daemon import ROOT
from tests.support.host import load

UNIT = ROOT / "config" / "systemd" / "taskmasterd.service"
SYSUSERS = ROOT / "config" / "sysusers.d" / "taskmaster.conf"
TMPFILES = ROOT / "config" / "tmpfiles.d" / "taskmaster.conf"
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


@pytest.mark.parametrize("manager", UNITS)
def test_a_printed_unit_runs_the_configuration_that_was_named(manager: str) -> None:
    lines = text_of(manager, "/srv/a shop/100%.yaml").splitlines()
    started = [line for line in lines if line.startswith("Exec")]
    assert ['-c "/srv/a shop/100%%.yaml"' in line for line in started] == [True, True]
    assert not [line for line in started if "/taskmaster.yaml" in line]


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


@pytest.mark.parametrize("manager", UNITS)
def test_a_unit_names_the_man_pages_that_are_installed(manager: str) -> None:
    (line,) = re.findall(r"(?m)^Documentation=(.*)$", (ROOT / "config" / UNITS[manager]).read_text())
    for address in line.split():
        name, section = address.removeprefix("man:").rstrip(")").split("(")
        assert (ROOT / "man" / f"{name}.{section}").is_file()


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/opt/my tools/bin/taskmasterd", '"/opt/my tools/bin/taskmasterd"'),
        ("/opt/100%/taskmasterd", "/opt/100%%/taskmasterd"),
        ('/opt/"a\\b"', '"/opt/\\"a\\\\b\\""'),
    ],
)
def test_the_path_of_an_installation_is_one_word_of_its_unit(path: str, word: str) -> None:
    assert printing._quoted(path) == word


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd here")
def test_systemd_makes_the_group_of_the_socket(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").touch()
    (tmp_path / "etc" / "group").touch()
    done = run("systemd-sysusers", f"--root={tmp_path}", SYSUSERS)
    assert (done.returncode, done.stderr.replace("Creating group 'taskmaster' with GID 999.", "").strip()) == (0, "")
    assert (tmp_path / "etc" / "group").read_text().startswith("taskmaster:x:")
    assert (tmp_path / "etc" / "passwd").read_text() == ""


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="no systemd here")
def test_systemd_makes_the_directories_as_the_daemon_of_root_would(tmp_path: Path) -> None:
    copy = tmp_path / "mine.conf"
    copy.write_text(TMPFILES.read_text().replace(" root root ", f" {os.geteuid()} {os.getegid()} "))
    done = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", copy)
    assert (done.returncode, done.stderr) == (0, "")
    places = default_places(0, {})
    made = ((places.run_dir, 0o755), (places.log_dir, 0o750), (places.state_dir, 0o700))
    for path, mode in made:
        assert stat.S_IMODE(Path(f"{tmp_path}{path}").stat().st_mode) == mode, path
    listed = [line.split()[1] for line in TMPFILES.read_text().splitlines() if line.startswith("d ")]
    assert listed == [path for path, _ in made]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a tool of systemd on files of ours."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def test_the_snippets_name_the_keys_and_the_places_of_the_daemon() -> None:
    (keys,) = re.findall(r"(?m)^#   (taskmasterd: \{.*\})$", SYSUSERS.read_text())
    (group,) = [line.split()[1] for line in SYSUSERS.read_text().splitlines() if line.startswith("g ")]
    present = grp.getgrgid(0).gr_name
    daemon = load(f"{keys.replace(f'_group: {group}', f'_group: {present}')}\nprograms: {{}}").config.daemon
    assert group in keys
    assert (daemon.socket_group, mode_of_socket(daemon)) == (present, 0o660)
    (kept,) = [line.split()[1] for line in TMPFILES.read_text().splitlines() if line.startswith("x ")]
    assert fnmatch.fnmatch(default_places(1000, {}).run_dir, kept)


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

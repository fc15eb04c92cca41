"""What the wheel installs besides the packages: man pages, completions, examples, each where others look for it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.daemon import ROOT

SHARED = {
    "share/man/man1/taskmasterctl.1": "man/taskmasterctl.1",
    "share/man/man5/taskmaster.yaml.5": "man/taskmaster.yaml.5",
    "share/man/man8/taskmasterd.8": "man/taskmasterd.8",
    "share/bash-completion/completions/taskmasterctl": "config/completions/taskmasterctl.bash",
    "share/zsh/site-functions/_taskmasterctl": "config/completions/_taskmasterctl",
    "share/fish/vendor_completions.d/taskmasterctl.fish": "config/completions/taskmasterctl.fish",
    "share/taskmaster/42.yaml": "config/42.yaml",
    "share/taskmaster/logrotate/taskmaster": "config/logrotate/taskmaster",
    "share/taskmaster/reference.yaml": "config/reference.yaml",
    "share/taskmaster/systemd/taskmasterd.service": "config/systemd/taskmasterd.service",
    "share/taskmaster/taskmaster.schema.json": "config/taskmaster.schema.json",
    "share/taskmaster/taskmaster.yaml": "config/taskmaster.yaml",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_nothing_under_man_or_config_is_left_out() -> None:
    kept = {
        str(path.relative_to(ROOT))
        for directory in ("man", "config")
        for path in (ROOT / directory).rglob("*")
        if path.is_file()
    }
    assert kept == set(SHARED.values())


def test_the_wheel_holds_the_shared_files_and_no_others(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    held = {
        os.path.join(*name.split("/")[2:]): archive.read(name)
        for name in archive.namelist()
        if name.split("/")[0].endswith(".data") and name.split("/")[1] == "data"
    }
    assert set(held) == set(SHARED)
    assert all(content == (ROOT / SHARED[name]).read_bytes() for name, content in held.items())

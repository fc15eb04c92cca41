"""The example configurations: each loads, and each is what its first lines promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import ROOT, Daemon

EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_the_daemons_check(path: Path, make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.config = path
    done = daemon.launch("-t")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: ok (")


def test_the_first_example_uses_sh_and_sleep_only_and_gives_no_warning(make_daemon: Callable[..., Daemon]) -> None:
    path = ROOT / "config" / "taskmaster.yaml"
    programs = yaml.safe_load(path.read_text())["programs"]
    assert {entry["cmd"].split()[0] for entry in programs.values()} <= {"sh", "sleep"}
    daemon = make_daemon()
    daemon.config = path
    assert daemon.launch("-t").stderr == ""


def test_the_sample_of_the_subject_keeps_its_values() -> None:
    programs = yaml.safe_load((ROOT / "config" / "42.yaml").read_text())["programs"]
    assert set(programs) == {"nginx", "vogsphere"}
    assert programs["nginx"]["cmd"] == "/usr/local/bin/nginx -c /etc/nginx/test.conf"
    assert programs["vogsphere"]["numprocs"] == 8
    assert programs["nginx"]["env"] == {"STARTED_BY": "taskmaster", "ANSWER": 42}

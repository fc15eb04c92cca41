"""A small one of each of the long runs: `python -m tests.outlive` has the large ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.outlive.run import MODES, outlive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="a take-over needs /proc"),
]


@pytest.mark.parametrize("mode", MODES)
def test_programs_outlive_their_daemon_and_nothing_is_lost(
    mode: str, short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = outlive(mode, kills=3, programs=10, seed=7, home=short_dir, pace=0.1)
    assert code == 0, capsys.readouterr().out

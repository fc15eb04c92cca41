"""A few seconds of the fuzzer; `python -m tests.fuzz MINUTES` runs longer."""

from __future__ import annotations

import pytest

from tests.fuzz.run import fuzz
from tests.support.daemon import Daemon

pytestmark = pytest.mark.slow


@pytest.mark.sweep
def test_noise_from_many_clients_and_in_the_configuration_touches_no_program(daemon: Daemon) -> None:
    report = fuzz(daemon, 0.5, seed=20)
    assert report.broken == []
    assert report.connections > 20
    assert report.reloads > 0

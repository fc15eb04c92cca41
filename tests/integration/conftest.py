"""Fixtures for tests in which the daemon's code looks at real processes."""

from __future__ import annotations

import pytest

from taskmasterd.system import child_reads


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a child that reads /proc of others plenty of time: a daemon gives up after a second, and then knows less."""
    monkeypatch.setattr(child_reads, "STARVED_S", 60.0)

"""What all tests have in which the daemon's code looks at real processes."""

from __future__ import annotations

import pytest

from taskmasterd.system import child_reads


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a child that reads of others wait long for a processor: a daemon gives it up after a second, and knows less."""
    monkeypatch.setattr(child_reads, "STARVED_S", 60.0)

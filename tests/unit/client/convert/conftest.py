"""What the tests of conversions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.converting import Importer


@pytest.fixture
def importer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Importer:
    """What imports files from a directory of its own."""
    return Importer(tmp_path, capfd)

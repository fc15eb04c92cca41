"""A copy of the packages in a directory of its own, as an installation has them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.daemon import ROOT

DAEMONS = (ROOT / "taskmasterd", ROOT / "common" / "taskmaster_common")
"""The packages that a daemon needs."""


def copy_packages(site: Path, packages: tuple[Path, ...] = DAEMONS) -> None:
    """Copy packages to the directory `site`, without compiled files."""
    ignore = shutil.ignore_patterns("__pycache__")
    for package in packages:
        shutil.copytree(package, site / package.name, ignore=ignore)

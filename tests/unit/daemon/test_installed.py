"""Whether the code on the disk is still the one that was found at first."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from taskmasterd.installed import Installed
from tests.support.daemon import ROOT


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of some folders of both packages."""
    for place in ("taskmasterd/core", "common/taskmaster_common/schema"):
        folder = ROOT / place
        package = tmp_path / folder.parent.name
        shutil.copytree(folder, package / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(folder.parent / "__init__.py", package)
    return tmp_path


def _installed(site: Path) -> Installed:
    return Installed((str(site / "taskmasterd"), str(site / "taskmaster_common")))


def _same_length_and_time(site: Path) -> None:
    path = site / "taskmasterd" / "core" / "programs" / "plan.py"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"import", b"tropmi", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.rename(path.with_suffix(".new"))
    shutil.copy2(path.with_suffix(".new"), path)  # as rsync -a has it: another inode


@pytest.mark.parametrize(
    "change",
    [
        lambda site: (site / "taskmasterd" / "core" / "programs" / "plan.py").write_text("other = 1\n"),
        lambda site: (site / "taskmaster_common" / "schema" / "shape.py").unlink(),
        lambda site: (site / "taskmaster_common" / "schema" / "added.py").touch(),
        lambda site: shutil.rmtree(site / "taskmasterd"),
        lambda site: shutil.rmtree(site / "taskmaster_common" / "schema"),
        lambda site: (site / "taskmasterd" / "core").rename(site / "taskmasterd" / "kernel"),
        _same_length_and_time,
    ],
    ids=["edited", "removed", "added", "no package", "no subpackage", "renamed", "same length and time"],
)
def test_any_other_source_is_noticed(site: Path, change: Callable[[Path], object]) -> None:
    installed = _installed(site)
    assert not installed.changed()
    change(site)
    assert installed.changed()
    assert installed.changed()


def test_the_same_source_written_again_is_no_change_and_other_files_do_not_count(site: Path) -> None:
    installed = _installed(site)
    path = site / "taskmasterd" / "core" / "programs" / "plan.py"
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy)
    (site / "taskmasterd" / "__pycache__").mkdir()
    (site / "taskmasterd" / "__pycache__" / "x.py").touch()
    (site / "taskmasterd" / ".plan.py.swp").touch()
    (site / "taskmasterd" / "notes.txt").touch()
    assert not installed.changed()


def test_code_that_is_put_back_is_ours_again(site: Path) -> None:
    installed = _installed(site)
    path = site / "taskmasterd" / "core" / "programs" / "plan.py"
    copy = path.read_bytes()
    path.write_text("")
    assert installed.changed()
    path.write_bytes(copy)
    assert not installed.changed()


def test_where_the_source_cannot_be_read_at_first_nothing_is_ever_different(tmp_path: Path) -> None:
    installed = Installed((str(tmp_path / "nowhere.zip"),))
    (tmp_path / "nowhere.zip").mkdir()
    assert not installed.changed()


def test_the_version_is_read_and_not_imported(site: Path) -> None:
    installed = _installed(site)
    (site / "taskmaster_common" / "__init__.py").write_text('raise ImportError\n__version__ = "9.9.1"\n')
    assert installed.version() == "9.9.1"
    (site / "taskmaster_common" / "__init__.py").write_text("nothing\n")
    assert installed.version() == ""
    shutil.rmtree(site)
    assert installed.version() == ""


def test_the_packages_of_this_process_are_those_that_were_imported() -> None:
    import taskmaster_common

    found = set(Installed()._files())
    assert sys.modules["taskmasterd.installed"].__file__ in found
    assert f"{taskmaster_common.__path__[0]}/schema/values/kinds.py" in found


def test_every_module_of_both_packages_has_its_name_and_its_file(site: Path) -> None:
    found = dict(_installed(site).modules())
    assert found["taskmasterd"] == f"{site}/taskmasterd/__init__.py"
    assert found["taskmasterd.core.programs.plan"] == f"{site}/taskmasterd/core/programs/plan.py"
    assert found["taskmaster_common.schema"] == f"{site}/taskmaster_common/schema/__init__.py"
    assert len(found) == sum(1 for _ in site.rglob("*.py"))

"""Modules and objects that exist once somebody uses them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taskmasterd.ondemand import Made
from tests.support.daemon import ROOT


def after(code: str, directory: Path) -> str:
    """Return what a fresh interpreter prints after this code; `directory` has modules to import."""
    start = f"import sys; sys.path.append({str(directory)!r}); from taskmasterd.ondemand import load_all, on_demand; "
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"}
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False, env=environment
    )
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "late_one.py").write_text(
        "from taskmasterd.ondemand import on_demand\nprint('one')\nother = on_demand('late_two')\nname = 1\n"
    )
    (tmp_path / "late_two.py").write_text("print('two')\nname = 2\n")
    return tmp_path


def test_a_module_is_loaded_when_one_of_its_names_is_used_and_once(modules: Path) -> None:
    code = "one = on_demand('late_one'); print('begin'); print(one.name, one.other.name, one.name)"
    assert after(code, modules).split() == ["begin", "one", "two", "1", "2", "1"]


def test_all_that_is_named_can_be_loaded_at_once_with_what_it_names_itself(modules: Path) -> None:
    assert after("on_demand('late_one'); load_all(); load_all()", modules).split() == ["one", "two"]
    (modules / "late_two.py").unlink()
    assert "No module named 'late_two'" in after("on_demand('late_one'); load_all()", modules)


def test_an_object_is_made_at_the_first_call() -> None:
    calls: list[list[str]] = []

    def make() -> list[str]:
        calls.append([])
        return calls[-1]

    made = Made(make)
    assert not calls
    assert made() is made()
    assert made.made is calls[0]
    assert len(calls) == 1


def test_a_module_of_the_start_is_forgotten_and_can_be_loaded_again(modules: Path) -> None:
    (modules / "package").mkdir()
    (modules / "package" / "__init__.py").touch()
    (modules / "late_two.py").rename(modules / "package" / "two.py")
    code = (
        "from taskmasterd.ondemand import unload; two = on_demand('package.two'); print(two.name); "
        "unload('package.two', 'package.three'); import package; "
        "print('package.two' in sys.modules, hasattr(package, 'two'), two.name)"
    )
    assert after(code, modules).split() == ["two", "2", "two", "False", "False", "2"]


def test_a_module_finds_descriptors_in_reserve_and_returns_them(modules: Path) -> None:
    code = (
        "import os, resource; from taskmasterd.ondemand import keep_reserve; keep_reserve(); before = os.listdir('/dev/fd'); "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, before)), 100)); print(on_demand('late_two').name); "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); print(os.listdir('/dev/fd') == before)"
    )
    assert after(code, modules).split() == ["two", "2", "True"]

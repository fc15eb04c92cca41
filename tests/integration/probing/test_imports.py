"""What the wing costs a daemon: nothing without a program that needs it, and nothing of the standard library with one."""

from __future__ import annotations

import subprocess
import sys

from tests.support.daemon import ROOT

HEAVY = {
    "typing",
    "dataclasses",
    "re",
    "json",
    "enum",
    "subprocess",
    "socket",
    "ssl",
    "http",
    "selectors",
    "signal",
    "fnmatch",
}
WING = (ROOT / "taskmasterd" / "probing").rglob("*.py")
MODULES = sorted(str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in WING)


def imported_by(code: str) -> set[str]:
    """Return the modules that a bare interpreter holds after some code."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"},
    )
    return set(done.stdout.split())


def test_the_daemon_holds_nothing_of_it() -> None:
    resident = imported_by("import taskmasterd.resident, taskmasterd.daemon")
    assert "taskmasterd.processes.performer" in resident
    assert not {name for name in resident if name.startswith("taskmasterd.probing")}


def test_it_holds_nothing_heavy() -> None:
    held = imported_by("; ".join(f"import {name.removesuffix('.__init__')}" for name in MODULES))
    assert "taskmasterd.probing.tries.connect" in held
    assert not held & HEAVY

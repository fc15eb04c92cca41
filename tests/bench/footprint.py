"""Resident memory of the daemon with 1, 100 and 1000 programs, beside supervisord in the same minute.

Run: python -m tests.bench.footprint. supervisord is left out where `supervisor` is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

SETTLE_S = 1.5
SIZES = (1, 100, 1000)


def rss_kb(pid: int) -> int:
    """Return the resident set of a process, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError(f"{pid} has no resident set")


def bare() -> int:
    """Return the resident set of an interpreter that does nothing."""
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as idle:
        assert idle.stdout
        idle.stdout.readline()
        found = rss_kb(idle.pid)
        idle.kill()
    return found


def ours(home: Path, count: int) -> int:
    """Return the resident set of taskmasterd with so many programs."""
    programs = "".join(f"  p{number}: {{cmd: sleep 1000, starttime: 0}}\n" for number in range(count))
    daemon = Daemon(home, f"programs:\n{programs}")
    daemon.environment.pop("PYTHONDONTWRITEBYTECODE", None)
    daemon.start()
    try:
        wait_until(lambda: all(p["state"] == "RUNNING" for p in daemon.status().values()), within_s=30)
        time.sleep(SETTLE_S)
        return rss_kb(daemon.pid)
    finally:
        daemon.ctl("shutdown")
        daemon.destroy()


def supervisors(home: Path, count: int) -> int | None:
    """Return the resident set of supervisord with so many programs, None where it is not installed."""
    command = shutil.which("supervisord", path=os.path.dirname(sys.executable))
    if command is None:
        return None
    config = home / "supervisord.conf"
    programs = "".join(f"[program:p{number}]\ncommand=sleep 1000\nstartsecs=0\n" for number in range(count))
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile={home}/log\npidfile={home}/pid\nchildlogdir={home}\nminfds=10000\n{programs}"
    )
    with subprocess.Popen([command, "-c", str(config)], stdout=subprocess.DEVNULL) as daemon:
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == count, within_s=60)
        time.sleep(SETTLE_S)
        found = rss_kb(daemon.pid)
        daemon.terminate()
    return found


def main() -> None:
    """Print one table."""
    floor = bare()
    print(f"bare interpreter: {floor / 1024:.1f} MB")
    print(f"{'programs':>8}  {'taskmasterd':>12}  {'over bare':>10}  {'supervisord':>12}")
    for count in SIZES:
        with tempfile.TemporaryDirectory(prefix="tm") as one, tempfile.TemporaryDirectory(prefix="tm") as two:
            mine, other = ours(Path(one), count), supervisors(Path(two), count)
        theirs = f"{other / 1024:.1f} MB" if other else "-"
        print(f"{count:>8}  {mine / 1024:>9.1f} MB  {(mine - floor) / 1024:>7.1f} MB  {theirs:>12}")


if __name__ == "__main__":
    main()

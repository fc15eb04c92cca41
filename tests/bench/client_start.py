"""How long `taskmasterctl status` takes, as ratios to the start of the bare interpreter, beside supervisorctl.

    python tests/bench/client_start.py [ROUNDS]

All are measured in turns, in the same minute, with the interpreter that runs this; the figures are medians of ROUNDS (30)
runs with cached bytecode. Goals: 2.2 with 10 programs, 3 with 1000. supervisor is left out where it is not installed.
The command is run as installed: the script that an older pip (24) has written imports re, which is a third of a start and
not ours.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

GOALS = {10: 2.2, 1000: 3.0}
BIN = Path(sys.executable).parent
STARTUP_S = 60


def run_once(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the milliseconds from the start of a command to its end, and those of its CPU; it has to succeed."""
    null = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in range(3)]
    began = time.perf_counter()
    child = os.posix_spawn(words[0], words, environment, file_actions=null)
    _, status, usage = os.wait4(child, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"{words} ended with {os.waitstatus_to_exitcode(status)}")
    return took * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def start_supervisor(home: Path, count: int, environment: dict[str, str]) -> list[str] | None:
    """Start a supervisord with so many programs; return the words for its status, None where it is not installed."""
    if not (BIN / "supervisord").exists():
        return None
    config = home / "supervisord.conf"
    config.write_text(
        f"[unix_http_server]\nfile={home}/s.sock\n"
        f"[supervisord]\nlogfile={home}/s.log\npidfile={home}/s.pid\nchildlogdir={home}\nminfds=8192\nnocleanup=true\n"
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[supervisorctl]\nserverurl=unix://{home}/s.sock\n"
        f"[program:p]\ncommand=sleep 86400\nnumprocs={count}\nprocess_name=p%(process_num)d\nstartsecs=0\n"
        "stdout_logfile=NONE\nstderr_logfile=NONE\n"
    )
    subprocess.run([str(BIN / "supervisord"), "-c", str(config)], env=environment, check=True, capture_output=True)
    words = [str(BIN / "supervisorctl"), "-c", str(config), "status"]
    wait_until(
        lambda: subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0, STARTUP_S
    )
    return words


def stop_supervisor(home: Path) -> None:
    """End it and its programs."""
    pid = int((home / "s.pid").read_text())
    os.kill(pid, 15)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), STARTUP_S)


def compare(count: int, rounds: int) -> None:
    """Print a table for so many programs."""
    home = Path(tempfile.mkdtemp(prefix="tmbench", dir="/tmp"))
    programs = "".join(f"  p{n}: {{cmd: sleep 86400, starttime: 0, stdout: null}}\n" for n in range(count))
    daemon = Daemon(home, f"programs:\n{programs}")
    environment = daemon.environment
    environment.pop("PYTHONDONTWRITEBYTECODE")
    supervisor = None
    try:
        daemon.start()
        supervisor = start_supervisor(home, count, environment)
        wait_until(lambda: daemon.ctl("status").returncode == 0, STARTUP_S)
        script = BIN / "taskmasterctl"
        ours = [str(script)] if script.exists() else [sys.executable, "-m", "taskmasterctl"]
        contenders = {
            "the bare interpreter": [sys.executable, "-c", "pass"],
            "taskmasterctl status": [*ours, "status"],
            "taskmasterctl status --json": [*ours, "status", "--json"],
            "taskmasterctl -V": [*ours, "-V"],
        }
        if supervisor:
            contenders["supervisorctl status"] = supervisor
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for turn in range(rounds + 1):
            for name, words in contenders.items():
                took = run_once(words, environment)
                if turn:  # the first one writes the bytecode
                    times[name].append(took)
    finally:
        if supervisor:
            stop_supervisor(home)
        daemon.ctl("shutdown")
        daemon.destroy()
        shutil.rmtree(home)
    report(count, times)


def report(count: int, times: dict[str, list[tuple[float, float]]]) -> None:
    """Print the medians and the ratios; those of the CPU say more where the machine is busy."""
    medians = {name: [statistics.median(column) for column in zip(*taken)] for name, taken in times.items()}
    bare, bare_cpu = medians["the bare interpreter"]
    print(f"\n{f'{count} programs':28} {'median':>9} {'ratio':>7} {'CPU':>9} {'ratio':>7}")
    for name, (took, cpu) in medians.items():
        goal = f"   goal {GOALS[count]}" if name == "taskmasterctl status" else ""
        print(f"{name:28} {took:6.1f} ms {took / bare:7.2f} {cpu:6.1f} ms {cpu / bare_cpu:7.2f}{goal}")


def main() -> None:
    """Measure with few and with many programs."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    for count in GOALS:
        compare(count, rounds)


if __name__ == "__main__":
    main()

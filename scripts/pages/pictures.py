"""Put pictures of the shell and of `top` into README.md: `python -m scripts.pages.pictures`.

A real daemon runs a small file, real clients run on a terminal, and the README gets what stands on the screen.
Not part of `scripts.generate`: pids and figures differ each time. It needs the packages of the extra `dev`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.terminal import Terminal
from tests.support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
MARKS = "<!-- {name}: made by scripts/pages/pictures.py -->"
END = "<!-- end of the picture -->"
COLUMNS = 98
CONFIG = """\
taskmasterd: {socket: s, logfile: events, log_dir: log, state_dir: state, pidfile: pid}
programs:
  db: {cmd: sleep 86400, description: the database}
  web: {cmd: [python3, -c, "WORK"], numprocs: 3, depends_on: [db]}
  mailer: {cmd: "sh -c 'echo no such queue: outbox >&2; exit 3'", startretries: 1, restart_delay: 0.1}
  nightly: {cmd: "true", schedule: '30 2 * * *'}
  worker: {cmd: sleep 86400, autostart: false}
""".replace("WORK", "import time; kept = bytearray(30 << 20)\\nwhile 1: sum(range(200_000)); time.sleep(0.05)")
SHOWN_SOCKET = "/run/user/1001/taskmaster/taskmaster.sock"
"""What stands in a picture for the place of the daemon's socket."""


def shell(environment: dict[str, str]) -> str:
    """Return the shell: its opening, a question, and names to choose from."""
    with Terminal(environment, size=(COLUMNS, 26)) as terminal:
        terminal.prompt()
        terminal.type("why mailer\r")
        terminal.see("taskmasterctl start mailer")
        terminal.prompt()
        terminal.type("start \t")
        wait_until(lambda: terminal.text().count("worker") > 1)
        return _tidy(terminal.text()).replace(environment["TASKMASTER_SOCKET"], SHOWN_SOCKET)


def top(environment: dict[str, str]) -> str:
    """Return the screen of `top` once it has drawn some samples."""
    with Terminal(environment, ("top", "--every", "0.5"), size=(COLUMNS + 14, 9)) as terminal:
        wait_until(lambda: terminal.text().count("█") > 15, within_s=30)
        return _tidy(terminal.text())


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


PICTURES: dict[str, Callable[[dict[str, str]], str]] = {"the shell": shell, "top": top}


def main() -> None:
    """Take the pictures and write the page."""
    page = README.read_text()
    with tempfile.TemporaryDirectory(prefix="tm") as place:
        home = Path(place)
        (home / "log").mkdir()
        (home / "state").mkdir()
        (home / "taskmaster.yaml").write_text(CONFIG)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'common'}", "HOME": place,
                       "LC_ALL": "C.UTF-8", "TASKMASTER_SOCKET": f"{place}/s", "XDG_STATE_HOME": place}  # fmt: skip
        daemon = subprocess.Popen(  # noqa: S603 - words of our own
            [sys.executable, "-m", "taskmasterd", "-n", "-c", str(home / "taskmaster.yaml")],
            env=environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_until((home / "s").exists)
            client = [sys.executable, "-m", "taskmasterctl", "--timeout", "30", "wait", "--for", "settled", "all"]
            subprocess.run(client, env=environment, capture_output=True, check=False)  # noqa: S603 - as above
            for name, take in PICTURES.items():
                begin = MARKS.format(name=name)
                before, found, rest = page.partition(begin)
                if not found or END not in rest:
                    raise SystemExit(f"README.md has no {begin} and {END}")
                page = f"{before}{begin}\n```text\n{take(environment)}\n```\n{END}{rest.partition(END)[2]}"
        finally:
            daemon.terminate()
            daemon.wait(30)
    README.write_text(page)


if __name__ == "__main__":
    main()

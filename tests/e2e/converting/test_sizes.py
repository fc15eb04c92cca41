"""What an import costs, and that its outcome is what `taskmasterd -T` prints."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon

USER = pwd.getpwuid(os.geteuid()).pw_name
PROGRAM = """\
[program:p{number}]
process_name=%(program_name)s_%(process_num)02d
command=/bin/sleep "%(ENV_HOME)s" {number} --of %(program_name)s '${{x}}' %(process_num)d
numprocs=2
priority={number}
environment=A="1",B='x,y=z'
stdout_logfile=/tmp/logs/%(program_name)s-%(process_num)d.log
stdout_logfile_maxbytes=1MB
redirect_stderr=true
autorestart=true
stopasgroup=true
user={user}
unknown=1
"""


def many(count: int) -> str:
    """Return a file with so many programs."""
    return "[supervisord]\nnodaemon=true\n" + "".join(
        PROGRAM.format(number=number, user=USER) for number in range(count)
    )


@pytest.mark.slow
def test_an_outcome_that_is_printed_and_read_again_is_the_same(daemon: Daemon) -> None:
    source = daemon.home / "web.conf"
    source.write_text(many(3) + "[program:shell]\ncommand=/bin/sh -c 'echo \"a: b\" $${y} && exit' %(ENV_HOME)s\n")
    done = daemon.run("taskmasterctl", "import", str(source), "-o", str(daemon.config), "--check")
    assert done.returncode == 3, done.stderr
    assert daemon.launch("-t").returncode == 0
    printed = daemon.launch("-T", "--env")
    assert printed.returncode == 0, printed.stderr
    daemon.config.write_text(printed.stdout)
    again = daemon.launch("-T", "--env")
    assert (again.returncode, again.stdout) == (0, printed.stdout)


@pytest.mark.sweep
def test_a_thousand_programs_are_imported_fast_and_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "web.conf").write_text(many(1000))
    code = (
        "import sys, time; from taskmasterctl.cli import main; start = time.process_time(); "
        "code = main(['import', 'web.conf', '-o', 'out.yaml']); "
        "print(code, time.process_time() - start, open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    exit_code, seconds, kilobytes = done.stdout.split()
    assert exit_code == "3"
    assert float(seconds) < 10, "bound of a loaded machine; 2 s is what it may take"
    assert int(kilobytes) < 60_000
    assert (tmp_path / "out.yaml").read_text().count("\n  p") == 1000


@pytest.mark.sweep
def test_a_million_sections_are_refused_in_time(tmp_path: Path) -> None:
    (tmp_path / "web.conf").write_text("".join(f"[program:{number}]\n" for number in range(900_000)))
    done = subprocess.run(
        [sys.executable, "-m", "taskmasterctl", "import", "web.conf"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 6

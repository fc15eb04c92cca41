"""The same units under a real systemd and, imported, under taskmasterd: the same processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.standin import StandIn, Started, started, stops
from tests.support.systemd_host import SYSTEMD, Host
from tests.support.wait import wait_until

UNITS = {
    "web.service": """\
[Unit]
Description=words and quotes
[Service]
Environment=LIST="one two" "PAIR=a b" PERCENT=100%% 'SINGLE=it is' X=1
ExecStart={note} web $LIST ${{LIST}} "x $PAIR" $$HOME 'a  b' c\\x41\\sd %n %p %t p$X ${{X}}y
WorkingDirectory=/
UMask=0027
User=nobody
[Install]
WantedBy=multi-user.target
""",
    "many@.service": "[Service]\nExecStart={note} many %i %p@%i \\\n  --long\n[Install]\nWantedBy=multi-user.target\n",
    "shell.service": """\
[Service]
Environment=A=b
ExecStart=/bin/sh -c 'exec {note} shell "$$A" $${{A}} "$1"' x y
WorkingDirectory=/tmp
[Install]
WantedBy=multi-user.target
""",
}
SLOW = """\
[Service]
ExecStart={note} slow --stubborn
KillSignal=SIGINT
TimeoutStopSec=6
[Install]
WantedBy=multi-user.target
"""
COUNT = 4
NAMES = ("LIST", "PAIR", "PERCENT", "SINGLE", "X", "A")
pytestmark = [
    pytest.mark.sweep,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not SYSTEMD.exists(), reason="needs root and systemd"),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that has booted."""
    home = tmp_path / "host"
    home.mkdir()
    host = Host(home)
    host.boot()
    yield host
    host.process.kill()
    host.process.wait()


def of_units(processes: list[Started]) -> list[Started]:
    """Return the processes with the variables of the units alone."""
    return sorted(
        (each.replace(env=tuple(pair for pair in each.env if pair[0] in NAMES)) for each in processes),
        key=lambda each: each.argv,
    )


def test_units_give_the_same_processes_under_both(host: Host, make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    for directory in (daemon.home, daemon.home.parent):
        directory.chmod(0o755)
    standin = StandIn(daemon.home)
    notes = Path(f"/proc/{host.init}/root{standin.notes}")
    host.write(str(standin.path), standin.path.read_text(), 0o755)
    host.run("mkdir", "-p", str(standin.notes))
    host.run("chmod", "777", str(standin.notes))
    for name, text in UNITS.items():
        host.write(f"/etc/systemd/system/{name}", text.format(note=standin.path))
        (daemon.home / name).write_text(text.format(note=standin.path))
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "web", "many@0", "many@1", "shell")
    wait_until(lambda: len([*notes.glob("start-*-*[0-9]")]) == COUNT, within_s=30)
    theirs = of_units([started(note) for note in standin.read("start", notes)])

    words = ["import", *(str(daemon.home / name) for name in UNITS), "--set", "instances=0,1", "-o", str(daemon.config)]
    done = daemon.run("taskmasterctl", *words)
    assert done.returncode in (0, 3), done.stderr
    daemon.start_foreground()
    wait_until(lambda: len(standin.read("start")) == COUNT, within_s=30)
    ours = of_units([started(note) for note in standin.read("start")])
    assert ours == theirs


def test_a_unit_that_ignores_its_stop_signal_is_killed_after_the_same_time(
    host: Host, make_daemon: Callable[..., Daemon]
) -> None:
    daemon = make_daemon()
    standin = StandIn(daemon.home)
    notes = Path(f"/proc/{host.init}/root{standin.notes}")
    host.write(str(standin.path), standin.path.read_text(), 0o755)
    host.run("mkdir", "-p", str(standin.notes))
    host.write("/etc/systemd/system/slow.service", SLOW.format(note=standin.path))
    (daemon.home / "slow.service").write_text(SLOW.format(note=standin.path))
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "slow")
    wait_until(lambda: [*notes.glob("start-*-*[0-9]")], within_s=30)
    begun = time.monotonic()
    host.run("systemctl", "stop", "slow")
    theirs = time.monotonic() - begun

    done = daemon.run("taskmasterctl", "import", str(daemon.home / "slow.service"), "-o", str(daemon.config))
    assert done.returncode in (0, 3), done.stderr
    daemon.start_foreground()
    wait_until(lambda: standin.read("start"), within_s=30)
    begun = time.monotonic()
    daemon.ctl("stop", "slow")
    ours = time.monotonic() - begun
    assert [name for _words, _role, name in stops(standin.read("stop"))] == ["SIGINT"]
    assert [name for _words, _role, name in stops(standin.read("stop", notes))] == ["SIGINT"]
    assert ours == pytest.approx(theirs, abs=3.0), "TimeoutStopSec, and what two commands take"

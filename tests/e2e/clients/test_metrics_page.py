"""docs/operate/metrics.md and docs/operate/top.md: their commands run, their programs come up, and the table has every metric."""

from __future__ import annotations

import re
import shlex
import socket
import sys
from collections.abc import Callable

import pytest

from taskmasterctl.metrics.text import names
from tests.support.daemon import ROOT, Daemon
from tests.support.receivers import free_port
from tests.support.wait import wait_until

PAGE = (ROOT / "docs" / "operate" / "metrics.md").read_text()
TOP = (ROOT / "docs" / "operate" / "top.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```text\n(.*?)```", PAGE + TOP, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("taskmasterctl ")
]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon with the programs that the commands name."""
    return share_daemon("programs: {web: {cmd: sleep 86400, starttime: 0}, db1: {cmd: sleep 86400}}\n").start()


def test_the_page_has_commands_and_examples() -> None:
    assert len(COMMANDS) >= 8
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_succeeds(shared: Daemon, command: str) -> None:
    name, *words = shlex.split(command)
    assert name == "taskmasterctl"
    done = shared.ctl(*words)
    assert done.returncode == 0, done.stderr


def test_the_table_has_every_metric_once() -> None:
    assert re.findall(r"^\| `(taskmaster_\w+)` \|", PAGE, re.MULTILINE) == list(names())


@pytest.mark.sweep
def test_the_programs_of_the_examples_run_under_the_daemon_that_they_watch(daemon: Daemon) -> None:
    with free_port() as port:
        watches_itself(daemon, port)


def watches_itself(daemon: Daemon, port: int) -> None:
    """Start the examples, the second one at this port, and check that they report the daemon."""
    client = f"{sys.executable} -m taskmasterctl"
    text = "programs:\n" + "".join(example.replace("programs:\n", "") for example in EXAMPLES)
    text = text.replace("  metrics: {", "  sockets: {").replace("/var/lib/node_exporter", str(daemon.home))
    text = text.replace("taskmasterctl", client).replace("9777", str(port)).replace("unix:", f"unix:{daemon.home}/")
    paths = f"PYTHONPATH: {ROOT}:{ROOT / 'common'}"
    daemon.write(f"defaults: {{starttime: 0, env: {{{paths}}}}}\n{text}")
    daemon.start()
    wait_until((daemon.home / "taskmaster.prom").exists, within_s=20)
    assert 'program="metrics"' in (daemon.home / "taskmaster.prom").read_text()
    wait_until((daemon.home / "metrics.sock").exists, within_s=20)

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as scraper:
                scraper.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                return scraper.recv(12) == b"HTTP/1.1 200"
        except (ConnectionRefusedError, ConnectionResetError):
            return False

    wait_until(answers, within_s=20)
    assert daemon.ctl("stop", "all").returncode == 0
    assert not (daemon.home / "taskmaster.prom").exists()
    assert not (daemon.home / "metrics.sock").exists()

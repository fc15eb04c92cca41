"""The examples of docs/programs/terminals.md do what the page says."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

PAGE = (ROOT / "docs" / "programs" / "terminals.md").read_text()


@pytest.mark.slow
def test_the_commands_of_the_page_say_what_stands_there(daemon: Daemon) -> None:
    (config,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    daemon.write(config)
    daemon.start()
    daemon.wait_for("wide", "EXITED")
    assert daemon.log("wide") == b"50 132\r\n"
    shown = re.findall(r"^\$ taskmasterctl (send .*)\n(.*)$", PAGE, re.MULTILINE)
    assert len(shown) == 3
    wait_until(lambda: daemon.log("console").endswith((b"$ ", b"# ")))
    for command, said in shown:
        words = shlex.split(command.replace("$'\\x03'", "\x03"))
        if "\x03" in words:  # it would take back what the shell has not read yet
            wait_until(lambda: b"42\r\n" in daemon.log("console"))
        assert daemon.ctl(*words).stdout == f"{said}\n"
    wait_until(lambda: b"42\r\n" in daemon.log("console"))
    wait_until(lambda: daemon.log("importer") == b"one line\n")

"""`simulate` beside the real thing: the same delays, and nothing of it in any log."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.daemon import Daemon

pytestmark = pytest.mark.slow

CONFIG = """\
programs:
  web: {cmd: "sh -c 'sleep 0.1; exit 3'", restart_delay: 0.2, startretries: 2, autostart: false}
  off: {cmd: sleep 300, enabled: false}
  leaks: {cmd: sleep 300, autostart: false, recycle: {memory: 400MB, age: 12h}}
groups: {both: [web, off]}
"""


def delays(events: list[dict[str, Any]]) -> list[float]:
    """Return the times from each BACKOFF to the start after it."""
    at = [each["at"] for each in events if each["state"] in ("BACKOFF", "STARTING")][1:]
    return [then - failed for failed, then in zip(at[::2], at[1::2])]


@pytest.mark.sweep
def test_a_real_run_keeps_to_what_is_simulated(daemon: Daemon) -> None:
    daemon.write(CONFIG)
    daemon.start()
    before = daemon.events()
    done = daemon.ctl("simulate", "web", "--end", "3@0.1")
    assert (done.returncode, daemon.events()) == (0, before)
    assert daemon.ctl("events", "web").stdout == ""
    bounds = [tuple(map(float, pair)) for pair in re.findall("in ([0-9.]+).([0-9.]+)s", done.stdout)]
    assert bounds == [(0.18, 0.22), (0.36, 0.44)]

    assert daemon.ctl("start", "web").returncode == 1
    lines = map(json.loads, daemon.ctl("events", "--json", "web").stdout.splitlines())
    records = [each for each in lines if each["type"] == "event"]
    failed = [each["mono"] for each in records if each["event"] == "failed"]
    started = [each["mono"] for each in records if each["event"] == "started"]
    assert len(failed) == 3
    for (least, most), end, start in zip(bounds, failed, started[1:]):
        assert least - 0.01 <= start - end <= most + 1.0  # a busy machine is late, never early
    simulated = json.loads(daemon.ctl("--json", "simulate", "web", "--end", "3@0.1").stdout)["events"]
    assert [least - 0.001 <= delay <= most + 0.001 for (least, most), delay in zip(bounds, delays(simulated))] == [
        True
    ] * 2

    here = daemon.run("taskmasterd", "-c", str(daemon.config), "--simulate", "web", "--end", "3@0.1")
    assert (here.returncode, here.stdout) == (0, done.stdout)
    as_json = daemon.run("taskmasterd", "-c", str(daemon.config), "--simulate", "web", "--end", "3@0.1", "--json")
    assert json.loads(as_json.stdout)["events"] == simulated

    assert "off is disabled" in daemon.ctl("simulate", "off").stderr
    text = "recycle.memory is left out: how much memory leaks would use is not known"
    assert text in daemon.ctl("simulate", "leaks").stderr
    assert text in daemon.run("taskmasterd", "-c", str(daemon.config), "--simulate", "leaks").stderr
    assert "recycle" not in daemon.ctl("simulate", "web").stderr
    wrong = ((("both",), 2), (("web", "--end", "3"), 2), (("web", "--for", "soon"), 2), (("wob",), 4))
    assert [daemon.ctl("simulate", *words).returncode for words, _ in wrong] == [code for _, code in wrong]
    for words, code in ((("wob",), 4), (("web", "--end", "3"), 2)):
        assert daemon.run("taskmasterd", "-c", str(daemon.config), "--simulate", *words).returncode == code

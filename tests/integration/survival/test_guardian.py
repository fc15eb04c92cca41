"""The guardian as a process, with a script in the daemon's place: what it keeps, hands over, and ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import PROGRAMS, ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux"),
]
BE_GUARDIAN = """
import os, sys
from taskmasterd.guardian import Guardian
from taskmasterd.system.subreaper import be_subreaper
be_subreaper()
state, listener = os.memfd_create("state", 0), os.open(os.devnull, os.O_RDONLY)
sys.exit(Guardian([sys.executable, "-I", "-S", *sys.argv[1:]], state, listener, -1).run())
"""


def lives(home: Path, *what: str) -> tuple[int, list[dict[str, Any]], str]:
    """Return the guardian's exit code, what it has handed to each daemon, and what it has said."""
    notes = home / "notes"
    words = [sys.executable, "-c", BE_GUARDIAN, str(PROGRAMS / "plays_daemon.py"), "KEPT", str(notes), *what]
    environment = dict(os.environ, PYTHONPATH=f"{ROOT}:{ROOT / 'common'}")
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=60, check=False, start_new_session=True
    )
    handed = [json.loads(line) for line in notes.read_text().splitlines()]
    assert len(handed) == len(what), done.stderr
    return done.returncode, handed, done.stderr


def test_an_end_is_handed_over_until_it_is_noted(short_dir: Path) -> None:
    code, handed, said = lives(short_dir, "up,orphan=3,die", "die", "noted,die", "bye,exit=5")
    assert [each["ends"] for each in handed] == [[], [3 << 8], [3 << 8], []]
    assert [each["again"] for each in handed] == ["0", "1", "1", "1"]
    assert code == 5
    assert said.count("has died: killed by signal 9; starting it again") == 3


def test_who_asks_is_told_all_that_has_ended_by_then_and_since_when_it_led_a_session(short_dir: Path) -> None:
    code, handed, said = lives(short_dir, "up,leader=4,die", "bye,exit=0")
    assert [each["ends"] for each in handed] == [[], [4 << 8]]
    assert code == 0
    assert "Error" not in said


def test_a_pipe_is_handed_over_with_what_is_in_it_until_it_is_dropped(short_dir: Path) -> None:
    code, handed, _ = lives(short_dir, "up,keep,die", "drop,die", "bye,exit=0")
    assert [each["pipes"] for each in handed] == [[], [["/a path", "some bytes"]], []]
    assert code == 0


@pytest.mark.parametrize(
    ("life", "code"),
    [
        *(("exit=7", 7), ("die", 1), ("up,exit=0", 0), ("up,bye,exit=1", 1), ("up,bye,die", 1)),
        *(("up,bye=3,exit=3", 3), ("up,bye=3,die", 3), ("up,bye=0,die", 1)),
    ],
)
def test_it_leaves_with_a_daemon_that_never_worked_or_ended_as_it_was_told_to(
    short_dir: Path, life: str, code: int
) -> None:
    assert lives(short_dir, life)[0] == code


def test_a_daemon_that_failed_is_another_matter(short_dir: Path) -> None:
    code, handed, said = lives(short_dir, "up,exit=1", "bye,exit=0")
    assert (code, len(handed)) == (0, 2)
    assert "has died: exit 1; starting it again" in said

"""Tags: inherited by every descendant, readable by everybody, exchanged by nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from taskmasterd.processes.members import attribution
from taskmasterd.system.lineage import BROKEN, FLOOR, LARGEST, LIMITS, Lineage, family_of, put_tag, tag_of
from taskmasterd.system.procfs import Survivor, listing

LINEAGE = Lineage(bytes(16))
pytestmark = pytest.mark.skipif(
    not listing("/proc/self") or not LINEAGE.usable, reason="needs /proc, and limits that are not lowered"
)
LOCKS, RTTIME = (number for number, _name in LIMITS)


def tag(program: str, index: int) -> int:
    """Return the tag of a slot, which there is one of here."""
    found = LINEAGE.tag((program, index))
    assert found is not None
    return found


def shown_by(script: str, tag: int) -> tuple[int | None, str]:
    """Return the tag of a Python process with this tag that has run a script, and what that has written."""
    code = f"import resource, sys\nroom = resource.RLIM_INFINITY\n{script}\nsys.stdout.flush()\nsys.stdin.read()\n"
    words = [sys.executable, "-S", "-c", f"print(flush=True); sys_stdin = input()\n{code}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        put_tag(tag, process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        said = process.stdout.readline()
        found = tag_of(process.pid)
        process.stdin.close()
    return found, said.strip()


def test_each_slot_has_its_tag_and_each_program_its_family() -> None:
    tags = {tag(program, index) for program in ("a", "b") for index in (0, 1, 9999)}
    assert len(tags) == 6
    assert all(0 <= each <= LARGEST for each in tags)
    assert family_of(tag("a", 9999)) == LINEAGE.family("a") != LINEAGE.family("b")
    assert Lineage(b"x" * 16).tag(("a", 0)) not in tags


def test_a_process_without_a_tag_has_none() -> None:
    assert tag_of(os.getpid()) is None


def test_a_tag_is_read_back_and_descendants_inherit_it() -> None:
    mine = tag("a", 3)
    script = "read go; sleep 300 & echo $!; read end; kill $!"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        put_tag(mine, process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        assert (tag_of(process.pid), tag_of(child)) == (mine, mine)
        process.stdin.close()


@pytest.mark.parametrize("number", [LOCKS, RTTIME])
def test_a_tag_that_was_changed_is_broken(number: int) -> None:
    lower = f"resource.setrlimit({number}, (5, 5)); print(1)"
    assert shown_by(lower, tag("a", 3))[0] == BROKEN


def test_nobody_but_root_can_take_another_tag() -> None:
    mine, other = tag("a", 3), tag("b", 0)
    script = (
        "import os\n"
        "os.getuid() or (os.setgroups([]), os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534))\n"
        f"refused = 0\n"
        f"for number, value in (({LOCKS}, {FLOOR + other}), ({RTTIME}, {FLOOR + LARGEST - other})):\n"
        "    try: resource.setrlimit(number, (value, value))\n"
        "    except ValueError: refused += 1\n"
        "print(refused)"
    )
    assert shown_by(script, mine) == (BROKEN, "1")


@pytest.mark.parametrize("readable", [True, False])
def test_what_was_forked_before_its_leader_got_a_tag_hides_whose_it_is_if_nobody_may_read_it(
    monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    monkeypatch.setattr(attribution, "may_be_read", lambda _pid: readable)
    untagged = Survivor(os.getpid(), 1, "agent", 5, 5, 1)
    assert attribution.hides(untagged, {}, LINEAGE) is not readable

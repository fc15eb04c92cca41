"""The history in a file: private from the first moment, capped, no line twice, and never in the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taskmasterctl.shell.history import MOST_LINES, HistoryFile


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "state" / "history"


def test_lines_are_there_for_the_next_shell(path: Path) -> None:
    first = HistoryFile(str(path))
    for line in ("status", "stop web", "caf\u00e9 \udcff"):
        assert first.add(line)
    assert HistoryFile(str(path)).lines == ["status", "stop web", "caf\u00e9 \udcff"]


def test_a_file_of_the_earlier_name_moves_unless_there_is_one(path: Path) -> None:
    path.parent.mkdir()
    earlier = path.with_name("earlier")
    earlier.write_text("status\n")
    assert HistoryFile(str(path), str(earlier)).lines == ["status"]
    assert not earlier.exists()
    earlier.write_text("stop web\n")
    assert HistoryFile(str(path), str(earlier)).lines == ["status"]
    earlier.unlink()
    earlier.mkdir()
    path.unlink()
    assert HistoryFile(str(path), str(earlier)).lines == []
    assert earlier.is_dir(), "the daemon's"


def test_the_file_is_private_whatever_the_umask_and_whatever_it_was(path: Path) -> None:
    mask = os.umask(0)
    try:
        HistoryFile(str(path)).add("status")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    HistoryFile(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_blank_lines_and_repetitions_are_not_kept(path: Path) -> None:
    history = HistoryFile(str(path))
    assert [history.add(line) for line in ("status", "status", "  ", "", "stop web", "status ")] == [
        True, False, False, False, True, True,
    ]  # fmt: skip
    assert history.lines == ["stop web", "status"]
    assert HistoryFile(str(path)).lines == ["stop web", "status"]


def test_only_the_newest_lines_are_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("".join(f"line {number}\n" for number in range(MOST_LINES + 500)))
    history = HistoryFile(str(path))
    assert len(history.lines) == MOST_LINES
    assert history.lines[-1] == f"line {MOST_LINES + 499}"
    assert len(path.read_text().splitlines()) == MOST_LINES
    history.add("one more")
    assert len(history.lines) == MOST_LINES


def test_two_shells_at_once_lose_no_line(path: Path) -> None:
    one, other = HistoryFile(str(path)), HistoryFile(str(path))
    one.add("from one")
    other.add("from the other")
    assert HistoryFile(str(path)).lines == ["from one", "from the other"]


def test_pasted_lines_become_one_line_that_runs_the_same_commands(path: Path) -> None:
    for pasted in ("\nstop web # all of it\n\n start 'a b'\n", "stop 'web\npid", "pid # mine"):
        HistoryFile(str(path)).add(pasted)
    assert HistoryFile(str(path)).lines == ["stop web; start 'a b'", "stop 'web pid", "pid # mine"]


def test_what_cannot_be_a_history_is_a_problem_and_no_error(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    history = HistoryFile(str(path))
    assert "not a regular file" in history.problem
    assert history.add("status")
    assert history.lines == ["status"]
    link = path.with_name("link")
    link.symlink_to(path.with_name("elsewhere"))
    assert "cannot use" in HistoryFile(str(link)).problem
    assert not path.with_name("elsewhere").exists()
    assert (
        "not a directory" in HistoryFile(f"{path}/history").problem
        or "file exists" in HistoryFile(f"{path}/history").problem
    )


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "draft", "owner"])
def test_a_file_of_somebody_else_that_stands_in_its_place_is_neither_read_nor_changed(path: Path, kind: str) -> None:
    path.parent.mkdir()
    victim = path.parent / "victim"
    victim.write_text("precious\nprecious\n")
    victim.chmod(0o644)
    match kind:
        case "symlink":
            path.symlink_to(victim)
        case "hardlink":
            path.hardlink_to(victim)
        case "draft":
            path.write_text("twice\ntwice\n")
            path.with_name(f"{path.name}.{os.getpid()}").hardlink_to(victim)
        case _:
            if os.geteuid() != 0:
                pytest.skip("needs root")
            victim.rename(path)
            os.chown(path, 65_534, 65_534)
            victim = path
    history = HistoryFile(str(path))
    history.add("status")
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious\nprecious\n", 0o644)
    assert bool(history.problem) is (kind != "draft")

"""The directory of state files: whose each is, and which are of no use any more."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.survival.disk.directory import Known, StateDirectory
from taskmasterd.survival.disk.file import file_name
from taskmasterd.system.paths.held import inode_of
from taskmasterd.system.paths.locks import AlreadyRunningError


def known(directory: Path, **changed: Any) -> Known:
    path = str(directory / "s")
    values: dict[str, Any] = {"socket": path, "named": path, "pidfile": f"{path}.pid"}
    return Known(**{"boot": "now", "uid": os.geteuid(), **values, **changed})


def write(states: Path, whose: Known, pid: int = 0) -> Path:
    """Write the first line of a state file, and a key beside it."""
    path = states / file_name(whose.socket)
    path.write_text(json.dumps({"taskmaster_state": 1, **whose.to_data(), "pid": pid, "config": "/p1.yaml"}) + "\n")
    path.with_name(path.name + ".key").write_text("key")
    return path


@pytest.fixture
def states(short_dir: Path) -> Path:
    path = short_dir / "states"
    path.mkdir()
    return path


@pytest.mark.parametrize("common", ["named", "pidfile"])
def test_a_state_of_ours_under_another_name_gets_our_name_and_its_key_too(
    states: Path, short_dir: Path, common: str
) -> None:
    (short_dir / "old").mkdir()
    (short_dir / "new").mkdir()
    old, mine = known(short_dir / "old"), known(short_dir / "new")
    mine = mine.replace(**{common: getattr(old, common)})
    path = write(states, old)
    with StateDirectory(str(states)) as directory:
        assert directory.take_over_name(mine) == old.socket
    assert sorted(each.name for each in states.iterdir()) == [f"{file_name(mine.socket)}{end}" for end in ("", ".key")]
    assert not path.exists()


def test_a_directory_that_was_moved_with_the_socket_of_a_killed_daemon_is_known_again(
    states: Path, short_dir: Path
) -> None:
    place = short_dir / "old"
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "s"))
    found = (place / "s").stat()
    old = known(place, door=(found.st_dev, found.st_ino))
    write(states, old)
    place.rename(short_dir / "new")
    mine = known(short_dir / "new", door=inode_of(str(short_dir / "new" / "s")))
    with StateDirectory(str(states)) as directory:
        assert directory.take_over_name(mine.replace(door=inode_of(str(states)))) == ""
        assert directory.take_over_name(mine) == old.socket


def test_a_directory_to_which_a_link_leads_from_its_former_place_is_known_again(states: Path, short_dir: Path) -> None:
    old = known(short_dir / "old")
    write(states, old)
    (short_dir / "new").mkdir()
    (short_dir / "old").symlink_to("new")
    with StateDirectory(str(states)) as directory:
        assert directory.take_over_name(known(short_dir / "new")) == old.socket


def test_the_history_gets_our_name_too_unless_we_have_one(states: Path, short_dir: Path) -> None:
    old, mine = known(short_dir / "old", named="/the/same"), known(short_dir / "new", named="/the/same")
    begins, begin = (file_name(each.socket).removesuffix(".state") for each in (old, mine))
    (states / "history").mkdir()
    for name in (f"{begins}.1-7.jsonl", f"{begins}.9-8.jsonl", "other.1-7.jsonl"):
        (states / "history" / name).write_text("{}")

    def names_after_a_take_over() -> set[str]:
        write(states, old)
        with StateDirectory(str(states)) as directory:
            assert directory.take_over_name(mine) == old.socket
        (states / file_name(mine.socket)).unlink()
        return {path.name for path in (states / "history").iterdir()}

    assert names_after_a_take_over() == {"other.1-7.jsonl", f"{begin}.1-7.jsonl", f"{begin}.9-8.jsonl"}
    (states / "history" / f"{begin}.9-8.jsonl").rename(states / "history" / f"{begins}.9-8.jsonl")
    assert names_after_a_take_over() == {"other.1-7.jsonl", f"{begin}.1-7.jsonl", f"{begins}.9-8.jsonl"}


@pytest.mark.parametrize("differs", [{}, {"boot": "then"}, {"uid": 7}])
def test_a_state_that_has_nothing_in_common_with_us_is_left_alone(
    states: Path, short_dir: Path, differs: dict[str, Any]
) -> None:
    old = known(short_dir / "old", **(differs and {"pidfile": str(short_dir / "new" / "s.pid"), **differs}))
    path = write(states, old)
    with StateDirectory(str(states)) as directory:
        assert directory.take_over_name(known(short_dir / "new")) == ""
    assert path.exists()


def test_what_a_daemon_that_lives_remembers_is_not_taken_over_unless_we_hold_its_pid_file(
    states: Path, short_dir: Path
) -> None:
    old = known(short_dir, named="/the/same")
    mine = known(short_dir / "new", named="/the/same")
    write(states, old, pid=4711)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(old.socket)
        listener.listen()
        with StateDirectory(str(states)) as directory:
            with pytest.raises(AlreadyRunningError, match=rf"\(pid 4711\) listens at {old.socket}; it runs /p1.yaml"):
                directory.take_over_name(mine)
            assert directory.take_over_name(mine.replace(pidfile=old.pidfile)) == old.socket


def test_states_of_another_boot_are_removed_unless_somebody_may_still_need_them(states: Path, short_dir: Path) -> None:
    useless = write(states, known(short_dir / "useless", boot="then"))
    locked = write(states, known(short_dir / "locked", boot="then"))
    present = write(states, known(short_dir / "present"))
    answered = write(states, known(short_dir, boot="then"))
    foreign = states / "notes.state"
    foreign.write_text("nothing of ours\n")
    ancient, recent = states / "a.state.key", states / "b.state.key"
    for each in (ancient, recent):
        each.write_text("key")
    os.utime(ancient, (0, 0))
    with locked.open() as held, socket.socket(socket.AF_UNIX) as listener:
        fcntl.flock(held, fcntl.LOCK_EX)
        listener.bind(known(short_dir).socket)
        listener.listen()
        with StateDirectory(str(states)) as directory:
            directory.remove_useless("")
            assert useless.exists()
            directory.remove_useless("now")
    keys = [path.with_name(path.name + ".key") for path in (locked, present, answered)]
    assert set(states.iterdir()) == {locked, present, answered, foreign, recent, *keys}

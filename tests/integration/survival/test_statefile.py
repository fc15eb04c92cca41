"""The state file: whole or with a last line that does not count, at every moment; never through somebody's trap."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterd.survival.disk.file import StateFile, file_name, read_lines, set_aside


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.state")


def begun(path: str, *lines: bytes) -> StateFile:
    """Return a state file with these lines."""
    file = StateFile(path)
    file.begin()
    file.add(b"".join(line + b"\n" for line in lines))
    file.replace()
    return file


def test_the_name_tells_the_socket_and_no_two_sockets_share_one() -> None:
    paths = ("/run/taskmaster/taskmaster.sock", "/a/b", "/a-b", "/a/-b", "/a-/b", "/a\\x2db", "/a/b/c")
    names = [file_name(path) for path in paths]
    assert names[0] == "run-taskmaster-taskmaster.sock.state"
    assert len(set(names)) == len(paths)
    assert not [name for name in names if "/" in name]


def test_the_name_of_a_long_path_full_of_dashes_can_be_a_file_and_is_its_own(tmp_path: Path) -> None:
    names = [file_name("/" + "-" * 100 + each) for each in "ab"] + [file_name("/" + "\u00e9" * 53)]
    assert len(set(names)) == len(names)
    for name in names:
        begun(str(tmp_path / name), b"one").remove()
        (tmp_path / (name + ".key.unusable")).touch()


def test_what_was_begun_is_nothing_until_it_is_complete(path: str) -> None:
    file = begun(path, b"old")
    file.begin()
    file.add(b"new\n")
    assert read_lines(path) == [b"old"]
    file.append(b"older\n")
    assert read_lines(path) == [b"old", b"older"]
    file.replace()
    assert read_lines(path) == [b"new"]
    file.append(b"newer\n")
    assert read_lines(path) == [b"new", b"newer"]
    assert (file.base, file.size) == (4, 10)
    file.remove()
    assert read_lines(path) is None
    assert os.listdir(os.path.dirname(path)) == []


def test_a_key_that_a_cleaner_has_removed_alone_or_with_its_directory_is_written_again(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.mkdir()
    key, file = place / "a.state.key", StateFile(str(place / "a.state"), "secret")
    for _ in range(2):
        file.begin()
        file.replace()
        assert (key.read_text(), key.stat().st_mode & 0o777) == ("secret", 0o600)
        assert file.what_became_of_it() == ""
        key.unlink()
        assert file.what_became_of_it() == "had lost its key"
    (place / "a.state").unlink()
    place.rmdir()
    assert file.what_became_of_it() == "had been removed"
    file.begin()
    file.replace()
    assert key.read_text() == "secret"
    file.remove()


def test_a_line_that_was_being_written_does_not_count(path: str) -> None:
    begun(path, b"one", b"two").remove()
    Path(path).write_bytes(b"one\ntwo\nthr")
    assert read_lines(path) == [b"one", b"two"]


def test_a_write_that_fails_leaves_the_file_as_it_was(path: str) -> None:
    file = begun(path, b"x" * 99)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            file.append(b"y" * 99 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_lines(path) == [b"x" * 99]
    file.append(b"z\n")
    assert read_lines(path) == [b"x" * 99, b"z"]
    file.remove()


def test_only_its_owner_may_read_it_whatever_the_umask(path: str) -> None:
    before = os.umask(0)
    try:
        file = begun(path, b"secret")
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o600
    file.remove()


def test_a_planted_link_is_neither_written_nor_read(path: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, path + ".new")
    begun(path, b"mine").remove()
    assert victim.read_text() == "precious"
    os.symlink(victim, path)
    with pytest.raises(SystemFailure, match="it is a symbolic link"):
        read_lines(path)


@pytest.mark.parametrize("kind", ["fifo", "directory", "others may write", "hard link"])
def test_what_cannot_be_trusted_is_refused_without_waiting(path: str, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        os.mkdir(path)
    else:
        Path(path).write_text("{}\n")
        os.chmod(path, 0o620 if kind == "others may write" else 0o600)
        if kind == "hard link":
            os.link(path, path + ".2")
    with pytest.raises(SystemFailure, match="state file"):
        read_lines(path)


def test_what_is_set_aside_keeps_its_content_and_replaces_the_one_before(path: str) -> None:
    for content in (b"one\n", b"two\n"):
        Path(path).write_bytes(content)
        assert set_aside(path) == f"{path}.unusable"
    assert Path(f"{path}.unusable").read_bytes() == b"two\n"
    assert set_aside(path) == ""

"""Which paths mean what the system has, and which of the daemon's own descriptors they mean."""

from __future__ import annotations

import pytest

from taskmaster_common.devices import is_system_name, normalised, own_descriptor


@pytest.mark.parametrize(
    ("path", "is_one", "own"),
    [
        ("/dev/null", True, None),
        ("/dev/stdout", True, 1),
        ("/dev/stderr", True, 2),
        ("/dev/stdin", True, 0),
        ("/dev/fd/2", True, 2),
        ("/dev//fd/./1", True, 1),
        ("/dev/../dev/stdout", True, 1),
        ("/dev/pts/3", True, None),
        ("/proc/self/fd/1", True, 1),
        ("/proc/thread-self/fd/2", True, 2),
        ("/proc/self/task/77/fd/1", True, 1),
        ("/proc/77/fd/1", True, 1),
        ("/proc/77/task/78/fd/9", True, 9),
        ("/proc/1/fd/1", True, None),
        ("/proc/1/fd/1/x", False, None),
        ("/proc/1/fd/x", False, None),
        ("/proc/1/root/log", False, None),
        ("/proc/self/cwd/log", False, None),
        ("/dev/shm/log", False, None),
        ("/dev", False, None),
        ("/var/log/x", False, None),
        ("/srv/proc/1/fd/1", False, None),
    ],
)
def test_a_name_of_the_system_is_known_by_its_text(path: str, is_one: bool, own: int | None) -> None:
    assert is_system_name(path) == is_one
    assert own_descriptor(path, 77) == own


def test_a_path_is_normalised_as_text() -> None:
    assert normalised("//a/./b//../c/") == "/a/c"
    assert normalised("/../..") == "/"

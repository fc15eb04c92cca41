"""Where things lie when nobody says otherwise."""

from __future__ import annotations

import socket

import pytest

from taskmaster_common.paths import MAX_SOCKET_PATH, config_candidates, default_places, shipped_paths, socket_candidates

HOME = {"HOME": "/home/ann"}
SYSTEM_SOCKET = "/run/taskmaster/taskmaster.sock"


def test_the_places_of_root_are_the_system_s() -> None:
    places = default_places(0, {"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0", "XDG_STATE_HOME": "/x"})
    assert places.socket == SYSTEM_SOCKET
    assert places.pidfile == "/run/taskmaster/taskmasterd.pid"
    assert places.log_dir == "/var/log/taskmaster"
    assert places.logfile == "/var/log/taskmaster/taskmasterd.log"
    assert places.state_dir == "/var/lib/taskmaster"


def test_the_places_of_a_user_are_xdg_s_and_the_pid_file_outlives_a_logout() -> None:
    places = default_places(1000, {**HOME, "XDG_RUNTIME_DIR": "/run/user/1000"})
    assert places.socket == "/run/user/1000/taskmaster/taskmaster.sock"
    assert places.state_dir == "/home/ann/.local/state/taskmaster"
    assert places.log_dir == "/home/ann/.local/state/taskmaster/log"
    assert places.logfile == "/home/ann/.local/state/taskmaster/taskmasterd.log"
    assert places.pidfile == "/home/ann/.local/state/taskmaster/taskmasterd.pid"
    assert default_places(1000, {**HOME, "XDG_STATE_HOME": "/s/"}).state_dir == "/s/taskmaster"


@pytest.mark.parametrize("runtime", ["", "relative/dir"])
def test_without_a_usable_runtime_directory_the_socket_is_in_tmp(runtime: str) -> None:
    assert default_places(1000, {**HOME, "XDG_RUNTIME_DIR": runtime}).socket == "/tmp/taskmaster-1000/taskmaster.sock"


@pytest.mark.parametrize("uid", [0, 1000])
def test_the_directories_of_systemd_override_the_defaults(uid: int) -> None:
    given = {"RUNTIME_DIRECTORY": "/r:/r2", "LOGS_DIRECTORY": "/l", "STATE_DIRECTORY": "/st"}
    places = default_places(uid, {**HOME, **given})
    assert (places.run_dir, places.log_dir, places.state_dir) == ("/r", "/l", "/st")
    assert places.socket == "/r/taskmaster.sock"
    assert places.logfile == "/l/taskmasterd.log"
    assert places.pidfile == ("/r" if uid == 0 else "/st") + "/taskmasterd.pid"


def test_no_home_still_gives_absolute_places() -> None:
    places = default_places(1000, {})
    assert all(getattr(places, field).startswith("/") for field in places.fields_)
    assert places.state_dir == "/.local/state/taskmaster"


def test_root_never_reads_a_configuration_from_the_current_directory() -> None:
    assert config_candidates(0, {"HOME": "/root"}) == ("/etc/taskmaster/taskmaster.yaml",)
    assert config_candidates(1000, HOME) == ("./taskmaster.yaml", "/home/ann/.config/taskmaster/taskmaster.yaml")
    assert config_candidates(1000, {**HOME, "XDG_CONFIG_HOME": "/c"})[1] == "/c/taskmaster/taskmaster.yaml"
    assert config_candidates(0, {"TASKMASTER_CONFIG": "x.yaml"}) == ("x.yaml",)


def test_a_client_tries_the_user_s_socket_and_then_the_system_s() -> None:
    assert socket_candidates(1000, {**HOME, "XDG_RUNTIME_DIR": "/run/user/1000"}) == (
        "/run/user/1000/taskmaster/taskmaster.sock",
        SYSTEM_SOCKET,
    )
    assert socket_candidates(0, {}) == (SYSTEM_SOCKET,)
    assert socket_candidates(1000, {**HOME, "TASKMASTER_SOCKET": "/s"}) == ("/s",)


def test_the_limit_of_a_socket_s_path_is_that_of_the_kernel(short_dir: object) -> None:
    def bind(length: int) -> None:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.bind(f"{short_dir}/".ljust(length, "s"))

    bind(MAX_SOCKET_PATH)
    with pytest.raises(OSError, match="too long"):
        bind(MAX_SOCKET_PATH + 1)


@pytest.mark.parametrize(
    ("code", "places"),
    [
        ("/opt/tm/lib/python3.11/site-packages/taskmasterd", ["/opt/tm/share/taskmaster/a"]),
        ("/home/ada/.local/lib/python3.11/site-packages/taskmasterd", ["/home/ada/.local/share/taskmaster/a"]),
        ("/usr/local/lib/python3.11/dist-packages/taskmasterctl", ["/usr/local/share/taskmaster/a"]),
        ("/usr/lib/python3/dist-packages/taskmasterd", ["/usr/share/taskmaster/a"]),
        ("/src/clone/taskmasterd", ["/src/clone/config/a", "/src/clone/share/taskmaster/a"]),
        ("/taskmasterd", ["/config/a", "/share/taskmaster/a"]),
    ],
)
def test_what_comes_with_the_packages_is_looked_for_below_their_own_prefix(code: str, places: list[str]) -> None:
    assert list(shipped_paths(code, "a", "taskmaster/a")) == places

"""Where things lie when nobody says otherwise: configuration, socket, pid file, logs, state.

Pure text: the caller passes uid and environment and looks whether the paths exist. For root the places are the system's
(FHS), for a user the XDG base directories; systemd's RUNTIME_DIRECTORY, LOGS_DIRECTORY and STATE_DIRECTORY override both.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SOCKET_PATH = 107
"""Bytes of a UNIX socket's path, without the NUL. Source: unix(7), sun_path has 108."""

SYSTEM_RUN_DIR = "/run/taskmaster"
SYSTEM_CONFIG = "/etc/taskmaster/taskmaster.yaml"
LOG_DIR_LOCK = ".taskmasterd.lock"
"""The file in the directory of default logs by which one daemon keeps the others out."""


def log_lock(logfile: str) -> str:
    """Return the file by which one daemon keeps the others from its event log."""
    directory, _, name = logfile.rpartition("/")
    return f"{directory}/.{name}.lock"


PACKAGES = ("site-packages", "dist-packages")
"""Names of the directories of installed packages, which are PREFIX/lib/pythonX.Y/NAME."""


def prefix_of(code: str) -> str:
    """Return below which prefix the package at `code` is installed, "" for code that runs from elsewhere, such as its source.

    It is not always `sys.prefix`: pip installs for one user, and beside the distribution's packages, below another one.
    """
    parts = code.rsplit("/", 4)
    return parts[0] if len(parts) == 5 and parts[3] in PACKAGES else ""


def shipped_paths(code: str, source: str, installed: str) -> tuple[str, ...]:
    """Return where a file may be that comes with the packages, the better place first.

    `code` is the directory of a package, `source` the path below `config` in its repository, `installed` that below PREFIX/share.
    What is not installed below a prefix is source, or what `pip install --target` has put into a directory.
    """
    prefix, directory = prefix_of(code), code.rpartition("/")[0]
    if prefix:
        return (f"{prefix}/share/{installed}",)
    return f"{directory}/config/{source}", f"{directory}/share/{installed}"


class Places(Record):
    """The default places of one user; all paths are absolute. `run_dir` holds socket and, for root, the pid file."""

    run_dir: str
    log_dir: str
    state_dir: str
    socket: str
    pidfile: str
    logfile: str


def default_places(uid: int, environment: Mapping[str, str]) -> Places:
    """Return the default places of the user `uid` with this environment."""
    home = environment.get("HOME", "") or "/"
    if uid == 0:
        run_dir, log_dir, state_dir = SYSTEM_RUN_DIR, "/var/log/taskmaster", "/var/lib/taskmaster"
        logfile = f"{_first(environment, 'LOGS_DIRECTORY') or log_dir}/taskmasterd.log"
    else:
        runtime = _absolute(environment, "XDG_RUNTIME_DIR")
        run_dir = f"{runtime}/taskmaster" if runtime else f"/tmp/taskmaster-{uid}"
        state_home = _absolute(environment, "XDG_STATE_HOME") or f"{home.rstrip('/')}/.local/state"
        state_dir = f"{state_home}/taskmaster"
        log_dir = f"{state_dir}/log"
        logfile = f"{_first(environment, 'LOGS_DIRECTORY') or state_dir}/taskmasterd.log"
    run_dir = _first(environment, "RUNTIME_DIRECTORY") or run_dir
    log_dir = _first(environment, "LOGS_DIRECTORY") or log_dir
    state_dir = _first(environment, "STATE_DIRECTORY") or state_dir
    pid_dir = run_dir if uid == 0 else state_dir  # a user's run-time directory goes at logout
    return Places(run_dir, log_dir, state_dir, f"{run_dir}/taskmaster.sock", f"{pid_dir}/taskmasterd.pid", logfile)


def config_candidates(uid: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where the configuration is looked for without -c, best first.

    Root never gets the current directory: a file planted there would run as root.
    """
    named = environment.get("TASKMASTER_CONFIG", "")
    if named:
        return (named,)
    if uid == 0:
        return (SYSTEM_CONFIG,)
    home = environment.get("HOME", "") or "/"
    config_home = _absolute(environment, "XDG_CONFIG_HOME") or f"{home.rstrip('/')}/.config"
    return ("./taskmaster.yaml", f"{config_home}/taskmaster/taskmaster.yaml")


def socket_candidates(uid: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the sockets that a client tries without -s and -c, best first, without repetition."""
    named = environment.get("TASKMASTER_SOCKET", "")
    if named:
        return (named,)
    return tuple(dict.fromkeys((default_places(uid, environment).socket, f"{SYSTEM_RUN_DIR}/taskmaster.sock")))


def _absolute(environment: Mapping[str, str], name: str) -> str:
    """Return the variable when it is an absolute path; the XDG specification ignores relative ones."""
    value = environment.get(name, "")
    return value.rstrip("/") if value.startswith("/") else ""


def _first(environment: Mapping[str, str], name: str) -> str:
    """Return the first of systemd's colon-separated directories. Source: systemd.exec(5), RuntimeDirectory=."""
    value = environment.get(name, "").split(":")[0]
    return value if value.startswith("/") else ""

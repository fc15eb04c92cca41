"""The configuration as immutable values: every key, its default and what a reload does when it changed.

Defaults and reload classes live here and nowhere else; `schema` decodes YAML into these records, `plan` reads the
classes. Values are final except for the instance number: the decoder leaves `INSTANCE` (a NUL, which no argument,
path or variable can hold) where `${TASKMASTER_INSTANCE}` stood, and `for_instance` puts the number in.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

INSTANCE = "\0"
"""Stands for the number of the instance inside decoded text."""

# Where a stream goes, besides an absolute path.
DEFAULT_LOG = "default"  # the program's file in log_dir
DISCARD = "null"
INHERIT = "inherit"  # the daemon's own stream
SAME_AS_STDOUT = "stdout"  # for stderr only

EVENT_LOG_MAXBYTES, EVENT_LOG_BACKUPS = 50_000_000, 10
"""The size at which the event log rotates, and how many rotated files are kept."""

LIVE = "live"  # applied to the running process
SCALE = "scale"  # only surplus or missing instances are touched
RESTART = "restart"  # the program is started anew

ALWAYS = "always"
NEVER = "never"
UNEXPECTED = "unexpected"

LEADER = "leader"
"""The third value of stopasgroup: the stop signal goes to the leader alone, and what it leaves is ended afterwards."""


def for_instance(text: str, index: int) -> str:
    """Return `text` with the number of the instance in place."""
    return text.replace(INSTANCE, str(index))


class ProgramConfig(Record):
    """One entry under `programs:`, all values decoded. Durations are seconds, sizes bytes, signals numbers.

    `cmd` is the list of words, or a single element with the text for /bin/sh when `shell` is true.
    `umask`, `user` and `group` are None where the daemon's own apply; `user` and `group` are kept as written (name or
    number as text). `stopasgroup` is true, false or LEADER. `env` maps names to text, or to None for a variable that is to be removed.
    `refusal` is not a key: why this program cannot be started at all (an unknown user at the daemon's start).
    """

    name: str
    cmd: tuple[str, ...]
    numprocs: int = 1
    umask: int | None = None
    workingdir: str = "/"
    autostart: bool = True
    autorestart: str = UNEXPECTED
    exitcodes: tuple[int, ...] = (0,)
    startretries: int = 3
    starttime: float = 1.0
    stopsignal: int = 15
    stoptime: float = 10.0
    stdout: str = DEFAULT_LOG
    stderr: str = DEFAULT_LOG
    env: Mapping[str, str | None] = {}
    user: str | None = None
    group: str | None = None
    shell: bool = False
    description: str = ""
    stopasgroup: bool | str = True
    restart_delay: float = 0.5
    restart_max_delay: float = 30.0
    restart_burst: int = 10
    restart_window: float = 60.0
    log_maxbytes: int = 50_000_000
    log_backups: int = 10
    refusal: str = ""


RELOAD_CLASS = {
    "cmd": RESTART,
    "numprocs": SCALE,
    "umask": RESTART,
    "workingdir": RESTART,
    "autostart": LIVE,
    "autorestart": LIVE,
    "exitcodes": LIVE,
    "startretries": LIVE,
    "starttime": LIVE,
    "stopsignal": LIVE,
    "stoptime": LIVE,
    "stdout": RESTART,
    "stderr": RESTART,
    "env": RESTART,
    "user": RESTART,
    "group": RESTART,
    "shell": RESTART,
    "description": LIVE,
    "stopasgroup": LIVE,
    "restart_delay": LIVE,
    "restart_max_delay": LIVE,
    "restart_burst": LIVE,
    "restart_window": LIVE,
    "log_maxbytes": LIVE,
    "log_backups": LIVE,
    "refusal": RESTART,
}
"""What a reload does when only that key changed. The name is a program's identity and has no class."""

PROGRAM_KEYS = tuple(name for name in ProgramConfig.fields_ if name not in ("name", "refusal"))
"""The keys that a file may use, in the order of the reference."""


class DaemonConfig(Record):
    """The `taskmasterd:` entry. Paths are absolute; None means the default place of the user who runs the daemon.

    `pidfile` None with a configured socket means the socket's path + ".pid".
    """

    socket: str | None = None
    socket_mode: int = 0o600
    socket_group: str | None = None
    pidfile: str | None = None
    logfile: str | None = None
    loglevel: str = "info"
    log_dir: str | None = None
    state_dir: str | None = None
    user: str | None = None
    umask: int = 0o022
    shutdown_timeout: float = 60.0


DAEMON_KEYS = DaemonConfig.fields_
DAEMON_LIVE_KEYS = frozenset({"loglevel", "shutdown_timeout"})
"""The other keys of `taskmasterd:` wait for the next start of the daemon."""

LOG_LEVELS = ("debug", "info", "warning", "error")


class Config(Record):
    """A whole configuration: the main file and what it includes.

    `programs` are in file order, includes after the main file. `files` are (path, mtime_ns, size) of every file that
    was read, the main file first: `restart` compares them with the disk.
    """

    path: str
    daemon: DaemonConfig
    programs: tuple[ProgramConfig, ...]
    files: tuple[tuple[str, int, int], ...] = ()

    def program(self, name: str) -> ProgramConfig | None:
        """Return the program of that name, or None."""
        return next((program for program in self.programs if program.name == name), None)

    def to_data(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return {
            "path": self.path,
            "daemon": self.daemon.to_data(),
            "programs": [program.to_data() for program in self.programs],
            "files": [list(entry) for entry in self.files],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Config:
        """Return the configuration that `to_data` was made from."""
        return cls(
            path=data["path"],
            daemon=DaemonConfig.from_data(data["daemon"]),
            programs=tuple(ProgramConfig.from_data(program) for program in data["programs"]),
            files=tuple((path, mtime, size) for path, mtime, size in data["files"]),
        )

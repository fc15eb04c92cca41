"""The records of a program and what the daemon knows of its keys.

Made by `python -m scripts.generate` from the table in `keys`; not edited by hand.
Durations are seconds, sizes bytes, signals numbers; None means the daemon's own value.
"""

from __future__ import annotations

from taskmaster_common.config.nested import Nested
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Policy(Record):
    """What decides over restarts and deadlines: all that `step` may know of a program."""

    depends_on: tuple[str, ...] = ()
    type: str = "service"
    start_timeout: float = 60.0
    autorestart: str = "unexpected"
    exitcodes: tuple[int, ...] = (0,)
    startretries: int = 3
    starttime: float = 1.0
    stoptime: float = 10.0
    pre_start: tuple[str, ...] = ()
    post_start: tuple[str, ...] = ()
    pre_restart: tuple[str, ...] = ()
    pre_stop: tuple[str, ...] = ()
    stop_cmd: tuple[str, ...] = ()
    post_stop: tuple[str, ...] = ()
    restart_delay: float = 0.5
    restart_max_delay: float = 30.0
    restart_burst: int = 10
    restart_window: float = 60.0


class Output(Record):
    """Where a program's output goes: paths or the words of `words`; sizes in bytes."""

    stdout: str = "default"
    stderr: str = "default"
    log_maxbytes: int = 50_000_000
    log_backups: int = 10
    log_format: str = "raw"
    log_prefix: str = "{time} "
    log_time: str = "local"
    log_levels: bool | None = None
    log_events: bool = False


class RunAs(Record):
    """User and group as written, name or number; None where the daemon's own apply."""

    user: str | None = None
    group: str | None = None


class MayUse(Record):
    """What a program may use of the system, and with which weight; None and () for what the daemon has."""

    rlimits: tuple[str, ...] = ()
    nice: int | None = None
    cpu_affinity: tuple[int, ...] = ()
    oom_score_adj: int | None = None
    limits: tuple[str, ...] = ()
    cgroup: bool | None = None


class ProgramConfig(Nested):
    """One entry under `programs:`, all values decoded.

    `cmd` is the list of words, or a single element with the text for /bin/sh when `shell` is true. `env` maps names to
    text, to None for a variable to remove, or to the map of a file. `stopasgroup` is true, false or LEADER, `essential` true, false or
    ON_FAILURE. `refusal` is not a key: it says why this program cannot be started at all (an unknown user at the daemon's
    start), "" for one that can. Nor is `socket_options`: it is the part of `sockets` that a reload applies at once.
    """

    name: str
    cmd: tuple[str, ...]
    numprocs: int = 1
    umask: int | None = None
    workingdir: str = "/"
    autostart: bool = True
    ready: Mapping[str, Any] = {}
    health: Mapping[str, Any] = {}
    stopsignal: int = 15
    tty: Mapping[str, Any] = {}
    stdin: str = "null"
    clear_env: bool | tuple[str, ...] = False
    env_file: tuple[str, ...] = ()
    env: Mapping[str, Any] = {}
    shell: bool = False
    description: str = ""
    stopasgroup: bool | str = True
    essential: bool | str = False
    update: Mapping[str, Any] = {}
    enabled: bool = True
    recycle: Mapping[str, Any] = {}
    watch: Mapping[str, Any] = {}
    sockets: tuple[str, ...] = ()
    schedule: Mapping[str, Any] = {}
    policy: Policy = Policy()
    output: Output = Output()
    run_as: RunAs = RunAs()
    may_use: MayUse = MayUse()
    refusal: str = ""
    socket_options: tuple[str, ...] = ()


KIND = {
    "cmd": "command",
    "numprocs": "whole",
    "umask": "octal",
    "workingdir": "path",
    "autostart": "boolean",
    "depends_on": "dependencies",
    "type": "choice",
    "ready": "ready",
    "start_timeout": "seconds",
    "health": "health",
    "autorestart": "autorestart",
    "exitcodes": "exit codes",
    "startretries": "whole",
    "starttime": "seconds",
    "stopsignal": "signal",
    "stoptime": "seconds",
    "stdout": "stream",
    "stderr": "stream",
    "tty": "tty",
    "stdin": "input",
    "clear_env": "cleared",
    "env_file": "variable files",
    "env": "environment",
    "user": "account",
    "group": "account",
    "shell": "boolean",
    "description": "text",
    "stopasgroup": "boolean or word",
    "pre_start": "hook",
    "post_start": "hook",
    "pre_restart": "hook",
    "pre_stop": "hook",
    "stop_cmd": "hook",
    "post_stop": "hook",
    "restart_delay": "seconds",
    "restart_max_delay": "seconds",
    "restart_burst": "whole",
    "restart_window": "seconds",
    "log_maxbytes": "size",
    "log_backups": "whole",
    "log_format": "choice",
    "log_prefix": "log prefix",
    "log_time": "choice",
    "log_levels": "boolean",
    "log_events": "boolean",
    "essential": "boolean or word",
    "update": "update",
    "rlimits": "rlimits",
    "nice": "whole",
    "cpu_affinity": "processors",
    "oom_score_adj": "whole",
    "limits": "limits",
    "cgroup": "boolean",
    "enabled": "boolean",
    "recycle": "recycle",
    "watch": "watch",
    "sockets": "sockets",
    "schedule": "schedule",
}
"""How a key's value is written, and so how it is shown."""

PROGRAM_KEYS = (*KIND, "extends")
"""The keys that a file may use, in the order of the reference."""

RELOAD_CLASS = {
    "cmd": "restart",
    "numprocs": "scale",
    "umask": "restart",
    "workingdir": "restart",
    "autostart": "live",
    "depends_on": "live",
    "type": "restart",
    "ready": "next",
    "start_timeout": "live",
    "health": "live",
    "autorestart": "live",
    "exitcodes": "live",
    "startretries": "live",
    "starttime": "live",
    "stopsignal": "live",
    "stoptime": "live",
    "stdout": "restart",
    "stderr": "restart",
    "tty": "restart",
    "stdin": "restart",
    "clear_env": "restart",
    "env_file": "restart",
    "env": "restart",
    "user": "restart",
    "group": "restart",
    "shell": "restart",
    "description": "live",
    "stopasgroup": "live",
    "pre_start": "live",
    "post_start": "live",
    "pre_restart": "live",
    "pre_stop": "live",
    "stop_cmd": "live",
    "post_stop": "live",
    "restart_delay": "live",
    "restart_max_delay": "live",
    "restart_burst": "live",
    "restart_window": "live",
    "log_maxbytes": "live",
    "log_backups": "live",
    "log_format": "restart",
    "log_prefix": "restart",
    "log_time": "restart",
    "log_levels": "restart",
    "log_events": "live",
    "essential": "live",
    "update": "live",
    "rlimits": "live*",
    "nice": "live*",
    "cpu_affinity": "live*",
    "oom_score_adj": "live*",
    "limits": "live*",
    "cgroup": "restart",
    "enabled": "live",
    "recycle": "live",
    "watch": "live",
    "sockets": "restart",
    "schedule": "live",
    "refusal": "restart",
    "socket_options": "live",
}
"""What a reload does when only that key changed."""

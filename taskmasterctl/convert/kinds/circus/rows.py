"""The options of circus, and the keys that they become. docs/coming-from/circus.md is checked against it."""

from __future__ import annotations

WATCHER: dict[str, str] = {
    "cmd": "cmd",
    "args": "cmd",
    "shell": "",
    "executable": "",
    "numprocesses": "numprocs",
    "singleton": "numprocs",
    "working_dir": "workingdir",
    "uid": "user",
    "gid": "group",
    "autostart": "autostart",
    "respawn": "autorestart",
    "max_retry": "startretries",
    "graceful_timeout": "stoptime",
    "stop_signal": "stopsignal",
    "stop_children": "stopasgroup",
    "copy_env": "clear_env",
    "copy_path": "",
    "virtualenv": "env",
    "virtualenv_py_ver": "",
    "priority": "",
    "warmup_delay": "",
    "max_age": "recycle",
    "max_age_variance": "recycle",
    "send_hup": "",
    "use_sockets": "sockets",
    "stdin_socket": "stdin",
    "on_demand": "",
    "check_flapping": "",
    "close_child_stdin": "",
    "close_child_stdout": "stdout",
    "close_child_stderr": "stderr",
}
"""Options of `[watcher:x]`; `hooks.*`, `rlimit_*`, `stdout_stream.*` and `stderr_stream.*` beside them."""

CIRCUS: dict[str, str] = {
    "include": "",
    "include_dir": "",
    "pidfile": "pidfile",
    "loglevel": "loglevel",
    "logoutput": "logfile",
    "umask": "umask",
    "check_delay": "",
    "endpoint": "",
    "pubsub_endpoint": "",
    "multicast_endpoint": "",
    "stats_endpoint": "",
    "endpoint_owner": "",
    "statsd": "",
    "httpd": "",
    "httpd_host": "",
    "httpd_port": "",
    "warmup_delay": "",
    "debug": "",
    "debug_gc": "",
    "loggerconfig": "",
    "fqdn_prefix": "",
}
"""Options of `[circus]`."""

NOT_HERE = {
    "warmup_delay": ("all programs start at once", "depends_on: with ready: says what comes first"),
    "send_hup": ("a reload restarts what has changed", "taskmasterctl signal HUP NAME"),
    "on_demand": ("nothing starts a program when a client connects", "autostart: true"),
    "executable": ("the command names what is executed", "write it in cmd"),
    "copy_path": ("PYTHONPATH is not that of the supervisor", "env: {PYTHONPATH: ...}"),
    "statsd": ("there is no daemon of figures", "taskmasterctl metrics, taskmasterctl top"),
    "httpd": ("there is no web page", "taskmasterctl top"),
    "httpd_host": ("there is no web page", "taskmasterctl top"),
    "httpd_port": ("there is no web page", "taskmasterctl top"),
    "endpoint_owner": ("the socket belongs to the daemon's user", "roles: say who else may do what"),
    "loggerconfig": ("the event log has one form", "loglevel: says how much"),
    "fqdn_prefix": ("a daemon is known by its socket", ""),
}
"""What is dropped where it is on: why, and what to do."""
WITHOUT_EFFECT = (
    "check_delay",
    "endpoint",
    "pubsub_endpoint",
    "multicast_endpoint",
    "stats_endpoint",
    "debug",
    "debug_gc",
    "check_flapping",
    "close_child_stdin",
    "virtualenv_py_ver",
)
"""What Taskmaster does by itself: its socket, its own watch over processes."""

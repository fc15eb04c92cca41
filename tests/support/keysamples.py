"""A value of each key of a program that is not its default."""

from __future__ import annotations

SAMPLES = {
    "cmd": "cmd: /bin/sleep 5",
    "shell": "{cmd: 'echo $A', shell: true}",
    "numprocs": "numprocs: 2",
    "umask": "umask: 077",
    "workingdir": "workingdir: /srv",
    "autostart": "autostart: false",
    "depends_on": "depends_on: [other]",
    "type": "type: oneshot",
    "ready": "ready: {tcp: '127.0.0.1:80'}",
    "start_timeout": "{type: oneshot, start_timeout: 7}",
    "health": "health: {exec: 'true'}",
    "autorestart": "autorestart: always",
    "exitcodes": "exitcodes: [0, 3]",
    "startretries": "startretries: 5",
    "starttime": "starttime: 5",
    "stopsignal": "stopsignal: INT",
    "stoptime": "stoptime: 3",
    "stdout": "stdout: /tmp/a.log",
    "stderr": "stderr: /tmp/a.log",
    "tty": "tty: true",
    "sockets": "sockets: {http: '127.0.0.1:8000'}",
    "stdin": "stdin: pipe",
    "env_file": "env_file: '?/etc/web.env'",
    "env": "env: {A: b}",
    "user": "user: '33'",
    "group": "group: '33'",
    "description": "description: what it is",
    "stopasgroup": "stopasgroup: false",
    **{
        key: f"{key}: /bin/hook"
        for key in ("pre_start", "post_start", "pre_restart", "pre_stop", "stop_cmd", "post_stop")
    },
    "restart_delay": "restart_delay: 2",
    "restart_max_delay": "restart_max_delay: 9",
    "restart_burst": "restart_burst: 3",
    "restart_window": "restart_window: 9",
    "log_maxbytes": "log_maxbytes: 1MB",
    "log_backups": "log_backups: 2",
    "log_format": "log_format: json",
    "log_prefix": "{log_format: prefix, log_prefix: '{name} '}",
    "log_time": "{log_format: json, log_time: utc}",
    "log_levels": "{log_format: json, log_levels: false}",
    "log_events": "{log_format: json, log_events: true}",
    "rlimits": "rlimits: {nofile: 512}",
    "nice": "nice: 5",
    "cpu_affinity": "cpu_affinity: '0'",
    "oom_score_adj": "oom_score_adj: 100",
    "limits": "limits: {memory: 50MB}",
    "recycle": "recycle: {age: 1h}",
    "enabled": "enabled: false",
    "schedule": "schedule: '@daily'",
    "watch": "watch: /srv",
    "essential": "essential: true",
    "update": "update: {max_unavailable: 1}",
}
"""A value of each key that is not its default, alone or with what it needs."""


def configuration(sample: str, name: str = "web") -> str:
    """Return a program with the keys of a sample, as a part of `programs:`."""
    parts = sample[1:-1].split(", ") if sample.startswith("{") else [sample]
    lines = {part.partition(":")[0]: part for part in ("cmd: /bin/true", *parts)}
    return f"  {name}:\n" + "".join(f"    {line}\n" for line in lines.values())

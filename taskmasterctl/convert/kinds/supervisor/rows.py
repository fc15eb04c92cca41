"""The table of supervisor's options: which key each becomes, and in words how. docs/coming-from/supervisor.md is checked against it.

An option of a program that is not here is unknown to supervisor, too.
"""

from __future__ import annotations

PROGRAM: dict[str, str] = {
    "command": "cmd",
    "process_name": "",
    "numprocs": "numprocs",
    "numprocs_start": "",
    "priority": "depends_on",
    "autostart": "autostart",
    "autorestart": "autorestart",
    "startsecs": "starttime",
    "startretries": "startretries",
    "exitcodes": "exitcodes",
    "stopsignal": "stopsignal",
    "stopwaitsecs": "stoptime",
    "stopasgroup": "stopasgroup",
    "killasgroup": "stopasgroup",
    "user": "user",
    "redirect_stderr": "stderr",
    "stdout_logfile": "stdout",
    "stdout_logfile_maxbytes": "log_maxbytes",
    "stdout_logfile_backups": "log_backups",
    "stdout_capture_maxbytes": "",
    "stdout_events_enabled": "",
    "stdout_syslog": "stdout",
    "stderr_logfile": "stderr",
    "stderr_logfile_maxbytes": "log_maxbytes",
    "stderr_logfile_backups": "log_backups",
    "stderr_capture_maxbytes": "",
    "stderr_events_enabled": "",
    "stderr_syslog": "stderr",
    "environment": "env",
    "directory": "workingdir",
    "umask": "umask",
    "serverurl": "",
}
"""Options of `[program:x]` and the keys that they set; "" for none."""

SUPERVISORD: dict[str, str] = {
    "logfile": "logfile",
    "logfile_maxbytes": "",
    "logfile_backups": "",
    "loglevel": "loglevel",
    "pidfile": "pidfile",
    "umask": "umask",
    "nodaemon": "",
    "silent": "",
    "minfds": "",
    "minprocs": "",
    "nocleanup": "",
    "childlogdir": "log_dir",
    "user": "user",
    "directory": "workingdir",
    "strip_ansi": "",
    "environment": "env",
    "identifier": "",
}
"""Options of `[supervisord]`; `directory` and `environment` become keys of `defaults:`."""

UNIX_SERVER: dict[str, str] = {
    "file": "socket",
    "chmod": "socket_mode",
    "chown": "socket_group",
    "username": "",
    "password": "",
}

MEANT: dict[str, str] = {
    "depend": "depends_on: [{value}] is what it seems to mean",
    "depends_on": "depends_on: [{value}] is what it seems to mean",
    "depends": "depends_on: [{value}] is what it seems to mean",
    "healthcheck": "health is what it seems to mean",
    "health_check": "health is what it seems to mean",
    "pidfile": "a program that stays in the foreground needs none",
    "group": "group is a key of Taskmaster: write it there if it is meant",
    "cron": "schedule is what it seems to mean",
}
"""Options that other supervisors know, with the key that is meant."""

"""The fields of process-compose, and the keys that they become. docs/coming-from/process-compose.md is checked against it."""

from __future__ import annotations

PROCESS: dict[str, str] = {
    "command": "cmd",
    "entrypoint": "cmd",
    "description": "description",
    "environment": "env",
    "working_dir": "workingdir",
    "replicas": "numprocs",
    "disabled": "autostart",
    "namespace": "groups",
    "availability": "autorestart",
    "depends_on": "depends_on",
    "readiness_probe": "ready",
    "ready_log_line": "ready",
    "liveness_probe": "health",
    "shutdown": "stopsignal",
    "log_location": "stdout",
    "log_configuration": "",
    "is_daemon": "",
    "is_tty": "",
    "is_interactive": "",
    "is_foreground": "",
    "is_elevated": "",
    "schedule": "schedule",
    "vars": "",
    "launch_timeout_seconds": "",
    "disable_ansi_colors": "",
    "env_cmds": "",
}
"""Fields of a process."""

PARTS: dict[str, dict[str, str]] = {
    "availability": {
        "restart": "autorestart",
        "backoff_seconds": "restart_delay",
        "max_restarts": "startretries",
        "exit_on_end": "essential",
        "exit_on_skipped": "",
    },
    "shutdown": {
        "signal": "stopsignal",
        "timeout_seconds": "stoptime",
        "command": "stop_cmd",
        "parent_only": "stopasgroup",
    },
    "readiness_probe": {
        "exec": "ready",
        "http_get": "ready",
        "period_seconds": "ready",
        "timeout_seconds": "ready",
        "initial_delay_seconds": "",
        "failure_threshold": "start_timeout",
        "success_threshold": "",
    },
    "schedule": {
        "cron": "schedule",
        "interval": "schedule",
        "timezone": "schedule",
        "run_on_start": "schedule",
        "max_concurrent": "",
    },
    "liveness_probe": {
        "exec": "health",
        "http_get": "health",
        "period_seconds": "health",
        "timeout_seconds": "health",
        "initial_delay_seconds": "health",
        "failure_threshold": "health",
        "success_threshold": "health",
    },
}
"""Fields within fields."""

CONDITIONS = {
    "process_started": "started",
    "process_healthy": "ready",
    "process_log_ready": "ready",
    "process_completed": "ended",
    "process_completed_successfully": "done",
}
NOT_HERE = {
    "log_configuration": ("logs have one form", "log_format, log_maxbytes and log_backups"),
    "is_tty": ("it has no terminal", "tty: true gives it one"),
    "is_interactive": ("it has no terminal", "tty: true, and taskmasterctl attach"),
    "is_foreground": ("it runs beside the others", "tty: true, and taskmasterctl attach"),
    "is_elevated": ("nothing asks for a password", "run taskmasterd as root, and give the others a user:"),
    "launch_timeout_seconds": (
        "what goes to the background by itself cannot be supervised",
        "keep it in the foreground",
    ),
    "env_cmds": ("no command is run for a variable", "let a script set it and exec the program"),
    "log_level": ("it is the level of process-compose's own log", "taskmasterd: {loglevel: ...}"),
    "log_location": ("each program has a log of its own", "stdout: names its file"),
    "shell": ("/bin/sh runs commands", "cmd: bash -c '...'"),
}
"""What is dropped: why, and what to do."""
WITHOUT_EFFECT = (
    "version",
    "log_length",
    "name",
    "is_strict",
    "disable_ansi_colors",
    "is_dotenv_disabled",
    "ordered_shutdown",
)

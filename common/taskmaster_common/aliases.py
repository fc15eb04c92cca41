"""Words that users of other supervisors type: other names of our verbs, and what to do instead of verbs that we lack."""

from __future__ import annotations

ALIASES = {
    "tail": ("logs",),
    "maintail": ("logs", "--daemon"),
    "update": ("reload",),
    "reread": ("reload", "--dry-run"),
    "history": ("events",),
    "fg": ("attach",),
}
"""Other words for a verb with its flags; most are those of supervisor's users."""

INSTEAD = {
    "add": "programs are added by the configuration: edit it, then `reload`",
    "remove": "programs are removed by the configuration: edit it, then `reload`",
    "avail": "use `status`, or `reload --dry-run` for what is on disk",
    "clear": "log files rotate by log_maxbytes; use `logs --reopen` after moving one away",
    "open": "use taskmasterctl -s SOCKET to control another daemon",
    "exit": "it only leaves the shell; use `shutdown` to end the daemon",
    "quit": "it only leaves the shell; use `shutdown` to end the daemon",
    "kill": "use `stop NAME`, or `signal KILL NAME`",
    "list": "use `status`",
    "daemon-reload": "use `reload`",
    "is-active": "use `status -q NAME`: exit code 0 means RUNNING",
    "is-failed": "use `status --failed NAME`",
    "list-units": "use `status`",
    "list-dependencies": "use `deps NAME`",
    "ls": "use `status`",
    "ps": "use `status`",
    "try-restart": "use `restart --if-running NAME`",
    "cat": "use `show NAME`",
    "describe": "use `show NAME`",
    "info": "use `show NAME`, or `version` for the daemon",
    "journalctl": "use `logs NAME`",
    "mask": "set `autostart: false` in the configuration, then `reload`",
    "edit": "edit the configuration file (`version` names it), then `reload`",
    "delete": "programs are removed by the configuration: edit it, then `reload`",
}
"""What to do instead of a verb that users of other supervisors try."""

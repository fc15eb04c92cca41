"""The keys of `taskmasterd:`, a part of the table in `keys`."""

from __future__ import annotations

from taskmaster_common.config.key import FILES, Key
from taskmaster_common.config.words import (
    ALL_DONE,
    JOURNAL,
    LIVE,
    LOG_LEVELS,
    NEVER,
    NEXT_START,
    SYSLOG,
)

DAEMON = (
    Key(
        "socket", "socket", None, NEXT_START,
        "Path of the control socket, at most 107 bytes.",
        otherwise=FILES, example="${XDG_RUNTIME_DIR:-/tmp}/taskmaster-reference.sock",
    ),
    Key(
        "socket_mode", "octal", None, NEXT_START, "Mode of the control socket, octal.",
        otherwise="`0600`; with `roles` `0666`, since these say who may do what", example="0600",
    ),
    Key(
        "socket_group", "account", None, NEXT_START,
        "Group whose members may operate the daemon; needs `socket_mode: 0660`.",
        otherwise="not set", example="operators",
    ),
    Key(
        "roles", "roles", {}, LIVE,
        "Who else may use the daemon, and for what: a map of names to maps with `users` and `groups` of the system, a `level` "
        "(`look`, `read` logs, `operate`, `type` into programs, `admin`; each holds those before it) and `programs` (names, "
        "patterns, groups; without it all). Root, the daemon's user and `socket_group` may do everything all the same.",
        otherwise="nobody else", example="{}",
    ),
    Key(
        "pidfile", "path", None, NEXT_START,
        "Path of the pid file. As process 1 the daemon writes one only if this is set.",
        otherwise=f"beside a configured socket, with `.pid`; else {FILES}", example="/tmp/taskmaster-reference.pid",
    ),
    Key(
        "logfile", "event log", None, NEXT_START,
        "Path of the event log. Two daemons cannot share it. Or `syslog` or `journal`, or a map with one of them, as for `stdout`.",
        words=(SYSLOG, JOURNAL), otherwise=FILES, example="/tmp/taskmaster-reference.log",
    ),
    Key(
        "loglevel", "choice", "info", LIVE,
        "Least important lines that the event log shows: `debug`, `info`, `warning` or `error`.",
        words=LOG_LEVELS,
    ),
    Key(
        "log_dir", "path", None, NEXT_START,
        "Directory of the programs' default logs: NAME.log, NAME-1.log and so on. Two daemons cannot share it.",
        otherwise=FILES, example="/tmp/taskmaster-reference",
    ),
    Key(
        "state_dir", "path", None, NEXT_START,
        "Directory of the state file, from which a daemon takes over the programs of one that was killed. A configured "
        "directory must exist; without a default one there is a warning and no take-over.",
        otherwise=FILES, example="/tmp/taskmaster-reference",
    ),
    Key(
        "cgroup_root", "control group", None, NEXT_START,
        "Control group, of version 2, below which the daemon makes those of programs.",
        otherwise="delegated by systemd, or made by root", example="/sys/fs/cgroup/taskmaster",
    ),
    Key(
        "history", "history", {"size": 16_000_000, "age": 7_776_000.0}, LIVE,
        "How much the history keeps, a line of JSON for each event, in `state_dir`: a map of `size` (16MB), of all its files together, "
        "and `age` (90d), after which events may go; 0 for no history.",
        otherwise="`{size: 16MB, age: 90d}`", example="{size: 16MB, age: 90d}",
    ),
    Key(
        "user", "account", None, NEXT_START,
        "User that the daemon becomes once socket, log and pid file are open.",
        otherwise="not set", example="www-data",
    ),
    Key(
        "umask", "octal", 0o022, NEXT_START,
        "File mode creation mask of the daemon and, by default, of the programs, octal. The caller's has no effect.",
    ),
    Key(
        "shutdown_timeout", "seconds", 60.0, LIVE,
        "Seconds that an orderly stop may take; what still runs then is killed.",
    ),
    Key(
        "exit_when", "choice", NEVER, LIVE,
        "When the daemon ends by itself: `never`, or `all-done`, which means when no program runs or is on its way up. It "
        "exits with 0 if every end was expected, otherwise with the code of the program that was the first to fail. Programs "
        "that were never started do not count; one that you stopped keeps the daemon alive.",
        words=(NEVER, ALL_DONE),
    ),
)  # fmt: skip
"""The keys of `taskmasterd:`, in the order of every list and document."""

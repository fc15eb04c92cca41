"""Which key a key of somebody's own invention probably means, by the parts of its name: `kill_time` is `stoptime`.

This is a guess, for a question in a message; what other tools call their keys is known, and stands in `foreign`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_START = ("start", "launch", "boot", "success", "running", "healthy", "stable", "alive")
_STOP = ("stop", "kill", "term", "shutdown", "grace", "quit")
_TIME = ("time", "sec", "delay", "wait", "duration", "after", "period", "timeout", "interval", "pause")
_MANY = ("num", "nb", "max", "count", "limit", "amount", "times")

_PARTS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("log_backups", (("backup",),)),
    ("log_maxbytes", (("log", "file"), ("size", "bytes"))),
    ("stderr", (("stderr", "errlog", "errorlog", "logerr", "erroroutput"),)),
    ("stdout", (("stdout", "output", "outlog", "logout"),)),
    ("env", (("environ", "variable", "vars"),)),
    ("umask", (("mask",),)),
    ("stopsignal", (("signal",),)),
    ("stopsignal", (_STOP, ("sig",))),
    ("exitcodes", (("exit", "return", "expected", "success"), ("code", "status"))),
    ("exitcodes", (("codes",),)),
    ("stopasgroup", (_STOP, ("group", "child"))),
    ("startretries", (("retr", "attempt", "tries"),)),
    ("startretries", (_MANY, ("restart", "respawn", "start"))),
    ("restart_delay", (("restart", "respawn", "backoff", "retry"), _TIME)),
    ("autorestart", (("restart", "respawn", "relaunch", "keepalive"),)),
    ("stoptime", (_STOP, _TIME)),
    ("stoptime", (("grace",),)),
    ("starttime", (_START, _TIME)),
    ("cmd", (("command", "cmd", "exec", "binary", "prog"),)),
    ("autostart", (("launch", "boot", "start"),)),
    ("workingdir", (("dir", "folder", "cwd"),)),
    ("numprocs", (("process", "procs", "instance", "copies", "count", "worker", "number", "replica"),)),
    ("stdout", (("log",),)),
    ("user", (("user", "owner", "account"),)),
    ("description", (("descr", "comment", "title"),)),
)
"""Keys, and what a name must contain: one text of each group. The first that fits counts."""


def invented(squashed: str, taken: Container[str]) -> str:
    """Return the key that a name without its case, `-` and `_` probably means, or ""; those `taken` are written already."""
    found = next(
        (key for key, groups in _PARTS if all(any(part in squashed for part in group) for group in groups)), ""
    )
    return "" if found in taken else found

"""Guesses what an unknown key was meant to be: another spelling, another tool's word, or an invented name.

An invented name is guessed by its parts: `kill_time` is probably `stoptime`.
"""

from __future__ import annotations

from taskmaster_common.schema.advice.foreign import instead, squash
from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

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
"""Keys with groups of texts: a name that contains one text of each group means the key. The first match counts."""


def called(name: str, known: Iterable[str], table: Mapping[str, str]) -> str:
    """Return our key for another tool's key or another spelling, or ""."""
    squashed = squash(name)
    found = table.get(squashed, "")
    return next((key for key in known if squash(key) == squashed), found[1:] if found.startswith("=") else "")


def unknown_key(name: str, known: Iterable[str], table: Mapping[str, str]) -> str:
    """Return what an unknown key was probably meant to be, or ""."""
    known = tuple(known)
    same = next((key for key in known if squash(key) == squash(name)), "")
    if not same and (sentence := instead(name, table)):
        return sentence
    near = same or nearest(name, known)
    return f"did you mean {near}?" if near else ""


def invented(squashed: str, taken: Container[str]) -> str:
    """Return the key that a squashed name probably means, or "" if none, or if it is among the written keys `taken`."""
    found = next(
        (key for key, groups in _PARTS if all(any(part in squashed for part in group) for group in groups)), ""
    )
    return "" if found in taken else found


def misspelt(name: str, table: Mapping[str, str]) -> str:
    """Return our key for a misspelt word of another tool, or ""."""
    return table.get(nearest(squash(name), [word for word, found in table.items() if found[0] == "="]), "")[1:]

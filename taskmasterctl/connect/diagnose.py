"""Why the daemon cannot be reached: what was tried, why it failed, what to do.

Looks at files and at this user's groups, and changes nothing. It is imported only when something is wrong.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat

from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmaster_common.protocol import FROZEN_AFTER_S
from taskmaster_common.records import Record
from taskmasterctl.connect.trust import stranger_who_made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN_GROUPS = 8
"""Most groups of the user that a message lists."""


class Diagnosis(Record):
    """`message` says what and why, `hints` how to go on, one line each. `denied`: this user may not use the socket."""

    message: str
    hints: tuple[str, ...]
    denied: bool = False


def unreachable(
    attempts: Sequence[tuple[str, int]], origin: str, config: str = "", strangers: Mapping[str, int] | None = None
) -> Diagnosis:
    """Return why no attempt (path, errno) succeeded; the most telling one is explained.

    `origin` says where the paths come from, "" for the usual places. `config` is the configuration of -c, quoted for a shell,
    "" without it. `strangers` are the uids of the daemons that were refused, by path; None if the user named the socket.
    """
    found = [(_kind(path, number, strangers), path, number) for path, number in attempts]
    kind, path, number = min(found, key=lambda each: _TELLING.index(each[0]))
    others = [other for other, _number in attempts if other != path]
    tried = f" (also tried {', '.join(others)})" if others else ""
    if kind == "stranger" and strangers:
        reason, hints = _stranger(path, strangers[path], tried)
    else:
        reason, hints = _EXPLAIN[kind](path, number, tried)
    if kind not in ("denied", "stranger"):
        start = f"taskmasterd -c {config or 'FILE'}"
        hints = (*hints, f"Start it:  {start}       Other socket:  taskmasterctl -c FILE status, or -s PATH")
    elif tried:
        hints = (*hints, f"Nobody answers at the other places{tried}.")
    source = (f"The path comes from {origin}.",) if origin else ()
    return Diagnosis(f"cannot reach taskmasterd at {path}: {reason}", (*source, *hints), kind == "denied")


def frozen(path: str, pid: int) -> Diagnosis:
    """Return why a daemon may accept connections but not answer; `pid` is 0 if unknown."""
    message = f"taskmasterd at {path} accepted the connection but did not answer within {FROZEN_AFTER_S:g}s"
    if not pid:
        return Diagnosis(message, ("It is stopped by a signal, or too busy to answer.",))
    if _process_state(pid) == "T":
        return Diagnosis(message, (f"Its process is stopped by a signal. Let it go on:  kill -CONT {pid}",))
    return Diagnosis(message, (f"It is too busy, or hangs. Look at it:  ps -o pid,stat,wchan:30,args -p {pid}",))


def _process_state(pid: int) -> str:
    """Return the state letter of a process, "" if unknown. Source: proc_pid_stat(5), after the last `)`."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read(4096).rpartition(")")[2].strip()[:1]
    except OSError:
        return ""


def _kind(path: str, number: int, strangers: Mapping[str, int] | None) -> str:
    """Return the key of _EXPLAIN that fits."""
    if strangers is not None and path in strangers:
        return "stranger"
    if strangers is not None and _occupant(path) is not None:
        return "occupied"
    if number == errno.ENAMETOOLONG or len(os.fsencode(path)) > MAX_SOCKET_PATH:
        return "too-long"
    status = _stat(path)
    if status is not None and not stat.S_ISSOCK(status.st_mode):
        return "no-socket"
    if number in (errno.EACCES, errno.EPERM):
        return "denied"
    if status is None:
        return "missing" if number in (errno.ENOENT, errno.ENOTDIR) else "other"
    return "stale" if number == errno.ECONNREFUSED else "other"


def _occupant(path: str) -> int | None:
    """Return the stranger who made the socket's directory below a directory for everybody, such as /tmp; else None."""
    directory = os.path.dirname(path)
    above = _stat(os.path.dirname(directory))
    if above is None or not above.st_mode & stat.S_IWOTH:
        return None
    return stranger_who_made(directory)


def _stranger(path: str, uid: int, tried: str) -> tuple[str, tuple[str, ...]]:
    reason = f"the daemon there runs as {_named_user(uid)}, neither as root nor as you; nothing was sent to it"
    made = _occupant(path)
    return reason, (
        *(_remove(path, made) if made is not None else ()),
        f"If you mean that daemon, name its socket:  taskmasterctl -s {path}",
        *((f"Nobody else answers{tried}.",) if tried else ()),
    )


def _occupied(path: str, _number: int, tried: str) -> tuple[str, tuple[str, ...]]:
    uid = _occupant(path)
    reason = f"the directory {os.path.dirname(path)} belongs to {_named_user(uid or 0)}, not to you"
    return reason, (
        *_remove(path, uid or 0),
        f"Nobody else answers{tried}." if tried else "No daemon of yours can use it.",
    )


def _remove(path: str, uid: int) -> tuple[str, ...]:
    directory = os.path.dirname(path)
    return (
        f"{_named_user(uid)} made {directory}, which is the place of your daemon. Ask root to remove it:  rm -r {directory}",
        "Or use another place: set XDG_RUNTIME_DIR, or `socket:` in the configuration.",
    )


def _named_user(uid: int) -> str:
    name = _user_name(uid)
    return f"uid {uid}" if name == str(uid) else f"{name} (uid {uid})"


def _missing(_path: str, number: int, tried: str) -> tuple[str, tuple[str, ...]]:
    reason = "no such file" if number == errno.ENOENT else "a part of the path is not a directory"
    return reason, (f"The daemon is not running or uses another socket{tried}.",)


def _stale(_path: str, _number: int, tried: str) -> tuple[str, tuple[str, ...]]:
    gone = f"The daemon that made this socket is gone{tried}."
    return "nobody listens", (gone, "A new one with its configuration takes over what still runs.")


def _no_socket(path: str, _number: int, tried: str) -> tuple[str, tuple[str, ...]]:
    kind = next((word for test, word in _FILE_KINDS if test(os.stat(path).st_mode)), "something else")
    return f"it is {kind}, not a socket", (f"The daemon uses another path{tried}.",)


def _too_long(path: str, _number: int, _tried: str) -> tuple[str, tuple[str, ...]]:
    length = len(os.fsencode(path))
    return f"the path has {length} bytes; a socket's path has at most {MAX_SOCKET_PATH}", ()


def _other(_path: str, number: int, tried: str) -> tuple[str, tuple[str, ...]]:
    return os.strerror(number).lower(), (f"The daemon is not running or uses another socket{tried}.",)


def _denied(path: str, _number: int, _tried: str) -> tuple[str, tuple[str, ...]]:
    user = _user_name(os.geteuid())
    mine = sorted({os.getegid(), *os.getgroups()})
    named = ", ".join(_group_name(gid) for gid in mine[:SHOWN_GROUPS]) + (", ..." if len(mine) > SHOWN_GROUPS else "")
    you = f"You are {user} (uid {os.geteuid()}), in the groups {named}."
    where, status = _obstacle(path)
    if status is None:
        return "permission denied", (you, "Ask the administrator which group may use it, or run it as root.")
    what = "The socket" if where == path else f"The directory {where}"
    group = _group_name(status.st_gid)
    bits = f"{what} is {_user_name(status.st_uid)}:{group} {stat.filemode(status.st_mode)}."
    needed = stat.S_IWGRP if where == path else stat.S_IXGRP
    if status.st_mode & needed and status.st_gid not in mine and status.st_gid != 0:
        return "permission denied", (bits, you, f"Join the group, then log in again:  sudo usermod -aG {group} {user}")
    owner = f" and {_user_name(status.st_uid)}" if status.st_uid else ""
    how = f"Only root{owner} may use it."
    if where == path:
        how += " To let a group: socket_mode: 0660 and socket_group: NAME in the configuration; to let others do less: roles."
    return "permission denied", (bits, you, how)


def _obstacle(path: str) -> tuple[str, os.stat_result | None]:
    """Return what denies the access: the first directory that may not be entered, else the socket itself."""
    full = os.path.abspath(path)
    here = os.path.dirname(full)
    ways = [here]
    while here != os.path.dirname(here):
        here = os.path.dirname(here)
        ways.append(here)
    for directory in reversed(ways):
        if not os.access(directory, os.X_OK):
            return directory, _stat(directory)
    return path, _stat(path)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


_FILE_KINDS = (
    (stat.S_ISREG, "a regular file"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
)

_EXPLAIN = {
    "occupied": _occupied,
    "denied": _denied,
    "other": _other,
    "stale": _stale,
    "no-socket": _no_socket,
    "too-long": _too_long,
    "missing": _missing,
}
_TELLING = ("stranger", *_EXPLAIN)
"""The kinds, most telling first: a socket that may not be used says more than one that is missing."""

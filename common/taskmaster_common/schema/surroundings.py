"""What the decoder knows of the host. Its caller gathers it: the decoder itself touches nothing.

Every callable may be slow; the decoder asks each distinct question once.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import Config, MayUse
    from taskmaster_common.paths import Places

MAX_FILE = 16 * 1024 * 1024
"""Largest configuration file, bytes."""


class User(Record):
    """An account: `groups` are all its group ids, `gid` included."""

    uid: int
    gid: int
    name: str
    home: str = "/"
    shell: str = "/bin/sh"
    groups: tuple[int, ...] = ()


class Step(Record):
    """A directory or a symbolic link on the way to a file, as the walk found it: permission bits, owner, group."""

    path: str
    mode: int
    uid: int
    gid: int
    link: bool = False


class File(Record):
    """The content of a file and its status: permission bits, owner, group, nanoseconds, bytes.

    `way` are the steps from the root directory to it; only root records them.
    """

    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    way: tuple[Step, ...] = ()


class Surroundings(Record):
    """The host as the decoder sees it.

    `signals` are numbers by name without SIG. `cwd` makes a relative path of the main file absolute. `lenient_users`
    is true when the daemon starts: an unknown user then disables only its program. `pid1` without log_dir sends omitted
    streams to the daemon's own. `sh_is_bash`: /bin/sh accepts bash's syntax. `sees_memory`: /proc says how much memory a process takes. `trusted` are the uids whose files root
    obeys: its own, and in a user namespace the one that stands for all uids outside.

    `read(path)` returns at most MAX_FILE bytes of a regular file and raises OSError; so does `read_variables(path)` for what the
    start of a program reads, by the start's own rules, but it waits for no FIFO (EINVAL). `expand(pattern)` returns sorted
    paths; `listed(pattern)` the way to each directory in which the pattern is matched. `user(name or uid)` and
    `group(name or gid)` return None for an unknown one; `members(name or gid)` the uids of a group's members where the kernel
    does not say in which groups a client is, else (). `may_enter(directory, user)` and `find_command(word, PATH,
    workingdir, user)` answer for that user, None being the daemon itself; the latter returns why the command cannot be
    executed, or "". `identity(path)` returns a text that is equal for equal files, existing or not, and "" for anything
    but a regular file. `shareable(path)` says whether the path is a device or FIFO that only root and the daemon's user
    can replace. `decided_by_others(path)` says whether another user owns what is there, or can replace it. `on_disk(path)` says whether what is there outlives a boot, as far as that can be seen. `probe_problem(value, count)` says why an address in a value of `ready` or `health` is
    none for one of so many instances, or "".
    `watched_directories(workingdir, value)` counts, up to some bound, the directories that a value of `watch` means.
    `destination_doubts(destination, user)` yields what is wrong with the files that the destination of alerts or lines names, and with its mail
    server or log daemon, for that user, None being the daemon itself: (text, whether it is an error). So does `writable_command(word, PATH,
    workingdir)` with the file of a command that root runs. `limit_refusals(may_use, uid, cgroup_root)` yields (key, reason) for each value of
    what a program may use that a daemon of that user cannot give it here. `cgroup_problem(path, uid)` says why
    control groups cannot be made below a path, or "". `own_score()` returns the
    daemon's own oom_score_adj.
    `zone_problem(name)` says why a name is no time zone here, or "". `upcoming(value, most)` returns the next times
    of a value of `schedule`, at most so many, each with its text.
    """

    environment: Mapping[str, str]
    signals: Mapping[str, int]
    uid: int
    gid: int
    cwd: str
    places: Places
    read: Callable[[str], File]
    read_variables: Callable[[str], File]
    expand: Callable[[str], Sequence[str]]
    listed: Callable[[str], Sequence[tuple[Step, ...]]]
    user: Callable[[str], User | None]
    group: Callable[[str], int | None]
    members: Callable[[str], Sequence[int]]
    may_enter: Callable[[str, User | None], bool]
    find_command: Callable[[str, str, str, User | None], str]
    identity: Callable[[str], str]
    shareable: Callable[[str], bool]
    decided_by_others: Callable[[str], bool]
    on_disk: Callable[[str], bool]
    probe_problem: Callable[[Mapping[str, Any], int], str]
    destination_doubts: Callable[[Mapping[str, Any], User | None], Sequence[tuple[str, bool]]]
    watched_directories: Callable[[str, Mapping[str, Any]], int]
    writable_command: Callable[[str, str, str], Sequence[tuple[str, bool]]]
    limit_refusals: Callable[[MayUse, int, str | None], Sequence[tuple[str, str]]]
    cgroup_problem: Callable[[str, int], str]
    own_score: Callable[[], int]
    zone_problem: Callable[[str], str]
    upcoming: Callable[[Mapping[str, Any], int], Sequence[tuple[int, str]]]
    daemonized: bool = False
    pid1: bool = False
    lenient_users: bool = False
    sh_is_bash: bool = False
    sees_memory: bool = True
    trusted: tuple[int, ...] = (0,)


class Loaded(Record):
    """A usable configuration, its warnings as finished lines, and their public form without secrets."""

    config: Config
    warnings: tuple[str, ...] = ()
    public_warnings: tuple[str, ...] = ()


def absolute(directory: str, path: str) -> str:
    """Return `path` as seen from the absolute `directory`, without empty and `.` parts; `..` stays."""
    whole = path if path.startswith("/") else f"{directory}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in ("", "."))

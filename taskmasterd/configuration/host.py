"""Answers the decoder's questions about the host: files, accounts, permissions. Used by the child that reads the configuration.

Answers that cost a system call are cached for the child's life. Permissions of another user are derived from mode bits and
groups; access control lists are ignored, since only warnings depend on it.
"""

from __future__ import annotations

import errno
import glob
import os
import stat

from taskmaster_common.errors import system_reason
from taskmaster_common.paths import default_places
from taskmaster_common.schema import MAX_FILE, File, Step, Surroundings, User
from taskmasterd.fallbacks import limit
from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.system.paths.bound import trusted
from taskmasterd.system.paths.executable import flaw
from taskmasterd.system.paths.trail import open_recording
from taskmasterd.system.users import account, group_id, member_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskmasterd.configuration import alerting, calendar, watched
    from taskmasterd.probing import ways
    from taskmasterd.processes.limits import limits
    from taskmasterd.system import peers
    from taskmasterd.system.limits import own
    from taskmasterd.system.paths.trail import Passed
    from taskmasterd.system.spawner import variables
else:
    alerting = on_demand("taskmasterd.configuration.alerting")
    watched = on_demand("taskmasterd.configuration.watched")
    calendar = on_demand("taskmasterd.configuration.calendar")
    peers = on_demand("taskmasterd.system.peers")
    limits = on_demand("taskmasterd.processes.limits.limits")
    own = on_demand("taskmasterd.system.limits.own")
    variables = on_demand("taskmasterd.system.spawner.variables")
    ways = on_demand("taskmasterd.probing.ways")

MAX_ID = 2**32 - 2
"""The largest uid and gid; the next one means \"no change\" to chown(2)."""

_SHORTAGE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class HostShortage(Exception):
    """The host lacks a resource to read a file with; says nothing about the configuration."""


def surroundings(environment: Mapping[str, str], *, daemonized: bool, pid1: bool, lenient_users: bool) -> Surroundings:
    """Return this host in the form that the decoder takes."""
    uid = os.geteuid()
    host = _Cache()
    return Surroundings(
        environment=environment,
        signals=signal_numbers(),
        uid=uid,
        gid=os.getegid(),
        cwd=_current_directory(),
        places=default_places(uid, environment),
        read=read,
        read_variables=read_variables,
        expand=expand,
        listed=listed,
        user=host.user,
        group=host.group,
        members=members,
        may_enter=host.may_enter,
        find_command=host.find_command,
        identity=host.identity,
        shareable=shareable,
        decided_by_others=decided_by_others,
        on_disk=on_disk,
        probe_problem=lambda value, count: ways.problem(value, count),  # noqa: PLW0108 - on demand
        destination_doubts=lambda destination, user: alerting.doubts(destination, user),  # noqa: PLW0108 - on demand
        watched_directories=lambda workingdir, value: watched.directories(workingdir, value),  # noqa: PLW0108 - on demand
        writable_command=lambda word, path, workingdir: alerting.writable_command(word, path, workingdir),  # noqa: PLW0108 - on demand
        limit_refusals=lambda may, uid, root: limits.refusals(may, uid, root),  # noqa: PLW0108 - on demand
        cgroup_problem=lambda path, uid: limits.root_problem(path, uid),  # noqa: PLW0108 - on demand
        own_score=lambda: own.own_score(),  # noqa: PLW0108 - on demand
        zone_problem=lambda name: calendar.zone_trouble(name, environment),
        upcoming=lambda value, most: calendar.upcoming(value, most),  # noqa: PLW0108 - on demand
        daemonized=daemonized,
        pid1=pid1,
        lenient_users=lenient_users,
        sees_memory=os.path.exists(f"/proc/{os.getpid()}/status"),
        sh_is_bash=os.path.basename(os.path.realpath("/bin/sh")) == "bash",
        trusted=trusted(),
    )


def read(path: str) -> File:
    """Return a regular file of at most MAX_FILE bytes. Raises HostShortage for a shortage, OSError for all else."""
    return _read(path, _open)


def read_variables(path: str) -> File:
    """Return a regular file as `read` does, if the start of a program would read it."""
    return _read(path, lambda path: (variables.open_file(_absolute(path), os.O_NONBLOCK), ()))


def _read(path: str, open_it: Callable[[str], tuple[int, tuple[Step, ...]]]) -> File:
    try:
        fd, way = open_it(path)
    except OSError as error:
        if error.errno in _SHORTAGE:
            reason = f"{system_reason(error)}{limit(error.errno)}"
            raise HostShortage(f"the system refuses to open {path}: {reason}") from None
        raise
    try:
        facts = os.fstat(fd)
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = _at_most(fd, MAX_FILE)
    finally:
        os.close(fd)
    mode = stat.S_IMODE(facts.st_mode)
    return File(content, mode, facts.st_uid, facts.st_gid, facts.st_mtime_ns, facts.st_size, way)


def _open(path: str) -> tuple[int, tuple[Step, ...]]:
    """Open a file for reading; as root also record the way to it: only root's configuration is judged by its owners."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: opening a FIFO would wait for its writer
    if os.geteuid() != 0:
        return os.open(path, flags), ()
    fd, passed = open_recording(_absolute(path), flags)
    return fd, _steps(passed)


def _absolute(path: str) -> str:
    return path if path.startswith("/") else os.path.join(_current_directory(), path)


def _current_directory() -> str:
    """Return the current directory, "/" if it was deleted: the launcher has refused relative paths then."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _steps(passed: Sequence[Passed]) -> tuple[Step, ...]:
    return tuple(
        Step(path, stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, stat.S_ISLNK(facts.st_mode))
        for path, facts in passed
    )


def _at_most(fd: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    held = 0
    while piece := os.read(fd, limit + 1 - held):
        pieces.append(piece)
        held += len(piece)
        if held > limit:
            raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB")
    return b"".join(pieces)


def expand(pattern: str) -> Sequence[str]:
    """Return the matching paths without directories, sorted."""
    return sorted(path for path in glob.glob(pattern) if not os.path.isdir(path))


def listed(pattern: str) -> Sequence[tuple[Step, ...]]:
    """Return the way to each existing directory in which the pattern looks for names."""
    parts = _absolute(pattern).split("/")
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    ways: list[tuple[Step, ...]] = []
    for number in range(first, len(parts)):
        for directory in sorted(glob.glob("/".join(parts[:number]) or "/")):
            try:
                fd, passed = open_recording(directory, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue  # it has gone, or nothing can be read in it
            os.close(fd)
            if os.path.isdir(directory):
                ways.append(_steps(passed))
    return ways


def members(group: str) -> Sequence[int]:
    """Return the uids of a group's members, () where the kernel says of each client in which groups it is."""
    if peers.groups_are_told():
        return ()
    try:
        return member_ids(group)
    except LookupError:
        return ()


class _Cache:
    """Accounts, permissions and identities that were looked up already."""

    def __init__(self) -> None:
        self._users: dict[str, User | None] = {}
        self._commands: dict[tuple[str, str, str, int], str] = {}
        self._directories: dict[tuple[str, int], bool] = {}
        self._real: dict[str, str] = {}

    # -- accounts

    def user(self, wanted: str) -> User | None:
        """Return the account of that name or uid."""
        if wanted not in self._users:
            self._users[wanted] = _user(wanted)
        return self._users[wanted]

    @staticmethod
    def group(wanted: str) -> int | None:
        """Return the gid of that group."""
        try:
            gid = group_id(wanted)
        except LookupError:
            return None
        return gid if gid <= MAX_ID else None

    # -- permissions

    def may_enter(self, directory: str, user: User | None) -> bool:
        """Return whether that user (None: this process) can make it the working directory."""
        key = (directory, _uid(user))
        if key not in self._directories:
            above = os.path.dirname(directory)
            reachable = above == directory or self.may_enter(above, user)
            self._directories[key] = reachable and os.path.isdir(directory) and _may_execute(directory, user)
        return self._directories[key]

    def find_command(self, word: str, path: str, workingdir: str, user: User | None) -> str:
        """Return why that user cannot execute the command, or "". Source: execvp(3)."""
        key = (word, path, workingdir, _uid(user))
        if key not in self._commands:
            self._commands[key] = self._look_for(word, path, workingdir, user)
        return self._commands[key]

    def _look_for(self, word: str, path: str, workingdir: str, user: User | None) -> str:
        who = f" for {user.name}" if user is not None else ""
        if "/" in word:
            whole = os.path.join(workingdir, word)
            if not os.path.exists(whole):
                return f"{whole} does not exist"
            if not self._is_executable(whole, user):
                return f"{whole} is not executable{who}"
            return _flaw(whole, workingdir, user)
        candidates = [os.path.join(workingdir, directory, word) for directory in path.split(":")]
        found = next((candidate for candidate in candidates if self._is_executable(candidate, user)), "")
        if found:
            return _flaw(found, workingdir, user)
        if any(os.path.isfile(candidate) for candidate in candidates):
            return f"{word} is not executable{who}"
        return f"{word} is not found in PATH"

    def _is_executable(self, path: str, user: User | None) -> bool:
        real = _real(path)
        return os.path.isfile(real) and self.may_enter(os.path.dirname(real), user) and _may_execute(real, user)

    # -- files

    def identity(self, path: str) -> str:
        """Return device and inode of an existing regular file, the resolved path of a missing one, else ""."""
        try:
            facts = os.lstat(path)  # the link itself: no log is opened through one
        except OSError:
            directory, name = os.path.split(path)
            if directory not in self._real:
                self._real[directory] = _real(directory)
            return os.path.join(self._real[directory], name)
        return f"{facts.st_dev}:{facts.st_ino}" if stat.S_ISREG(facts.st_mode) else ""


def shareable(path: str) -> bool:
    """Return whether `path` is a FIFO or device that several may write, and that only root or our user can replace."""
    ours = {0, os.geteuid()}
    try:
        facts = os.lstat(path)
        if facts.st_uid not in ours or not (stat.S_ISFIFO(facts.st_mode) or stat.S_ISCHR(facts.st_mode)):
            return False
        for directory in _and_above(os.path.dirname(path)):
            above = os.lstat(directory)
            public = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX
            if above.st_uid not in ours or public:
                return False
    except OSError:
        return False
    return True


def decided_by_others(path: str) -> bool:
    """Return whether a user other than root and ours owns what is at `path`, or can put something else there."""
    ours = {0, os.geteuid()}
    ways = {path, _real(path)}  # as it is written, and where links lead
    return any(_lets_others(each, ours) for way in ways for each in _and_above(way))


def _and_above(path: str) -> Iterator[str]:
    """Yield a path and each directory above it."""
    yield path
    while (above := os.path.dirname(path)) != path:
        path = above
        yield path


def _lets_others(path: str, ours: set[int]) -> bool:
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    public = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX
    return facts.st_uid not in ours or bool(public)


def on_disk(path: str) -> bool:
    """Return whether a path is on a file system that outlives a boot; False where that is not known. Source: proc(5), mountinfo."""
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            rows = [line.split() for line in mounts]
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = {row[row.index("-") + 1] for row in rows if row[2] == number and "-" in row}
    return bool(kinds) and not kinds <= {"tmpfs", "ramfs"}


def _real(path: str) -> str:
    """Return a path with its links resolved, or unchanged if one cannot be read (another user's below /proc)."""
    try:
        return os.path.realpath(path)
    except OSError:
        return path


def _user(wanted: str) -> User | None:
    """Return the account as the spawner will find it, or None."""
    try:
        found = account(wanted, None)
    except LookupError:
        return None
    if found.uid > MAX_ID:
        return None
    return User(found.uid, found.gid, found.name, found.home, found.shell, found.groups)


def _uid(user: User | None) -> int:
    return -1 if user is None else user.uid


def _flaw(path: str, workingdir: str, user: User | None) -> str:
    """Return why the kernel will not execute a file that the user may read and execute, judged by its content, or ""."""

    def may_read(facts: os.stat_result) -> bool:
        return user is None or _allows(facts, user, stat.S_IROTH)

    found = flaw(path, path, may_read, base=workingdir)
    return f"{path} cannot be executed: {found}" if found else ""


def _may_execute(path: str, user: User | None) -> bool:
    """Return whether the user has the x bit of a file or directory."""
    if user is None:
        return os.access(path, os.X_OK)
    try:
        return _allows(os.stat(path), user, stat.S_IXOTH)
    except OSError:
        return False


def _allows(facts: os.stat_result, user: User, bit: int) -> bool:
    """Return whether mode and owner give this user the permission `bit` (one of S_IROTH, S_IWOTH, S_IXOTH)."""
    if user.uid == 0:
        return bit != stat.S_IXOTH or stat.S_ISDIR(facts.st_mode) or bool(facts.st_mode & 0o111)
    if facts.st_uid == user.uid:
        return bool(facts.st_mode & bit << 6)
    return bool(facts.st_mode & (bit << 3 if facts.st_gid in user.groups else bit))

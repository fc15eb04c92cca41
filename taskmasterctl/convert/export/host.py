"""This machine, for the decoder: what it lacks is a doubt, since a conversion is often made somewhere else."""

from __future__ import annotations

import errno
import glob
import grp
import os
import pwd
import signal
import stat

from taskmaster_common.paths import default_places
from taskmaster_common.schema import MAX_FILE, File, Surroundings, User
from taskmaster_common.text.formats import with_real_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ExportHost:
    """Answers the decoder, and collects what this machine lacks. `text`: what stands in the one file, None to read files."""

    def __init__(self, text: str | None = None) -> None:
        self.doubts: dict[str, None] = {}
        self._text = text

    def lacks(self, thing: str) -> None:
        """Note something that this machine has not."""
        self.doubts[f"warning: {thing}: not on this machine"] = None

    def read(self, path: str) -> File:
        """Return the content of a file. Raises OSError."""
        content = _content(path) if self._text is None else self._text.encode("utf-8", "surrogateescape")
        return File(content=content, size=len(content), uid=os.geteuid(), gid=os.getegid())

    def expand(self, pattern: str) -> Sequence[str]:
        """Return the files that match, sorted."""
        return sorted(path for path in glob.glob(pattern) if not os.path.isdir(path)) if self._text is None else ()

    def user(self, name: str) -> User | None:
        """Return the account of a name or number; one for a missing name, too."""
        try:
            found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
        except (KeyError, OverflowError):
            if not name.isdecimal():
                self.lacks(f"user {name}")
            return User(uid=os.geteuid(), gid=os.getegid(), name=name)
        return User(uid=found.pw_uid, gid=found.pw_gid, name=found.pw_name, home=found.pw_dir, shell=found.pw_shell)

    def group(self, name: str) -> int | None:
        """Return the gid of a name or number."""
        if name.isdecimal():
            return int(name)
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            self.lacks(f"group {name}")
            return os.getegid()

    @staticmethod
    def identity(path: str) -> str:
        """Return the resolved path of a regular or missing file, "" for anything else."""
        return os.path.realpath(path) if os.path.isfile(path) or not os.path.exists(path) else ""


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = bytearray()
        while len(content) <= MAX_FILE and (more := os.read(descriptor, 1 << 20)):
            content += more
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_FILE >> 20} MiB")
    return bytes(content)


def signal_numbers() -> dict[str, int]:
    """Return the signals of this machine by name."""
    return with_real_time({each.name.removeprefix("SIG"): each.value for each in signal.Signals})


def surroundings(host: ExportHost, variables: Mapping[str, str], environment: Mapping[str, str]) -> Surroundings:
    """Return this machine in the form that the decoder takes. `variables` are those of values, `environment` that of the places.

    What the decoder asks besides is about a daemon that would run here, and has no answer: nothing is doubtful.
    """
    uid = os.geteuid()
    return Surroundings(
        environment=variables,
        signals=signal_numbers(),
        uid=uid,
        gid=os.getegid(),
        cwd=os.getcwd(),
        places=default_places(uid, environment),
        read=host.read,
        read_variables=host.read,
        expand=host.expand,
        listed=_no_doubts,
        user=host.user,
        group=host.group,
        members=_no_doubts,
        may_enter=_yes,
        find_command=_nothing,
        identity=host.identity,
        shareable=_yes,
        on_disk=_yes,
        probe_problem=_nothing,
        alert_doubts=_no_doubts,
        watched_directories=_none,
        writable_command=_no_doubts,
        limit_refusals=_no_doubts,
        cgroup_problem=_nothing,
        own_score=_none,
        zone_problem=_nothing,
        upcoming=_no_doubts,
        trusted=(0, uid),
        lenient_users=True,
    )


def _yes(*_: object) -> bool:
    return True


def _nothing(*_: object) -> str:
    return ""


def _none(*_: object) -> int:
    return 0


def _no_doubts(*_: object) -> tuple[()]:
    return ()

"""This machine, for the decoder of a configuration that is exported."""

from __future__ import annotations

import errno
import glob
import os
import stat

from taskmaster_common.paths import default_places
from taskmaster_common.schema import MAX_FILE, File, Surroundings
from taskmasterctl.convert.machine import Machine, signal_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ExportHost(Machine):
    """Answers the decoder about a configuration. `text`: what stands in the one file, None to read files."""

    def __init__(self, text: str | None = None) -> None:
        super().__init__()
        self._text = text

    def read(self, path: str) -> File:
        """Return the content of a file. Raises OSError."""
        content = _content(path) if self._text is None else self._text.encode("utf-8", "surrogateescape")
        return File(content=content, size=len(content), uid=os.geteuid(), gid=os.getegid())

    def expand(self, pattern: str) -> Sequence[str]:
        """Return the files that match, sorted."""
        return sorted(path for path in glob.glob(pattern) if not os.path.isdir(path)) if self._text is None else ()


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

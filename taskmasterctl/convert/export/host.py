"""This machine, for the decoder of a configuration that is exported."""

from __future__ import annotations

import errno
import glob
import os
import stat

from taskmaster_common.schema import MAX_FILE, File, Surroundings
from taskmasterctl.convert.machine import Machine, surroundings_of

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
    """Return this machine in the form that the decoder takes, see `surroundings_of`."""
    return surroundings_of(host, host.read, variables, environment).replace(expand=host.expand)

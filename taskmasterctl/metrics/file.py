"""The file of `--output`: whole at every moment, and gone when nobody keeps it up to date."""

from __future__ import annotations

import os
from contextlib import suppress

from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterctl.output import in_the_way

MODE = 0o644
"""Rights of the file: the textfile collector runs as another user."""


def replace(path: str, text: str) -> None:
    """Write a new file beside `path` and put it in its place. Raises SystemFailure, and then there is no file at `path`.

    A device, say, stays what it is: root's --output /dev/null must not be the end of /dev/null.
    """
    if reason := in_the_way(path):
        raise SystemFailure("write", path, reason)
    directory, _, name = path.rpartition("/")
    draft = f"{directory}/.{name}.{os.getpid()}" if directory or path.startswith("/") else f".{name}.{os.getpid()}"
    try:
        with suppress(FileNotFoundError):
            os.unlink(draft)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        try:
            os.fchmod(fd, MODE)  # whatever the umask is
            _write(fd, text.encode())
        finally:
            os.close(fd)
        os.rename(draft, path)
    except OSError as error:
        remove(draft)
        remove(path)
        raise SystemFailure("write", path, system_reason(error), error.errno or 0) from None


def remove(path: str) -> None:
    """Remove a file: a stale one would be shown for ever as if it were new."""
    with suppress(OSError):
        if not in_the_way(path):
            os.unlink(path)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]

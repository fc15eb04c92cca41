"""Writes an outcome to a file: beside its name first, so that nobody sees a half."""

from __future__ import annotations

import errno
import os

from taskmaster_common.errors import system_reason
from taskmasterctl.output import in_the_way


def write_outcome(path: str, text: str, *, force: bool, secret: bool) -> str:
    """Write the outcome beside its name, then give it the name. Return why that failed, or ""."""
    if force and (reason := in_the_way(path)):
        return f"cannot write {path}: {reason}"
    mode = 0o600 if secret else 0o644
    beside = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(text.encode("utf-8", "surrogateescape"))
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        _remove(beside)
        return f"cannot write {path}: {system_reason(error)}"
    try:
        if force:
            os.replace(beside, path)
        else:
            _give_name(beside, path)
    except FileExistsError:
        return f"cannot write {path}: it exists; --force replaces it"
    except OSError as error:
        return f"cannot write {path}: {system_reason(error)}"
    finally:
        _remove(beside)
    return ""


def _give_name(beside: str, path: str) -> None:
    """Give the file its name, unless the name is taken. Raises OSError."""
    try:
        os.link(beside, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        if os.path.lexists(path):  # a file system without hard links
            raise FileExistsError from None
        os.rename(beside, path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return

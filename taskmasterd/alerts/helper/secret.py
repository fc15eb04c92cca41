"""Files that hold a secret: a password, a URL, a header. Read each time, by descriptor, and judged before they are used."""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import system_reason

MOST_BYTES = 8192
"""Most bytes of a secret."""
OTHERS_READ = stat.S_IROTH


class SecretError(Exception):
    """A file that cannot hold a secret; the text never quotes it."""


def read_secret(path: str) -> str:
    """Return the content of the file, without the line feed at its end. Raises SecretError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SecretError(f"cannot read {path}: {system_reason(error)}") from None
    try:
        wrong = flaw(os.fstat(fd), os.geteuid())
        if wrong:
            raise SecretError(f"{path}: {wrong}")
        content = os.read(fd, MOST_BYTES + 1)
    except OSError as error:
        raise SecretError(f"cannot read {path}: {system_reason(error)}") from None
    finally:
        os.close(fd)
    if len(content) > MOST_BYTES:
        raise SecretError(f"{path}: it has more than {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(f"{path}: it is no UTF-8 text") from None
    if not text or not text.isprintable():
        raise SecretError(
            f"{path}: {'it is empty' if not text else 'it has more than one line, or control characters'}"
        )
    return text


def flaw(facts: os.stat_result, uid: int) -> str:
    """Return why a file with this status can hold no secret of the user `uid`, or ""."""
    if not stat.S_ISREG(facts.st_mode):
        return "it is not a regular file"
    if facts.st_uid not in (0, uid):
        return f"it belongs to uid {facts.st_uid}; a secret belongs to root or to uid {uid}, who runs taskmasterd"
    if facts.st_mode & OTHERS_READ:
        return f"everybody may read it (mode {stat.S_IMODE(facts.st_mode):04o}); chmod o-r"
    return ""

"""What files of variables hold, as far as the check may read them. Values leave this module in no message."""

from __future__ import annotations

import errno

from taskmaster_common.config import for_instance
from taskmaster_common.config.words import OPTIONAL, value_files
from taskmaster_common.errors import system_reason
from taskmaster_common.records import Record
from taskmaster_common.text.envfile import REFUSED, EnvFileError, parse_variables, value_of_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.schema.surroundings import File, Surroundings, User

MOST_INSTANCES = 10
"""Most instances of a program whose files are looked at, where each has its own."""
CERTAIN = (REFUSED, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG)
"""Errors that do not depend on the user who checks: a start would get them, too. Source: open(2); ENXIO is that of a socket."""
READABLE_BY_ALL = 0o004
SECRET_WORDS = frozenset(
    ("PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "SECRET", "SECRETS", "TOKEN", "TOKENS", "KEY", "KEYS", "APIKEY")
)
NO_SECRETS = frozenset(("FILE", "PATH", "DIR", "URL", "ID", "NAME", "PUBLIC", "TYPE", "SIZE", "LENGTH", "TTL"))
"""Parts of names that are about a secret but hold none: DB_PASSWORD_FILE, AWS_ACCESS_KEY_ID."""


def like_a_secret(name: str) -> bool:
    """Return whether a variable of that name probably holds a secret."""
    parts = name.upper().replace("-", "_").replace(".", "_").split("_")
    named = any(part in SECRET_WORDS or part.endswith(("PASSWORD", "SECRET")) for part in parts)
    return named and NO_SECRETS.isdisjoint(parts)


class EnvFile(Record):
    """One file: its variables by name, what is wrong with it, and whether that is only that we may not look.

    `missing`: it is not there. `public`: everybody may read it. `hidden`: the user that the daemon becomes may not.
    """

    names: tuple[str, ...] = ()
    problem: str = ""
    unknown: bool = False
    missing: bool = False
    public: bool = False
    hidden: bool = False


class EnvFiles:
    """All files that programs name, each read once. `user` is the one that the daemon becomes, None if it stays who it is."""

    def __init__(self, surroundings: Surroundings, user: User | None = None) -> None:
        # the start follows links by rules of root's own
        self._open = surroundings.read if user and user.uid else surroundings.read_variables
        self._user = user
        self._found: dict[tuple[str, bool], EnvFile] = {}

    def look(self, path: str, *, is_value: bool = False) -> EnvFile:
        """Return what is known of a file of variables, or of one that is a value itself."""
        key = (path, is_value)
        if key not in self._found:
            self._found[key] = self._read(path, is_value=is_value)
        return self._found[key]

    def _read(self, path: str, *, is_value: bool) -> EnvFile:
        try:
            file = self._open(path)
        except FileNotFoundError as error:
            return EnvFile(problem=f"{path}: {system_reason(error)}", missing=True)
        except OSError as error:  # no permission, or no regular file: reading a FIFO would take what is in it
            if error.errno in CERTAIN:
                return EnvFile(problem=f"{path}: {system_reason(error)}")
            return EnvFile(problem=f"{path} cannot be checked: {system_reason(error)}", unknown=True)
        try:
            names = _names(file, is_value=is_value)
            hidden = self._user is not None and not _may_read(file, self._user)
            return EnvFile(names=names, public=bool(file.mode & READABLE_BY_ALL), hidden=hidden)
        except EnvFileError as wrong:
            return EnvFile(problem=f"{path}{f':{wrong.line}' if wrong.line else ''}: {wrong.reason}")


def _may_read(file: File, user: User) -> bool:
    """Return whether mode and owner let a user read a file."""
    if user.uid in (0, file.uid):
        return user.uid == 0 or bool(file.mode & READABLE_BY_ALL << 6)
    return bool(file.mode & (READABLE_BY_ALL << 3 if file.gid in user.groups else READABLE_BY_ALL))


def _names(file: File, *, is_value: bool) -> tuple[str, ...]:
    if is_value:
        value_of_file(file.content)
        return ()
    return tuple(name.decode() for name in parse_variables(file.content))


def each_path(written: str, instances: int) -> tuple[str, ...]:
    """Return the paths that one written with the number of an instance means, those of the first instances."""
    count = min(instances, MOST_INSTANCES)
    return tuple(dict.fromkeys(for_instance(written.removeprefix(OPTIONAL), index) for index in range(count)))


def reads_files(env_file: Sequence[str] | None, env: Mapping[str, Any] | None) -> bool:
    """Return whether something of a program's variables stands in files."""
    return bool(env_file or value_files(env or {}))

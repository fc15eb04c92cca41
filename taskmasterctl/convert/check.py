"""`--check`: decodes the outcome as `taskmasterd -t` does, here and now.

What only this machine lacks (users, directories, commands, variables) is a doubt; any other problem is a fault of ours.
"""

from __future__ import annotations

import os
import shutil
import stat

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import File, User, decode
from taskmasterctl.convert.machine import Machine, surroundings_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OTHER = 1 << 20
"""Largest file of variables that is looked at, bytes."""
FAULT = "a fault of taskmasterctl import, please report it: "
STAND_IN = "1"
"""The value of a variable that is not set here: valid as a number, a name and a path."""


class _Environment(dict[str, str]):
    """The environment, with a value for each variable; `missing` are those that it lacks."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.missing: dict[str, None] = {}

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = super().get(name, default)
        if found is None:
            self.missing[name] = None
            return STAND_IN
        return found


class _Host(Machine):
    """Answers the decoder about an outcome."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__()
        self._path = path
        self._text = text

    def read(self, path: str) -> File:
        if path != self._path:
            return self._other(path)
        content = self._text.encode("utf-8", "surrogateescape")
        return File(content=content, size=len(content), uid=os.geteuid(), gid=os.getegid())

    def _other(self, path: str) -> File:
        """Return a file of variables, an empty one if it is not here."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                content = os.read(descriptor, MAX_OTHER) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
            finally:
                os.close(descriptor)
        except OSError:
            self.lacks(f"file {path}")
            return File(content=b"", uid=os.geteuid(), gid=os.getegid(), mode=0o600)
        return File(content=content, size=len(content), uid=os.geteuid(), gid=os.getegid(), mode=0o600)

    def may_enter(self, directory: str, user: User | None) -> bool:
        del user
        if not os.path.isdir(directory):
            self.lacks(f"directory {directory}")
        return True

    def find_command(self, word: str, path: str, workingdir: str, user: User | None) -> str:
        del user
        found = os.path.join(workingdir, word) if "/" in word else shutil.which(word, path=path or None)
        if not found or not os.access(found, os.X_OK):
            self.lacks(f"command {word}")
        return ""


def check_outcome(text: str, path: str, environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return what is wrong with an outcome, and what this machine lacks or the decoder warns of."""
    host = _Host(path, text)
    variables = _Environment(environment)
    try:
        here = surroundings_of(host, host.read, variables, variables)
        loaded = decode(path, here.replace(may_enter=host.may_enter, find_command=host.find_command))
    except ConfigError as error:
        unknown = [
            problem for problem in error.problems if any(f"${{{name}}}" in problem for name in variables.missing)
        ]
        faults = [FAULT + problem for problem in error.problems if problem not in unknown]
        return faults, [*host.doubts, *(f"warning: a variable that is not on this machine: {each}" for each in unknown)]
    for name in variables.missing:
        host.lacks(f"variable {name}")
    return [], [*host.doubts, *loaded.warnings]

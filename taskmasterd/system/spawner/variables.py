"""The step `env_file`: the forked child reads files of variables, and files that are the value of one.

Only the child ever holds the values, and no descriptor of the daemon's while it may hang. It reads as the daemon's user, before it takes the program's identity. As root it goes its way
step by step and follows another user's link only to a file of that user's own: otherwise a program could have root read to it
whatever it likes. A file system that hangs holds up this child alone; the daemon kills it when its time is up.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import system_reason
from taskmaster_common.text.envfile import MOST_BYTES, REFUSED, EnvFileError, parse_variables, value_of_file
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.paths.trail import open_recording
from taskmasterd.system.procfs import highest_fd
from taskmasterd.system.spawner.spec import SetupError, SetupStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from typing import TypeVar

    from taskmasterd.system.paths.trail import Passed
    from taskmasterd.system.spawner.spec import Setup

    T = TypeVar("T")

STEP = "env_file"
ALARM_AFTER_S = 2
"""Seconds after the time limit at which the child ends by itself, should the daemon be gone by then."""
RESERVED = "TASKMASTER_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_"
"""Beginnings of names that no file replaces where the child has them already: the daemon says by them what it gives to the child."""


def reading_step(
    files: Sequence[str], values: Mapping[str, str], set_by_env: Container[str], within_s: float
) -> SetupStep:
    """Return the step that reads `files`, paths of which those after a `?` may be missing, and `values`, paths by variable.

    A later file is stronger than those before it; the names in `set_by_env` are stronger than all files.
    """

    def run(setup: Setup) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(within_s) + 1 + ALARM_AFTER_S)
        _close_others(setup)
        fill(setup.environment, files, values, set_by_env)
        signal.alarm(0)

    named = [f"env_file {path.removeprefix('?')}" for path in files]
    named += [f"env.{variable} {path}" for variable, path in values.items()]
    return SetupStep(STEP, "", run, within_s, f"{' or '.join(named)}: not readable within {within_s:g}s")


def fill(
    environment: dict[str, str], files: Sequence[str], values: Mapping[str, str], set_by_env: Container[str]
) -> None:
    """Read the files into the variables of a child. Raises SetupError."""
    for path in files:
        for name, value in _variables(path.removeprefix("?"), optional=path[0] == "?").items():
            known = os.fsdecode(name)
            if known not in set_by_env and not (known.startswith(RESERVED) and known in environment):
                environment[known] = os.fsdecode(value)
    for variable, path in values.items():
        environment[variable] = os.fsdecode(_read(path, f"env.{variable} {path}", value_of_file))


def _close_others(setup: Setup) -> None:
    """Close all descriptors that are the daemon's.

    As long as a child that hangs has them open, nobody else gets the daemon's locks, should the daemon die meanwhile.
    """
    kept = sorted({0, 1, 2, setup.report, *(number for number, _ in setup.extras)})
    for before, after in zip(kept, (*kept[1:], highest_fd() + 1)):
        os.closerange(before + 1, after)


def _variables(path: str, *, optional: bool) -> Mapping[bytes, bytes]:
    try:
        return _read(path, f"env_file {path}", parse_variables)
    except FileNotFoundError as error:
        if optional:
            return {}
        raise SetupError(STEP, f"env_file {path}: {system_reason(error)}") from None


def _read(path: str, named: str, take: Callable[[bytes], T]) -> T:
    """Return what `take` makes of a file. Raises SetupError; FileNotFoundError of an env_file."""
    try:
        return take(read_file(path))
    except EnvFileError as wrong:
        raise SetupError(STEP, f"{named}{f':{wrong.line}' if wrong.line else ''}: {wrong.reason}") from None
    except FileNotFoundError as error:
        if take is parse_variables:
            raise
        raise SetupError(STEP, f"{named}: {system_reason(error)}") from None
    except OSError as error:
        raise SetupError(STEP, f"{named}: {system_reason(error)}") from None


def read_file(path: str) -> bytes:
    """Return a file's content, at most one byte more than MOST_BYTES; waits for the writer of a FIFO. Raises OSError."""
    fd = open_file(path)
    try:
        pieces: list[bytes] = []
        left = MOST_BYTES + 1
        while left and (piece := os.read(fd, left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def open_file(path: str, flags: int = 0) -> int:
    """Return a descriptor of a file that may be read for a program. Raises OSError, with REFUSED for what only we refuse."""
    flags |= os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC
    fd, passed = open_recording(path, flags) if os.geteuid() == 0 else (os.open(path, flags), [])
    try:
        _judge(os.fstat(fd), passed)
    except OSError:
        os.close(fd)
        raise
    return fd


def _judge(found: os.stat_result, passed: Sequence[Passed]) -> None:
    if stat.S_ISDIR(found.st_mode):  # root's was not opened for reading
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISBLK(found.st_mode) or (stat.S_ISCHR(found.st_mode) and found.st_rdev != os.stat(os.devnull).st_rdev):
        raise OSError(REFUSED, "it is a device")
    makers = {facts.st_uid for _, facts in passed if stat.S_ISLNK(facts.st_mode)} - {0, found.st_uid}
    if makers:
        reason = f"a link on its way was made by uid {min(makers)}, who does not own where it leads"
        raise OSError(REFUSED, reason)

"""What a child is made from, the steps in which it is made, and how one of them fails."""

from __future__ import annotations

import errno
import os
import sys

from taskmaster_common.errors import shortened
from taskmaster_common.records import Record
from taskmasterd.fallbacks import SHORTAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SEARCH_PATH = "/bin:/usr/bin"
"""PATH of a child without one, as in execvp(3)."""
MAX_REASON = 1024
"""Longest text of a failed step, in characters."""
OPEN_CONTROLS = sys.platform == "linux"
"""Whether a session without a terminal gets the one that its leader opens. Source: tty_ioctl(4); not so on the BSDs."""
ORDER = (
    "session",
    "cgroup",
    "terminal",
    "streams",
    "sockets",
    "env_file",
    "limits",
    "rlimits",
    "nice",
    "cpu_affinity",
    "oom_score_adj",
    "user",
    "umask",
    "workingdir",
    "search",
    "exec",
)
"""The steps of a forked child, each by its name in reports.

Descriptors and files come before `limits`, the daemon's own as it was started, and `rlimits`: a limit of open files or of memory
is the program's and must not keep its child from what it needs. All that takes the daemon's rights comes before `user`.
"""


class Identity(Record):
    """The identity that the child takes, in this order: supplementary groups, gid, uid."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class SetupStep(Record):
    """A step of a forked child besides those of every child.

    `name` is one of ORDER; steps of one name run in the order of the spec. `run(setup)` runs in the child and may raise OSError,
    reported as "cannot WHAT: reason", or SetupError, reported with its own text. It may load no module: the child may have no
    right to read one. Both name the step `name`. A child that has not executed its program after `within_s` seconds (0: no limit)
    is killed, and the step has failed with the text `late`.
    right to read one. Both name the step `name`. `around()` does the same in the daemon for the length of a posix_spawn, and returns
    what puts the daemon's own value back; None where only a child can.
    """

    name: str
    what: str
    run: Callable[[Setup], None]
    within_s: float = 0.0
    late: str = ""
    around: Callable[[], Callable[[], None]] | None = None


class ChildSpec(Record):
    """All that a child needs to start.

    `nofile` is the pair (soft, hard) of limits to restore, None to leave them; `tag` marks its lineage, None for no tag.
    `forked`: the tag has to be there before the program runs, and posix_spawn sets it a moment later. `terminal` is the path of the
    terminal that controls the child and is its three streams, whatever other streams it has; "" for none. With a step that
    only a child can take, the child is forked.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    workingdir: str
    umask: int
    identity: Identity | None
    nofile: tuple[int, int] | None
    tag: int | None = None
    forked: bool = False
    terminal: str = ""
    steps: tuple[SetupStep, ...] = ()


class Setup:
    """What a forked child has in hand between its steps. A step may change `environment`, which is the child's own.

    `streams` are the descriptors of 0 to 2, `extras` pairs (number, descriptor), `report` where a failed step is reported, `path`
    the file to execute once that was found. Until the step `streams`, no descriptor has its number yet.
    """

    def __init__(
        self, spec: ChildSpec, streams: Sequence[int], report: int, extras: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.spec = spec
        self.environment = dict(spec.environment)
        self.streams = tuple(streams)
        self.extras = tuple(extras)
        self.report = report
        self.path = ""

    def use(self, streams: Sequence[int], extras: Sequence[tuple[int, int]] = (), report: int | None = None) -> None:
        """Have these descriptors from now on; `report` None for the same one."""
        self.streams, self.extras = tuple(streams), tuple(extras)
        self.report = self.report if report is None else report

    def find(self) -> None:
        """Look for the file to execute. Raises FileNotFoundError for a command that no directory of PATH has."""
        self.path = find(self.spec.argv, self.environment)
        if not self.path:
            raise FileNotFoundError(errno.ENOENT, "no directory of PATH has it")


class SetupError(Exception):
    """A step of the set-up failed, so the program was not executed."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step
        self.text = shortened(text, MAX_REASON)


def is_shortage(error: OSError) -> bool:
    """Return whether an error means that the system lacks a resource for the moment."""
    return error.errno in SHORTAGES


def find(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the file to execute; a word without a slash is looked up in the child's PATH, as execvp(3) does.

    If no file found may be executed, return the first of them; "" if none was found.
    """
    word = argv[0]
    if "/" in word:
        return word
    refused = ""
    for directory in environment.get("PATH", SEARCH_PATH).split(":"):
        path = f"{directory or '.'}/{word}"
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            refused = refused or path
    return refused

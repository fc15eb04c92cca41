"""Words and constants of configuration values, and the placeholder of the instance number."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

INSTANCE = "\0"
"""Placeholder of the instance number in decoded text: a NUL, which no argument, path or variable can hold."""

# Values of `stdout` and `stderr`, besides an absolute path.
DEFAULT_LOG = "default"  # the program's file in log_dir
DISCARD = "null"
INHERIT = "inherit"  # the daemon's own stream
SAME_AS_STDOUT = "stdout"  # for stderr only

SYSLOG, JOURNAL = "syslog", "journal"  # alone, or the first word of a target's text (`elsewhere`)
LOGGER = "|"  # the first word of the text of a command that reads the output

RAW = "raw"
PREFIX = "prefix"
JSON = "json"
LOG_FORMATS = (RAW, PREFIX, JSON)
"""How a log is written: as the program writes, each line with its time before it, each line as an object."""
LOCAL, UTC = "local", "utc"
"""The zone of the times in a formatted log."""

PIPE = "pipe"
"""Value of `stdin` besides DISCARD: a pipe, into which clients write."""

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
"""PATH of a program that inherits none."""

FROM_SOCKET = "socket "
"""Begins a value of `stdin` that is one of the program's sockets; its name follows."""
OPTIONAL = "?"
"""Before the path of a file that may be missing, in `env_file`."""
FILE = "file"
"""The only key of a variable whose value is a file."""

EVENT_LOG_MAXBYTES, EVENT_LOG_BACKUPS = 50_000_000, 10
"""Size at which the event log rotates, bytes, and number of rotated files kept."""

LIVE = "live"  # applied to the running process
SCALE = "scale"  # starts missing instances and stops surplus ones
LIVE_OR_NEXT = "live*"  # set on the running process; where the kernel refuses that, used by the next instance
RESTART = "restart"  # restarts the program
NEXT = "next"  # used by the next instance; nothing is restarted for it
MERGED = "-"  # gone once the program is put together: what it stands for is compared
NEXT_START = "next start"  # waits for the next start of the daemon

ALWAYS = "always"
SERVICE = "service"
ONESHOT = "oneshot"
"""Types of a program: one that stays, and a job that is done when it has ended well."""
NEVER = "never"
UNEXPECTED = "unexpected"

LEADER = "leader"
"""Third value of stopasgroup: only the leader gets the stop signal; what it leaves behind is ended afterwards."""

ON_FAILURE = "on-failure"
"""Third value of essential: only a bad end of the program ends the daemon."""
ALL_DONE = "all-done"
"""Second value of exit_when: the daemon ends when no program is up or on its way up."""

LOG_LEVELS = ("debug", "info", "warning", "error")


def value_files(env: Mapping[str, object]) -> dict[str, str]:
    """Return the paths of the variables whose values stand in files."""
    return {name: each[FILE] for name, each in env.items() if isinstance(each, dict)}


def is_elsewhere(target: str) -> bool:
    """Return whether a target of output is the journal, syslog or a command."""
    return target.partition(" ")[0] in (SYSLOG, JOURNAL, LOGGER)


def is_logger(target: str) -> bool:
    """Return whether a target of output is a command."""
    return target.startswith(LOGGER)


def for_instance(text: str, index: int) -> str:
    """Return `text` with the number of the instance in place."""
    return text.replace(INSTANCE, str(index))


def said_of_instance(problem: str, index: int) -> str:
    """Return what is wrong with a value for one instance; what to write instead stays at the end."""
    said, separator, hint = problem.partition("; ")
    return f"{said} for instance {index}{separator}{hint}"

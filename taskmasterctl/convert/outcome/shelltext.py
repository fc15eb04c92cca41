"""Whether a command needs a shell. Pure."""

from __future__ import annotations

from taskmasterctl.convert.outcome.texts import literal, split_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.outcome.model import Block

OF_SHELLS = frozenset("$`&|;<>()*?[]{}~#!\n\\")
"""Characters that mean something to a shell, inside double quotes too or outside. Source: POSIX XCU 2.2."""
BUILTINS = frozenset(
    (".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "eval", "exec", "exit", "export", "fg", "for",
     "getopts", "hash", "if", "jobs", "read", "readonly", "return", "set", "shift", "source", "time", "times", "trap", "type",
     "ulimit", "umask", "unalias", "unset", "until", "wait", "while")
)  # fmt: skip
"""Words that only a shell knows. Source: POSIX XCU 2.4 and 2.14; source and time of bash."""


def needs_shell(command: str) -> bool:
    """Return whether the command means something else without a shell."""
    if OF_SHELLS.intersection(command):
        return True
    try:
        words = split_words(command)
    except ValueError:
        return True
    return not words or words[0] in BUILTINS or "=" in words[0]


def set_command(block: Block, command: str, key: str = "cmd") -> bool:
    """Set `cmd`, with a shell where it needs one; return whether it does."""
    if needs_shell(command):
        block.set(key, command)
        block.set("shell", True)
        return True
    block.set(key, literal(command))
    return False

"""What all three scripts take from the command table."""

from __future__ import annotations

from taskmaster_common.aliases import ALIASES
from taskmaster_common.commands.table import COMMANDS, EVENT, Command, Flag
from taskmaster_common.config.events import EVENTS, GROUPS

MADE = "Made by `python -m scripts.generate` from the command table; not edited by hand."
PATH_VALUES = ("SOCKET", "FILE", "DIR")
"""Placeholders of values that are paths."""


def spellings(command: Command) -> list[str]:
    """Return the verb and its aliases."""
    return [command.name, *(alias for alias, words in ALIASES.items() if words[0] == command.name)]


def forms(flag: Flag) -> list[str]:
    """Return the short form, where there is one, and the long one."""
    return [form for form in (flag.short, flag.name) if form]


def takes_path(flag: Flag) -> bool:
    """Return whether the value of the flag is a path."""
    return flag.value in PATH_VALUES


def offered(flag: Flag) -> tuple[str, ...]:
    """Return the words to offer as a value of the flag: all of them, or the likely ones if it takes any text."""
    return flag.choices or ((*EVENTS, *GROUPS) if flag.value == EVENT else ())


def actions(command: Command) -> list[str]:
    """Return the words of which the first argument of a verb is one."""
    return [word for word, _access in command.actions]


def verbs_taking(argument: str) -> list[str]:
    """Return the verbs, and their aliases, that take an argument such as TARGET or SIGNAL."""
    return [word for command in COMMANDS if argument in command.arguments for word in spellings(command)]

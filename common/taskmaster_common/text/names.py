"""How programs and processes are named.

`web` is a program and, if it has one instance, its process; `web:1` is instance 1; `all` is everything.
"""

from __future__ import annotations

ALL = "all"
MAX_NAME = 100
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@+")


def name_problem(name: str) -> str:
    """Return why `name` cannot be a program's name, or ""."""
    if not name:
        return "a name has at least one character"
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters, this one has {len(name)}"
    wrong = next((character for character in name if character not in _NAME_CHARACTERS), "")
    if wrong:
        return f"{wrong!r} is not allowed in a name; use letters, digits or _ - . @ +"
    if name[0] in "-.":
        return f"a name does not begin with {name[0]!r}"
    if name == ALL:
        return "it means every program"
    return ""


def is_process_name(text: object) -> bool:
    """Return whether `text` can name a process or a program: `web`, `web:1`."""
    if not isinstance(text, str):
        return False
    program, colon, index = text.partition(":")
    if colon and not (index.isascii() and index.isdecimal()):
        return False
    return _NAME_CHARACTERS.issuperset(program) and not name_problem(program)

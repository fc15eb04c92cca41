r"""Texts with variables, on their way from another format to Taskmaster's. Pure.

In between, a variable is its name between two NUL characters, which no input may hold: `/srv/\0HOME\0/bin`. So no escaping
is needed before it is known how the text will be written.
"""

from __future__ import annotations

import shlex

INSTANCE = "TASKMASTER_INSTANCE"
CONFIG_DIR = "CONFIG_DIR"
SOCKET = "SOCKET_"
"""Begins the names of variables that hold the number of a socket."""
MARK = "\0"
BARE = "-"
"""Before a name: the variable stood outside quotes, where its value is split into words."""


def variable(name: str) -> str:
    """Return a variable as part of a text."""
    return f"{MARK}{name}{MARK}"


def names_in(text: str) -> list[str]:
    """Return the names of the variables in a text."""
    return [name.removeprefix(BARE) for name in text.split(MARK)[1::2]]


def rendered(text: str) -> str:
    """Return the text as Taskmaster expands it: `${NAME}` for a variable, `$${` for a literal `${`."""
    pieces = text.split(MARK)
    made: list[str] = []
    for number, piece in enumerate(pieces):
        if number % 2:
            made.append(f"${{{piece.removeprefix(BARE)}}}")
            continue
        literal = piece.replace("${", "$${")
        bare = literal.rstrip("$")
        if number + 1 < len(pieces) and bare != literal:  # a final $ would escape the variable
            literal = f"{bare}${{TASKMASTER_DOLLAR:-{literal[len(bare) :]}}}"
        made.append(literal)
    return "".join(made)


def literal(text: str) -> str:
    """Return a text that holds no variable as Taskmaster writes it."""
    return text.replace("${", "$${")


def for_shell(word: str) -> str:
    """Return a word of a command for /bin/sh: its variables are expanded, and split where they were bare."""
    made: list[str] = []
    for number, piece in enumerate(word.split(MARK)):
        if not number % 2:
            made.append(shlex.quote(piece) if piece else "")
        elif piece.startswith(BARE):
            made.append(f"${{{piece[1:]}}}")
        else:
            made.append(f'"${{{piece}}}"')
    whole = "".join(made)
    lone = whole[2:-1]
    return f"${lone}" if whole == f"${{{lone}}}" else whole or "''"


def split_words(text: str) -> list[str]:
    """Return the words of a command as a POSIX shell splits it. Raises ValueError for an open quote."""
    try:
        return shlex.split(text)
    except ValueError as error:
        reason = str(error)
        raise ValueError(f"cannot be split into words: {reason[:1].lower()}{reason[1:]}") from None


def marked_bare(text: str) -> str:
    """Return a command with its unquoted variables marked as such; those of ours have no blanks and stay."""
    made: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        character = text[at]
        if character == MARK:
            end = text.index(MARK, at + 1)
            name = text[at + 1 : end]
            whole = quote or name in (INSTANCE, CONFIG_DIR) or name.startswith(SOCKET)
            made.append(variable(name if whole else BARE + name))
            at = end + 1
            continue
        if character == "\\" and quote != "'":
            made.append(text[at : at + 2] if text[at + 1 : at + 2] != MARK else character)
            at += 2 if text[at + 1 : at + 2] != MARK else 1
            continue
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        made.append(character)
        at += 1
    return "".join(made)


def without_continuations(text: str) -> str:
    """Return the text with its lines joined."""
    return " ".join(line.strip() for line in text.split("\n"))

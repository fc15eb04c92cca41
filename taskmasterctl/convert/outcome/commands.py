"""A command whose variables its own tool puts in before it splits the words, as `cmd`. Pure."""

from __future__ import annotations

from taskmasterctl.convert.outcome.texts import (
    BARE,
    MARK,
    for_shell,
    marked_bare,
    rendered,
    split_words,
    without_continuations,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def has_bare(text: str) -> bool:
    """Return whether a variable stands outside quotes, where the tool splits its value into words."""
    return f"{MARK}{BARE}" in marked_bare(text)


def shell_command(text: str) -> str:
    """Return the command as /bin/sh runs it, so that the values of bare variables are split. Raises ValueError."""
    return " ".join(("exec", *map(for_shell, split_words(marked_bare(text)))))


def plain_command(text: str) -> Any:
    """Return the command as text if that means the same, else as a list of words. Raises ValueError."""
    words = split_words(text)
    if not words:
        raise ValueError("no command")
    joined = without_continuations(text)
    if "\\\n" not in text and split_words(joined) == words:
        return rendered(joined)
    return [rendered(word) for word in words]

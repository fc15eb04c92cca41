"""User names for the uids in the daemon's texts. Pure.

The daemon sends numbers only: looking up an account can take long, and the daemon must not wait.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    UserName = Callable[[int], str]

FOR_ROLES = "{users: ["
"""How the line begins that a refusal proposes for the configuration; a list with one user follows."""
MOST_DIGITS = 10
"""Digits of the largest uid."""


def with_names(text: str, user_name: UserName | None, *, short: bool = False) -> str:
    """Return the text with `deploy (uid 1001)` for `uid 1001`, or with `deploy` if `short`.

    `user_name` returns "" for a uid without a name. Uid 0 stays a number.
    """
    if user_name is None:
        return text
    if FOR_ROLES in text:
        return _in_list(text, user_name)
    if "uid " not in text:
        return text
    words = text.split(" ")
    for at in range(len(words) - 1, 0, -1):
        digits = words[at].rstrip(".,:;)")
        if words[at - 1] != "uid" or not digits.isascii() or not digits.isdecimal() or len(digits) > MOST_DIGITS:
            continue
        name = user_name(int(digits)) if int(digits) else ""
        if name:
            after = words[at].removeprefix(digits)
            words[at - 1 : at + 1] = [f"{name}{after}" if short else f"{name} (uid {digits}){after}"]
    return " ".join(words)


def _in_list(text: str, user_name: UserName) -> str:
    """Return a line of a configuration with the name of its user in place of the uid; both mean the same."""
    before, begin, rest = text.partition(FOR_ROLES)
    digits, end, after = rest.partition("]")
    is_uid = digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS
    return f"{before}{begin}{(user_name(int(digits)) if is_uid else '') or digits}{end}{after}"

"""Users by name in what the daemon says: it knows numbers only, since a look at the accounts may take long. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    UserName = Callable[[int], str]

MOST_DIGITS = 10


def with_names(text: str, user_name: UserName | None, *, short: bool = False) -> str:
    """Return the text with `uid 1001` as `deploy (uid 1001)`, or as `deploy` where it is `short`.

    `user_name` returns "" for a user without a name. Everybody knows who uid 0 is.
    """
    if user_name is None or "uid " not in text:
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

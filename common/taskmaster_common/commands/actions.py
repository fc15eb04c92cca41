"""What single verbs ask of their words: an action as first argument, such as `alert test RULE`; flags that exclude each other; numbers."""

from __future__ import annotations

from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from taskmaster_common.commands.grammar import Request

MOST_REASON = 200
"""Longest reason of `disable`, characters."""
MOST_DIGITS = 9
FILE = "file"
"""The number of `scale` that means the file's."""
OF_ALERTS = (("list", "look"), ("test", "admin"), ("flush", "admin"))
"""The actions of `alert`, with the level that each needs."""
EXPORTED = tuple((kind, "look") for kind in ("systemd", "compose", "kubernetes", "procfile"))
"""The targets of `export`; it asks no daemon, so they need no level."""


def level_of(actions: Sequence[tuple[str, str]], targets: Sequence[str], usual: str) -> str:
    """Return the level of the action that the first target names; `usual` is that of the verb."""
    return dict(actions).get(targets[0], usual) if targets else usual


def action_problem(
    verb: str, actions: Sequence[tuple[str, str]], flags: Container[str], targets: Sequence[str]
) -> tuple[str, ...]:
    """Return what is wrong with what follows a verb, and perhaps a hint; () for nothing, and for a verb without actions.

    The first action is meant where none is named, and takes no name; the others take one.
    """
    if not actions:
        return ()
    words = [word for word, _level in actions]
    if actions is EXPORTED:
        return _kind_problem(verb, words, targets)
    action = targets[0] if targets else words[0]
    if action not in words:
        near = nearest(action, words)
        hint = f"did you mean {near}?" if near else f"it takes {', '.join(words)}"
        return (f'{verb} does not take "{action}"; {hint}',)
    count = 0 if action == words[0] else 1
    if len(targets) > count + 1:
        return (f'{verb} {action} does not take "{targets[count + 1]}"',)
    if count and len(targets) < count + 1:
        return f"{verb} {action} needs the name of a rule", "`alert list` shows the rules"
    if "event" in flags and action != "test":
        return (f"--event belongs to {verb} test",)
    return ()


def _kind_problem(verb: str, words: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
    if targets and targets[0] in words:
        return ()
    near = nearest(targets[0], words) if targets else ""
    said = f'{verb} does not know "{targets[0]}"' if targets else f"{verb} needs a kind"
    return (f"{said}; did you mean {near}?" if near else f"{said}; write one of {', '.join(words)}",)


def metrics_problem(flags: Container[str]) -> str:
    """Return which flags of `metrics` do not go together, "" where all do."""
    if "listen" in flags and "output" in flags:
        return "--listen and --output exclude each other: run it twice"
    if "listen" in flags and "format" in flags:
        return "--listen answers in the format that it is asked for: leave --format out"
    if "every" in flags and "output" not in flags:
        return "--every needs --output FILE: only a file is written again and again"
    return ""


def scale_problem(verb: str, targets: Sequence[str]) -> tuple[str, ...]:
    """Return what is wrong with what follows `scale`, and perhaps a hint; () for nothing, and for other verbs."""
    if verb != "scale":
        return ()
    if len(targets) < 2:
        return ("scale needs a name and a number", "`file` means the number in the file")
    name, word = targets[:2]
    digits = word.lstrip("+-") if word[:1] in "+-" else word
    if word != FILE and not (
        digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS and len(word) - len(digits) < 2
    ):
        return f'"{word}" is no number of instances', "write 5, +1, -1 or file"
    return ("scale is about a whole program", f"write {name.partition(':')[0]}") if ":" in name else ()


def count_after(word: str, present: int) -> int:
    """Return the number that a word of `scale` means where `present` instances are wanted: "5", "+1", "-1"."""
    return present + int(word) if word[:1] in ("+", "-") else int(word)


def with_reason(request: Request) -> Request:
    """Return the request as it travels: a word of the wire has no blanks, so they, and `%`, are written as in a URL."""
    reason = request.text("reason")
    sent = "".join(each if each.isprintable() and each not in " %" else _escaped(each) for each in reason)
    return request.replace(flags={**request.flags, "reason": sent}) if sent != reason else request


def reason_in(request: Request) -> str:
    """Return the reason in a request that has travelled, on one line."""
    head, *rest = request.text("reason").encode("utf-8", "surrogateescape").split(b"%")
    pieces = [head, *(_unescaped(piece) for piece in rest)]
    text = b"".join(pieces).decode("utf-8", "replace")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MOST_REASON]


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def _unescaped(piece: bytes) -> bytes:
    """Return what follows a `%`: two hexadecimal digits are a byte, all else is meant as it stands."""
    digits = piece[:2]
    if len(digits) == 2 and all(each in b"0123456789abcdefABCDEF" for each in digits):
        return bytes((int(digits, 16),)) + piece[2:]
    return b"%" + piece


CLASHES = (
    ("merge", "follow", "--merge sorts what is there already; with --follow lines come as they are written"),
    ("merge", "timestamps", "--merge goes by the times in the lines; --timestamps is for logs without"),
    (
        "usage",
        "watch",
        "--usage shows one sample, and --watch does not wait for samples",
        "figures that go on: top",
    ),
)
"""Flags that do not go together, why not, and what does."""

"""What single verbs ask of their words: an action as first argument, such as `alert test RULE`; flags that exclude each other."""

from __future__ import annotations

from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

OF_ALERTS = (("list", "look"), ("test", "admin"), ("flush", "admin"))
"""The actions of `alert`, with the level that each needs."""


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


def metrics_problem(flags: Container[str]) -> str:
    """Return which flags of `metrics` do not go together, "" where all do."""
    if "listen" in flags and "output" in flags:
        return "--listen and --output exclude each other: run it twice"
    if "listen" in flags and "format" in flags:
        return "--listen answers in the format that it is asked for: leave --format out"
    if "every" in flags and "output" not in flags:
        return "--every needs --output FILE: only a file is written again and again"
    return ""

"""Hooks as values of a program: a flat row of texts, so that programs with the same hooks share one policy."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

USUAL_TIMEOUT_S = 30.0
HOOK_KEYS = ("pre_start", "post_start", "pre_restart", "pre_stop", "stop_cmd", "post_stop")
"""The keys whose values are hooks."""
_SHELL = "shell"


class HookCommand(Record):
    """What a hook runs: words, or with `shell` one text for /bin/sh; `user` is "" for the program's own."""

    words: tuple[str, ...]
    shell: bool = False
    user: str = ""
    timeout_s: float = USUAL_TIMEOUT_S

    def row(self) -> tuple[str, ...]:
        """Return the value of the key: time limit, user, "shell" or "", then the words."""
        return (f"{self.timeout_s:g}", self.user, _SHELL if self.shell else "", *self.words)


def hook_of(row: Sequence[str]) -> HookCommand:
    """Return the hook that `HookCommand.row` was made from."""
    timeout, user, shell, *words = row
    return HookCommand(tuple(words), shell == _SHELL, user, float(timeout))


def written_hook(row: Sequence[str]) -> list[str] | dict[str, Any]:
    """Return a hook as one writes it in the file: a list of words, or a map where it says more."""
    hook = hook_of(row)
    more: dict[str, Any] = {"shell": True} if hook.shell else {}
    more |= {"timeout": hook.timeout_s} if hook.timeout_s != USUAL_TIMEOUT_S else {}
    more |= {"user": hook.user} if hook.user else {}
    words: Any = hook.words[0] if hook.shell else list(hook.words)
    return {"cmd": words, **more} if more else words

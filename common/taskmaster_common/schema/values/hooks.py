"""A hook: a command as `cmd` is written, split without a shell, or a map with the command and its limits."""

from __future__ import annotations

from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.schema.nodes import MAPPING
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import WrongElementError, WrongElementsError, boolean_of, text_of
from taskmaster_common.schema.values.split import words_of
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

NAMES = ("cmd", "shell", "timeout", "user")
MEANT = {"command": "cmd", "exec": "cmd", "run": "cmd", "script": "cmd", "timeout_seconds": "timeout"}
LEAST_S = 0.1
"""Least time limit, seconds."""


def decode_hook(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return the hook as a row of texts. Raises ValueError, or WrongElementsError with each wrong name."""
    if node.kind != MAPPING:
        return HookCommand(tuple(words_of(node, context, key, shell=False))).row()
    unknown = [name for name in node.entries if name not in NAMES]
    if unknown:
        raise WrongElementsError([WrongElementError(node.entries[name][0], _unknown(name)) for name in unknown])
    if "cmd" not in node.entries:
        raise ValueError("cmd is missing: the command to run")
    parts = {name: value for name, (_, value) in node.entries.items()}
    shell = "shell" in parts and boolean_of(parts["shell"], context, key)
    found = HookCommand(tuple(words_of(parts["cmd"], context, key, shell=shell)), shell)
    if "timeout" in parts:
        found = found.replace(timeout_s=_timeout(text_of(parts["timeout"], context, key)))
    if "user" in parts:
        user = text_of(parts["user"], context, key)
        if not user:
            raise ValueError("user: a name has at least one character")
        found = found.replace(user=user)
    return found.row()


def _timeout(text: str) -> float:
    seconds = parse_seconds(text)
    if seconds < LEAST_S:
        raise ValueError(f"timeout: {quoted(text)} is less than {LEAST_S} s")
    return seconds


def _unknown(name: str) -> str:
    near = nearest(name, NAMES) or MEANT.get(name, "")
    meant = f"did you mean {near}?" if near else f"the keys of a hook are {', '.join(NAMES)}"
    return f"unknown key {quoted(name)}; {meant}"

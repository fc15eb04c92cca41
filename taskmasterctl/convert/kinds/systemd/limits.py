"""Limits of a unit -> `rlimits`, `limits`, `nice`, `oom_score_adj`, `cpu_affinity`, as far as there are such keys. Pure."""

from __future__ import annotations

import re

from taskmaster_common.config import PROGRAM_KEYS
from taskmaster_common.config.limits import MARKED
from taskmasterctl.convert.kinds.systemd.rows import LIMITS
from taskmasterctl.convert.kinds.systemd.syntax import INFINITY, plain, seconds, size
from taskmasterctl.convert.outcome.model import Plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterctl.convert.kinds.systemd.unit import Directive, Unit
    from taskmasterctl.convert.outcome.model import Block, Draft

UNLIMITED = "unlimited"
IN_BYTES = ("as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack")
IN_SECONDS = ("cpu",)
OF_GROUPS = {
    "MemoryMax": "memory",
    "MemoryHigh": "memory_high",
    "MemorySwapMax": "swap",
    "CPUQuota": "cpu",
    "CPUWeight": "cpu_weight",
    "TasksMax": "tasks",
}


class Limits:
    """The limits of one program."""

    def __init__(self, unit: Unit, block: Block, outcome: Draft) -> None:
        self._unit = unit
        self._block = block
        self._outcome = outcome

    def convert(self) -> None:
        """Set the keys, or report what is lost where there are none."""
        self._map("rlimits", LIMITS, _rlimit)
        self._map("limits", OF_GROUPS, _of_group)
        self._one("Nice", "nice", int)
        self._one("OOMScoreAdjust", "oom_score_adj", int)
        self._one("CPUAffinity", "cpu_affinity", lambda text: ",".join(text.replace(",", " ").split()))

    def _map(self, key: str, names: dict[str, str], reader: Callable[[str, str], Any]) -> None:
        values: dict[str, Any] = {}
        for name, inner in names.items():
            directive = self._unit.last(name)
            if directive is None or self._lacks(directive, key):
                continue
            if inner == "nofile" and directive.value.split(":")[0] == "infinity":
                text = "programs that close all descriptors would take minutes"
                self._outcome.drop(
                    self._unit.place(directive), text, "a number, such as 65536", on=self._block, key=key
                )
                continue
            try:
                values[inner] = reader(inner, directive.value)
            except ValueError as error:
                self._unit.refuse(directive, str(error))
            self._outcome.carried()
        values = {name: value for name, value in values.items() if value is not None}
        if values:
            self._block.set(key, values)

    def _one(self, name: str, key: str, reader: Callable[[str], Any]) -> None:
        directive = self._unit.last(name)
        if directive is None or self._lacks(directive, key):
            return
        try:
            self._block.set(key, reader(directive.value))
        except ValueError:
            self._unit.refuse(directive, "no such value of systemd")
        self._outcome.carried()

    def _lacks(self, directive: Directive, key: str) -> bool:
        if key in PROGRAM_KEYS:
            return False
        self._outcome.drop(
            self._unit.place(directive), "there is no such limit here", "set it on taskmasterd", on=self._block
        )
        return True


def _rlimit(name: str, text: str) -> Any:
    """Return `soft`, or [soft, hard]. Raises ValueError."""
    parts = [_one_limit(name, part) for part in text.split(":")]
    if name in MARKED:
        return [parts[0], None]
    if name == "nofile" and parts[-1] == UNLIMITED:  # the most of the kernel, which is no number for a program
        return [parts[0], None]
    return parts[0] if len(parts) == 1 or parts[0] == parts[1] else parts[:2]


def _one_limit(name: str, text: str) -> Any:
    if text == "infinity":
        return UNLIMITED
    if name in IN_BYTES:
        return size(text)
    if name in IN_SECONDS:
        value = seconds(text)
        return UNLIMITED if value == INFINITY else int(value)
    if name == "rttime":
        value = int(text) / 1e6 if text.isdecimal() else seconds(text)
        return UNLIMITED if value == INFINITY else plain(value)
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError("not a number")
    return 20 - int(text) if name == "nice" and text[0] in "+-" else int(text)


def _of_group(name: str, text: str) -> Any:
    """Return a limit of a control group, None for none. Raises ValueError."""
    if text == "infinity":
        return None
    if name == "cpu":
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%", text):
            raise ValueError("not a percentage")
        return Plain(text)
    if name in ("cpu_weight", "tasks"):
        if not text.isdecimal():
            raise ValueError("known only where systemd runs")
        return int(text)
    return size(text)

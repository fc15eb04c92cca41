"""What watched files mean: a value of `watch` as a record. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

RESTART: Final = "restart"
SIGNAL: Final = "signal"


class WatchRules(Record):
    """Of one program: paths and patterns as written, seconds; `poll` 0: as the kernel tells. `signal` is a name where `action` is SIGNAL."""

    paths: tuple[str, ...]
    include: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    debounce: float = 0.3
    action: str = RESTART
    signal: str = ""
    poll: float = 0.0
    default_ignores: bool = True


def watch_rules_of(value: Mapping[str, Any]) -> WatchRules:
    """Return the rules in a value of `watch`."""
    action, _, signal = value.get("action", RESTART).partition(" ")
    given: dict[str, Any] = {**value, "action": action, "signal": signal}
    for name in ("paths", "include", "ignore"):
        given[name] = tuple(value.get(name, ()))
    return WatchRules(**given)

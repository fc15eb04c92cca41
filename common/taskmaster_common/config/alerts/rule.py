"""The record of an alert rule.

Made by `python -m scripts.generate` from the table in `keys`; not edited by hand.
Durations are seconds. None means what `words` has for the rule's destination, of `user` and `group` the daemon's own.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class AlertRule(Record):
    """One entry under `alerts:`, all values decoded. One of `cmd`, `mail`, `http` and `syslog` is not empty."""

    name: str
    events: tuple[str, ...] = ("trouble", "recovered")
    targets: tuple[str, ...] = ()
    cmd: Mapping[str, Any] = {}
    mail: Mapping[str, Any] = {}
    http: Mapping[str, Any] = {}
    syslog: Mapping[str, Any] = {}
    for_: float = 0.0
    batch: float | None = None
    at_most: tuple[int, float] | None = None
    timeout: float = 30.0
    give_up: float = 86400.0
    user: str | None = None
    group: str | None = None
    env: Mapping[str, str | None] = {}
    workingdir: str = "/"


ALERT_KEYS = (
    "events",
    "targets",
    "cmd",
    "mail",
    "http",
    "syslog",
    "for",
    "batch",
    "at_most",
    "timeout",
    "give_up",
    "user",
    "group",
    "env",
    "workingdir",
)
"""The keys that a file may use, in the order of the reference."""

"""Alert rules as one writes them in the file, without what may be a secret. Pure."""

from __future__ import annotations

from taskmaster_common.config.alerts.places import is_loopback, shown_url
from taskmaster_common.config.alerts.rule import ALERT_KEYS
from taskmaster_common.config.alerts.words import batch_of, kind_of, limit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmaster_common.config.alerts.rule import AlertRule

HIDDEN = "***"
OF_CMD = ("user", "group", "env", "workingdir")


def written_rule(rule: AlertRule, *, values: bool) -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of a rule; None for a key that is not set. Without `values`, those of headers are hidden."""
    kind = kind_of(rule)
    for key in ALERT_KEYS:
        if key == kind:
            yield key, written_destination(kind, getattr(rule, kind), values=values)
        elif key in ("cmd", "mail", "http", "syslog") or (key in OF_CMD and kind != "cmd"):
            continue
        elif key == "for":
            yield key, rule.for_
        elif key == "batch":
            yield key, batch_of(rule)
        elif key == "at_most":
            limit = limit_of(rule)
            yield key, f"{limit[0]}/{limit[1]:g}s" if limit else None
        elif key == "targets":
            yield key, list(rule.targets) or None
        else:
            value = getattr(rule, key)
            yield key, list(value) if isinstance(value, tuple) else value


def written_destination(kind: str, value: Mapping[str, Any], *, values: bool) -> Any:
    """Return a destination as it is written; of a URL only scheme and host."""
    if kind == "cmd":
        words = value["cmd"]
        return {"cmd": words[0], "shell": True} if value.get("shell") else list(words)
    found = {name: each for name, each in value.items() if name not in ("host", "port")}
    if found.get("tls") == "off" and not is_loopback(value["host"]):
        found["insecure"] = True
    if "url" in found:
        found["url"] = shown_url(found["url"])
    if "headers" in found and not values:
        found["headers"] = dict.fromkeys(found["headers"], HIDDEN)
    return found

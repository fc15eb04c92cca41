"""The words that `events` of an alert rule may have, and what several of them stand for. Pure."""

from __future__ import annotations

from taskmaster_common.config.alerts.places import shown_url
from taskmaster_common.config.events import CRASH, EVENTS, OOM, RECOVERED, TROUBLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.config.alerts.rule import AlertRule

FAILED_ALERT = "alert-failed"
"""The event that no rule can match: an alert about it could fail, too."""

WORDS = (TROUBLE, RECOVERED, CRASH, OOM, *(event for event in EVENTS if event != FAILED_ALERT))
"""All words that a rule may name."""

CMD, MAIL, HTTP, SYSLOG = DESTINATIONS = ("cmd", "mail", "http", "syslog")
"""The keys of which a rule has exactly one."""

USUAL_BATCH_S = {CMD: 0.0, MAIL: 30.0, HTTP: 30.0, SYSLOG: 0.0}
"""`batch` where it is not written, seconds."""
USUAL_AT_MOST: Mapping[str, tuple[int, float] | None] = {
    CMD: (600, 3600.0),
    MAIL: (30, 3600.0),
    HTTP: (30, 3600.0),
    SYSLOG: None,
}
"""`at_most` where it is not written: messages, seconds."""


def kind_of(rule: AlertRule) -> str:
    """Return the key of the rule's destination."""
    return next(kind for kind in DESTINATIONS if getattr(rule, kind))


def batch_of(rule: AlertRule) -> float:
    """Return for how long the rule gathers events, seconds."""
    return USUAL_BATCH_S[kind_of(rule)] if rule.batch is None else rule.batch


def limit_of(rule: AlertRule) -> tuple[int, float] | None:
    """Return how many messages the rule may send in how many seconds, None for any number."""
    return USUAL_AT_MOST[kind_of(rule)] if rule.at_most is None else rule.at_most


def shown_destination(rule: AlertRule) -> str:
    """Return where the rule's messages go, for everybody to read: without passwords, and of a URL only scheme and host."""
    kind = kind_of(rule)
    value = getattr(rule, kind)
    if kind == CMD:
        return "cmd /bin/sh" if value.get("shell") else f"cmd {value['cmd'][0]}"
    if kind == SYSLOG:
        return f"syslog {value['to']}"
    if kind == HTTP:
        return f"http {shown_url(value['url']) if 'url' in value else value.get('url_file', 'of a URL not known yet')}"
    by = f" by {value['server']}" if "server" in value else ""
    return f"mail {', '.join(value['to'])}{by}"

"""`ready` and `health` as a healthcheck. Pure. Source: the Compose specification, 05-services."""

from __future__ import annotations

from taskmaster_common.config.health import NOTHING
from taskmasterctl.convert.export.targets.compose.draft import ServiceDraft, duration
from taskmasterctl.convert.export.targets.containers import (
    limits_start,
    probe_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def asked(value: Mapping[str, Any]) -> bool:
    """Return whether a value of `health` or `ready` is a command, a URL or a port."""
    return probe_of(value)[0] in ("exec", "http", "tcp")


def health(draft: ServiceDraft) -> None:
    """Carry `health`."""
    value = draft.source.config.health
    if not value:
        return
    if _healthcheck(draft, "health", value) and value.get("action", "restart") != NOTHING:
        draft.changed("health", "Compose marks what is unhealthy and does nothing about it")
    if "successes" in value:
        draft.changed("health", "one success makes it healthy again")


def ready(draft: ServiceDraft) -> None:
    """Carry `ready`, where `health` has not taken the one healthcheck."""
    value = draft.source.config.ready
    if not value or value.get("health"):
        return
    if asked(draft.source.config.health):
        draft.dropped("ready", "one healthcheck is all that a service has, and health is that")
    elif _healthcheck(draft, "ready", value):
        draft.changed("ready", "is asked all the time there, and what fails later is marked unhealthy")


def _healthcheck(draft: ServiceDraft, key: str, value: Mapping[str, Any]) -> bool:
    """Write a probe as a healthcheck, or say why it is none; return whether it is."""
    way, _ = probe_of(value)
    found = draft.value(key).get(way)
    test: list[str] = []
    if way == "exec" and value.get("shell"):
        test = ["CMD-SHELL", draft.text(found[0])]
    elif way == "exec":
        test = ["CMD", *draft.words(found, shell=False)]
    elif way == "http" and not str(found).startswith("unix:"):
        headers = [part for pair in value.get("headers", {}).items() for part in ("-H", draft.text(": ".join(pair)))]
        test = ["CMD", "curl", "-fsS", "-o", "/dev/null", *headers, draft.text(found)]
        draft.changed(
            key, "curl has to be in the image" + (", and asks for no status of its own" * ("status" in value))
        )
    elif way == "tcp":
        host, _, port = str(found).rpartition(":")
        test = ["CMD", "nc", "-z", draft.text(host.strip("[]")), draft.text(port)]
        draft.changed(key, "nc has to be in the image")
    if not test:
        draft.dropped(key, "a healthcheck is a command there", "write one")
        return False
    draft.data["healthcheck"] = {
        "test": test,
        "interval": duration(value.get("interval", 10.0 if key == "health" else 1.0)),
        "timeout": duration(value.get("timeout", 3.0)),
        "retries": value.get("retries", 3),
        "start_period": duration(_patience(draft, key, value)),
    }
    return True


def start_timeout(draft: ServiceDraft) -> None:
    """Say that `start_timeout` is lost, where no healthcheck has it."""
    config = draft.source.config
    if limits_start(config) and "start_timeout" in draft.source.written and not asked(config.ready):
        draft.dropped("start_timeout", "a start may take as long as it likes")


def _patience(draft: ServiceDraft, key: str, value: Mapping[str, Any]) -> float:
    limit = value.get("start_period", 30.0) if key == "health" else draft.source.config.policy.start_timeout
    return float(limit)

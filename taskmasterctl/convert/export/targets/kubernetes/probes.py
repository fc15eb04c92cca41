"""`ready` and `health` as probes. Pure. Source: the API reference of Kubernetes, core/v1."""

from __future__ import annotations

from taskmaster_common.config.health import NOTHING
from taskmasterctl.convert.export.targets.containers import (
    probe_of,
    url_parts,
    whole,
)
from taskmasterctl.convert.export.targets.kubernetes.draft import PodDraft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


SUCCESSES = "one success makes it well again"


def health(draft: PodDraft) -> None:
    """Carry `health`."""
    value = draft.source.config.health
    probe = _probe(draft, "health", value) if value else {}
    if not probe:
        return
    probe["failureThreshold"] = value.get("retries", 3)
    action = value.get("action", "restart")
    if action == NOTHING:
        draft.data["readinessProbe"] = {**probe, "successThreshold": value.get("successes", 2)}
        return
    if action != "restart":
        draft.changed("health", f"it is restarted, whatever action says ({action})")
    if "successes" in value:
        draft.changed("health", SUCCESSES)
    draft.data["livenessProbe"] = probe
    period = value.get("start_period", 30.0)
    if period:
        tries = max(1, whole(period / probe["periodSeconds"]))
        draft.data["startupProbe"] = {**probe, "failureThreshold": tries}


def ready(draft: PodDraft) -> None:
    """Carry `ready`."""
    value = draft.source.config.ready
    if value.get("health"):
        value = draft.source.config.health
        if "readinessProbe" not in draft.data and value and (probe := _probe(draft, "health", value)):
            draft.data["readinessProbe"] = probe
    elif value and (probe := _probe(draft, "ready", value)):
        draft.data["readinessProbe"] = probe
        draft.changed("ready", "is asked all the time there, and what fails later gets no traffic")


def _probe(draft: PodDraft, key: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a probe, {} for one that is none there, which is said."""
    way, _ = probe_of(value)
    asked = draft.value(key).get(way)
    interval = value.get("interval", 10.0 if key == "health" else 1.0)
    times = {"periodSeconds": whole(interval, 1), "timeoutSeconds": whole(value.get("timeout", 3.0), 1)}
    if way == "exec":
        return {"exec": {"command": draft.words(asked, shell=bool(value.get("shell")))}, **times}
    if way == "tcp":
        host, _, port = str(asked).rpartition(":")
        if port.isdecimal():
            _asked_at(draft, key, host)
            return {"tcpSocket": {"port": int(port)}, **times}
    parts = url_parts(str(asked)) if way == "http" else None
    if parts:
        scheme, host, port_number, path = parts
        _asked_at(draft, key, host)
        headers = [{"name": name, "value": text} for name, text in value.get("headers", {}).items()]
        if "status" in value:
            draft.changed(key, "every status from 200 to 399 is well")
        return {
            "httpGet": {"path": path, "port": port_number, "scheme": scheme.upper(), "httpHeaders": headers},
            **times,
        }
    if draft.source.differs(key):
        draft.dropped(key, "a probe asks by a command, a port or HTTP there", "write one")
    return {}


def _asked_at(draft: PodDraft, key: str, host: str) -> None:
    draft.changed(
        key, f"asked at the address of the pod, not at {host or 'this host'}: it has to listen there", shown=False
    )

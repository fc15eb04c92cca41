"""`depends_on` as dependencies of services. Pure. Source: the Compose specification, 05-services."""

from __future__ import annotations

from taskmaster_common.config.graph import DONE, ENDED, HEALTHY, STARTED
from taskmasterctl.convert.export.targets.compose.draft import ServiceDraft
from taskmasterctl.convert.export.targets.compose.health import asked
from taskmasterctl.convert.export.targets.containers import (
    names_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.config.graph import Edge
    from taskmasterctl.convert.export.targets.source import ExportSource


def depends_on(draft: ServiceDraft) -> None:
    """Carry `depends_on`."""
    found: dict[str, dict[str, Any]] = {}
    for edge, name, index, needed in draft.needs():
        if needed is None:
            draft.dropped("depends_on", f"{name} is not exported, so nothing waits for it")
            continue
        condition = _condition(draft, edge, needed)
        rule: dict[str, Any] = {"condition": condition}
        rule |= {} if edge.required and edge.condition != ENDED else {"required": False}
        rule |= {"restart": True} if edge.restart else {}
        found |= dict.fromkeys(names_of(draft.entries, name, index), rule)
        if index is not None and needed.config.numprocs > 1 and not needed.numbered():
            draft.changed("depends_on", f"waits for all replicas of {name}")
    draft.data["depends_on"] = found


def _condition(draft: ServiceDraft, edge: Edge, needed: ExportSource) -> str:
    job = needed.config.policy.type == "oneshot"
    condition = edge.condition or (DONE if job else "ready")
    if condition in (DONE, ENDED) and job:
        if condition == ENDED:
            draft.changed(
                "depends_on", f"waits until {needed.name} has ended well, and starts all the same where it has not"
            )
        return "service_completed_successfully"
    if condition == STARTED:
        return "service_started"
    if condition in (DONE, ENDED):
        draft.changed("depends_on", f"waits until {needed.name} has ended well")
        return "service_completed_successfully"
    if _checked(needed):
        return "service_healthy"
    if condition == HEALTHY or needed.config.ready:
        draft.changed("depends_on", f"waits until {needed.name} was executed: it has no healthcheck there")
    return "service_started"


def _checked(source: ExportSource) -> bool:
    """Return whether a program has a healthcheck there."""
    return asked(source.config.health) or asked(source.config.ready)

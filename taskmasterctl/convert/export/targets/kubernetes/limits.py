"""Limits, schedules and what else a pod may have beside its program. Pure. Source: the API reference of Kubernetes, core/v1."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.containers import (
    clear_env,
    whole,
)
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost, silent
from taskmasterctl.convert.export.targets.kubernetes.times import CronLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.export.targets.kubernetes.draft import PodDraft


POLICIES = {"skip": "Forbid", "replace": "Replace"}


def _schedule(draft: PodDraft) -> None:
    value = draft.source.value("schedule")
    if not value:
        return
    lines = CronLines(value)
    if lines.missing:
        draft.dropped(
            "schedule", lines.missing, "write cron: in the file, or loop in the program; the Job is suspended"
        )
        draft.spec["suspend"] = True
        return
    draft.times = lines.found
    if any(zone is None for _line, zone in lines.found):
        draft.note("has no timezone: its times are those of the cluster's clock there, mostly UTC")
    for text in lines.changed:
        draft.changed("schedule", text)
    overlap = value.get("overlap", "skip")
    draft.cron.update(
        {
            "concurrencyPolicy": POLICIES.get(overlap, "Forbid"),
            "startingDeadlineSeconds": max(1, whole(value.get("catch_up", 3600.0))),
            "successfulJobsHistoryLimit": min(value.get("history", 20), 20),
        }
    )
    if overlap not in POLICIES:
        draft.changed("schedule", f"overlap: {overlap}: what is due while it runs is left out")
    if value.get("jitter") or value.get("at_start"):
        draft.dropped("schedule", "jitter and at_start: a CronJob has neither")


def _limits(draft: PodDraft) -> None:
    found = dict(row.split(" ", 1) for row in draft.source.value("limits"))
    limits = {name: found.pop(name) for name in ("memory", "cpu") if name in found}
    if limits:
        draft.data["resources"] = {"limits": limits}
    if found:
        draft.dropped("limits", f"{', '.join(found)}: a pod has none of that")


LIMITS: KeyRows = {
    "rlimits": lost("rlimits", "a pod has the limits of its container runtime"),
    "nice": lost("nice", "a pod has no priority of that kind", "cmd: nice -n N ..."),
    "cpu_affinity": lost(
        "cpu_affinity", "the kubelet decides", "write whole cpus as limits, with a static CPU manager"
    ),
    "oom_score_adj": lost("oom_score_adj", "the kubelet decides, by requests and limits"),
    "limits": KeyRow("`resources.limits`: `memory`, `cpu`; else dropped", _limits),
    "cgroup": silent("each container has one"),
    "recycle": lost("recycle", "nothing restarts a pod as planned"),
    "clear_env": clear_env(),
    "env_file": lost("env_file", "a pod sees no file of this host", "make a Secret of it, and write envFrom:"),
    "enabled": silent("false: as `autostart: false`"),
    "schedule": KeyRow(
        "a CronJob for each time; `every` and `at` changed, a period that no line of cron means dropped", _schedule
    ),
    "watch": lost("watch", "nothing watches files there"),
    "sockets": lost("sockets", "no socket is passed into a container", "let the program listen, and write a Service"),
}
"""Their rows."""

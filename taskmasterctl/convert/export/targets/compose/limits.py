"""Limits, schedules and what else a service may have beside its program. Pure. Source: the Compose specification, 05-services."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.containers import clear_env
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost, silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.export.targets.containers import ContainerDraft


def _oom_score_adj(draft: ContainerDraft) -> None:
    if draft.source.value("oom_score_adj") is not None:
        draft.data["oom_score_adj"] = draft.source.value("oom_score_adj")


def _rlimits(draft: ContainerDraft) -> None:
    for row in draft.source.value("rlimits"):
        name, soft, hard = (word.replace("unlimited", "-1") for word in row.split(" "))
        if name == "as":
            draft.dropped("rlimits", "as: no container has it", "write mem_limit:")
            continue
        values = {"soft": int(soft), "hard": int(soft if hard == "-" else hard)}
        draft.data.setdefault("ulimits", {})[name] = values
        if hard == "-":
            draft.changed("rlimits", f"{name}: the hard limit becomes the same")


def _limits(draft: ContainerDraft) -> None:
    found = dict(row.split(" ", 1) for row in draft.source.value("limits"))
    memory, swap = found.pop("memory", ""), found.pop("swap", "")
    if memory:
        draft.data["mem_limit"] = int(memory)
    if memory and swap:
        draft.data["memswap_limit"] = int(memory) + int(swap)
    elif swap:
        found["swap"] = swap
    if "cpu" in found:
        draft.data["cpus"] = float(found.pop("cpu"))
    if "tasks" in found:
        draft.data["pids_limit"] = int(found.pop("tasks"))
    if found:
        draft.dropped("limits", f"{', '.join(found)}: a service has none of that")


def _cpu_affinity(draft: ContainerDraft) -> None:
    if draft.source.value("cpu_affinity"):
        draft.data["cpuset"] = ",".join(map(str, draft.source.value("cpu_affinity")))


def _env_file(draft: ContainerDraft) -> None:
    files = draft.value("env_file")
    if files:
        found = ({"path": draft.text(path.removeprefix("?")), "required": not path.startswith("?")} for path in files)
        draft.data["env_file"] = [*found]
        draft.changed("env_file", "is read when the container is made, and $NAME in it is a variable")


LIMITS: KeyRows = {
    "rlimits": KeyRow("`ulimits`; `as`: dropped", _rlimits),
    "nice": lost("nice", "a container has no priority", "cmd: nice -n N ..."),
    "cpu_affinity": KeyRow("`cpuset`", _cpu_affinity),
    "oom_score_adj": KeyRow("`oom_score_adj`", _oom_score_adj),
    "limits": KeyRow("`mem_limit`, `memswap_limit`, `cpus`, `pids_limit`; else dropped", _limits),
    "cgroup": silent("each container has one"),
    "recycle": lost("recycle", "nothing restarts a container as planned"),
    "clear_env": clear_env(),
    "env_file": KeyRow("`env_file`, changed", _env_file),
    "enabled": silent("false: `profiles: [manual]`"),
    "schedule": lost("schedule", "nothing starts a service at a time", "let cron run docker compose run NAME"),
    "watch": lost("watch", "is not written", "write develop: {watch: ...}"),
    "sockets": lost(
        "sockets", "no socket is passed into a container", "let the program listen, and publish its ports:"
    ),
}
"""Their rows."""

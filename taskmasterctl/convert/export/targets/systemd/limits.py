"""Limits, schedules and what else a unit may have beside its program. Pure."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost, silent
from taskmasterctl.convert.export.targets.systemd.listening import sockets
from taskmasterctl.convert.export.targets.systemd.timer import schedule
from taskmasterctl.convert.export.targets.systemd.units import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft


INHERITS = "gets the environment of taskmasterd here, and little more than PATH and LANG from systemd"


def _clear_env(unit: UnitDraft) -> None:
    names = unit.source.value("clear_env")
    if not names:
        unit.note(INHERITS)
    if names and not isinstance(names, bool):
        unit.set("PassEnvironment", " ".join(names))


def _env_file(unit: UnitDraft) -> None:
    files = unit.value("env_file")
    for path in files:
        unit.whole("env_file", "EnvironmentFile", path.removeprefix("?"), "-" * path.startswith("?"))
    if files and unit.source.config.env:
        unit.changed("env_file", "is stronger than Environment= there")


def _recycle(unit: UnitDraft) -> None:
    recycle = unit.source.value("recycle")
    if recycle.get("age"):
        unit.set("RuntimeMaxSec", seconds(recycle["age"]))
        if recycle.get("jitter"):
            unit.set("RuntimeRandomizedExtraSec", seconds(recycle["jitter"]))
        unit.changed("recycle", "is a failure there, restarted as Restart= says")
    if recycle.get("memory"):
        unit.dropped("recycle", "nothing restarts what has grown", "write MemoryMax=, which kills it")


def _nice(unit: UnitDraft) -> None:
    if unit.source.value("nice") is not None:
        unit.set("Nice", str(unit.source.value("nice")))


def _oom_score_adj(unit: UnitDraft) -> None:
    if unit.source.value("oom_score_adj") is not None:
        unit.set("OOMScoreAdjust", str(unit.source.value("oom_score_adj")))


def _rlimits(unit: UnitDraft) -> None:
    for row in unit.source.value("rlimits"):
        name, soft, hard = (word.replace("unlimited", "infinity") for word in row.split(" "))
        unit_of_time = "us" if name == "rttime" else ""
        values = [each if each == "infinity" else each + unit_of_time for each in (soft, hard) if each != "-"]
        unit.set(f"Limit{name.upper()}", ":".join(dict.fromkeys(values)))
        if hard == "-":
            unit.changed("rlimits", f"{name}: the hard limit becomes the same")


GROUP = {
    "memory": "MemoryMax",
    "memory_high": "MemoryHigh",
    "swap": "MemorySwapMax",
    "tasks": "TasksMax",
    "cpu_weight": "CPUWeight",
}
"""Limits of a control group whose values are the same there. Source: systemd.resource-control(5)."""


def _limits(unit: UnitDraft) -> None:
    found = dict(row.split(" ", 1) for row in unit.source.value("limits"))
    for name, setting in GROUP.items():
        if name in found:
            unit.set(setting, found[name])
    if "cpu" in found:
        unit.set("CPUQuota", f"{float(found['cpu']) * 100:g}%")
    if found:
        unit.set("OOMPolicy", "kill" if found.get("oom") == "group" else "continue")
    if "required" in found:
        unit.changed("limits", "required: runs also where they are not in force")


def _cpu_affinity(unit: UnitDraft) -> None:
    if unit.source.value("cpu_affinity"):
        unit.set("CPUAffinity", " ".join(map(str, unit.source.value("cpu_affinity"))))


def _enabled(unit: UnitDraft) -> None:
    if not unit.source.value("enabled"):
        unit.changed("enabled", "is only not wanted by anything, and can be started", "systemctl mask NAME")


LIMITS: KeyRows = {
    "rlimits": KeyRow("`LimitNOFILE=` and those beside it", _rlimits),
    "nice": KeyRow("`Nice=`", _nice),
    "cpu_affinity": KeyRow("`CPUAffinity=`", _cpu_affinity),
    "oom_score_adj": KeyRow("`OOMScoreAdjust=`", _oom_score_adj),
    "limits": KeyRow(
        "`MemoryMax=`, `MemoryHigh=`, `MemorySwapMax=`, `CPUQuota=`, `CPUWeight=`, `TasksMax=`, `OOMPolicy=`", _limits
    ),
    "cgroup": silent("each unit has one"),
    "recycle": KeyRow("`age`: `RuntimeMaxSec=`, changed; `memory`: dropped", _recycle),
    "clear_env": KeyRow("true: the default there; a list: `PassEnvironment=`", _clear_env),
    "env_file": KeyRow("`EnvironmentFile=`, changed beside `env`", _env_file),
    "enabled": KeyRow("false: no `[Install]`, changed", _enabled),
    "schedule": KeyRow("`NAME.timer`", schedule),
    "watch": lost("watch", "is not written", "write a NAME.path: systemd.path(5)"),
    "sockets": KeyRow("`NAME.socket`", sockets),
}
"""Their rows."""

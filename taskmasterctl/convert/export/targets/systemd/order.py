"""`depends_on` as dependencies of units. Pure. Source: systemd.unit(5)."""

from __future__ import annotations

from taskmaster_common.config.graph import ENDED, HEALTHY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmaster_common.config.graph import Edge
    from taskmasterctl.convert.export.targets.source import ExportSource
    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft

MOST_NAMED = 100
"""Most instances that a dependency names one by one."""


def depends_on(unit: UnitDraft) -> None:
    """Write the dependencies of a program."""
    found: dict[str, dict[str, None]] = {}
    for edge, name, index, needed in unit.needs():
        if needed is None:
            unit.dropped("depends_on", f"{name} is not exported, so nothing waits for it")
            continue
        units = [*_units(unit.context.names[name], needed, index)]
        for setting in (_strength(edge), "After"):
            found.setdefault(setting, {}).update(dict.fromkeys(units))
        _say(unit, edge, name, needed)
    for setting, names in found.items():
        unit.set(setting, " ".join(names), "Unit")


def _units(name: str, needed: ExportSource, index: int | None) -> Iterator[str]:
    count = needed.config.numprocs
    if count == 1:
        yield f"{name}.service"
    elif index is None and count > MOST_NAMED:
        yield f"{name}.target"
    else:
        yield from (f"{name}@{number}.service" for number in ([index] if index is not None else range(count)))


def _strength(edge: Edge) -> str:
    if not edge.required or edge.condition == ENDED:
        return "Wants"
    return "BindsTo" if edge.restart else "Requires"


def _say(unit: UnitDraft, edge: Edge, name: str, needed: ExportSource) -> None:
    if edge.restart:
        unit.changed("depends_on", f"goes down with {name}, and does not come up again with it")
    if edge.condition == HEALTHY:
        unit.changed("depends_on", f"does not wait until {name} is well, only until it is up")
    if needed.config.numprocs > MOST_NAMED:
        unit.changed("depends_on", f"starts although an instance of {name} has failed")

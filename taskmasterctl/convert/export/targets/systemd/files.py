"""The unit files of a configuration. Pure."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.draft import carry, wanted
from taskmasterctl.convert.export.targets.outcome import ExportFiles, ExportTarget, unique
from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft, unit_name
from taskmasterctl.convert.export.targets.systemd.rows import ROWS
from taskmasterctl.convert.export.targets.systemd.units import UnitFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.export.targets.draft import ExportContext


def make(context: ExportContext, head: Sequence[str]) -> ExportFiles:
    """Return the units of all programs."""
    files: dict[str, str] = {}
    drafts: list[UnitDraft] = []
    secret: set[str] = set()
    carried = 0
    names: dict[str, str] = {}
    for program in context.sources:
        names[program] = unique(unit_name(program), names.values())
    context = context.replace(names=names)
    for source in context.sources.values():
        unit = UnitDraft(source if source.config.numprocs > 1 else source.single(), context)
        drafts.append(unit)
        name = names[source.name]
        if name != source.name:
            unit.changed("", f"the unit is called {name}")
        carried += carry(unit, ROWS)
        if unit.template:
            _with_target(files, unit, name, head)
        file = f"{name}@.service" if unit.template else f"{name}.service"
        files[file] = unit.unit.text(head)
        files.update({each: beside.text(head) for each, beside in unit.files.items()})
        if unit.secret:
            secret.add(file)
    return ExportFiles(files, tuple(drafts), carried, frozenset(secret))


def _with_target(files: dict[str, str], unit: UnitDraft, name: str, head: Sequence[str]) -> None:
    """Add the target that stands for all instances of a template."""
    unit.set("PartOf", f"{name}.target", "Unit")
    target = UnitFile()
    target.set("Unit", "Description", f"all instances of {name}")
    for number in range(unit.source.config.numprocs):
        target.set("Unit", "Wants", f"{name}@{number}.service")
    if wanted(unit.source):
        target.set("Install", "WantedBy", "multi-user.target")
    files[f"{name}.target"] = target.text(head)


SYSTEMD = ExportTarget("systemd", make, ROWS, ("systemd-analyze", "verify"))

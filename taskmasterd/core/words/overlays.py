"""Says what operators have laid over the file: who has disabled a program, since when and why. Pure; loaded with the first override."""

from __future__ import annotations

from taskmaster_common.states import STOPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmasterd.core.programs.overlay import Override, Scale
    from taskmasterd.core.programs.table import Entry, Table

BY_FILE = "disabled in the configuration"


def override_of(table: Table, program: str) -> Override | None:
    """Return the override of a program, None where the file holds."""
    return table.overlay.overrides.get(program) if table.overlay else None


def disabled_text(table: Table, program: str) -> str:
    """Return why a disabled program is: "disabled by uid 0 since 28 Nov: broken disk"."""
    override = override_of(table, program)
    return override_text(override) if override and not override.enabled else BY_FILE


def override_text(override: Override) -> str:
    """Return an override in words: "enabled by uid 0 since 28 Nov"."""
    reason = f": {override.reason}" if override.reason else ""
    return f"{'enabled' if override.enabled else 'disabled'} by {override.by} since {override.since}{reason}"


def disabled_detail(table: Table, entry: Entry, detail: str) -> str:
    """Return the DETAIL of a process of a disabled program; `detail` is what it would be otherwise."""
    text = disabled_text(table, entry.program)
    return text if entry.process.state == STOPPED or not detail else f"{detail}; {text}"


def scaled_text(scale: Scale) -> str:
    """Return a scale in words: "scaled to 5 by uid 0 (file: 2)"."""
    return f"scaled to {scale.count} by {scale.by} (file: {scale.file})"


def kept_text(table: Table, program: str) -> str:
    """Return what a reload leaves laid over a program, "" for nothing."""
    overlay, override = table.overlay, override_of(table, program)
    scale = overlay.scales.get(program) if overlay else None
    texts = [override_text(override)] if override else []
    return "; ".join([*texts, *([scaled_text(scale)] if scale else [])])


def scaled_texts(table: Table) -> Iterator[str]:
    """Yield a line for each program that is scaled: "web: scaled to 5 by uid 0 (file: 2)"."""
    for name, scale in table.overlay.scales.items() if table.overlay else ():
        yield f"{name}: {scaled_text(scale)}"


def override_view(table: Table, program: str) -> dict[str, Any] | None:
    """Return the `override` object of the wire, None where nothing is laid over the program."""
    overlay = table.overlay
    if overlay is None:
        return None
    override, scale = overlay.overrides.get(program), overlay.scales.get(program)
    view: dict[str, Any] = {}
    if override:
        view = {"enabled": override.enabled, "by": override.by, "at": override.at, "reason": override.reason}
    if scale:
        view["scale"] = {"count": scale.count, "file": scale.file, "by": scale.by, "at": scale.at}
    return view or None


def overlay_views(table: Table) -> Iterator[dict[str, Any]]:
    """Yield an object of the wire for each program over which something is laid."""
    overlay = table.overlay
    for name in dict.fromkeys((*overlay.overrides, *overlay.scales)) if overlay else ():
        slots = table.slots(name)
        stale = not (slots or name in (overlay.scales if overlay else ())) or all(entry.removed for entry in slots)
        yield {**view_of(table, name), "stale": stale}


def view_of(table: Table, program: str) -> dict[str, Any]:
    """Return the `override` message of a program."""
    return {"type": "override", "name": program, **(override_view(table, program) or {})}

"""Dependencies between the units of one import -> `depends_on`. Pure. Source: systemd.unit(5)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.convert.kinds.systemd.unit import Directive, Unit
    from taskmasterctl.convert.outcome.model import Block, Draft

SOFT = ("After", "Wants")
HARD = ("Requires", "Requisite", "Upholds")
TOGETHER = ("BindsTo", "PartOf")
NOTHING = (".target", ".slice", ".mount", ".device", ".swap")
"""Suffixes of units that are there before any daemon of ours, or are places."""


class Edges:
    """What the units say of each other; written when all of them are read."""

    def __init__(self, outcome: Draft) -> None:
        self._outcome = outcome
        self._blocks: dict[str, list[Block]] = {}
        self._wanted: list[tuple[Unit, Directive, Sequence[Block]]] = []

    def add(self, name: str, blocks: list[Block]) -> None:
        """Remember the programs of a unit by its name."""
        self._blocks[name] = blocks

    def want(self, unit: Unit, directive: Directive, blocks: Sequence[Block]) -> None:
        """Remember a directive of dependencies."""
        self._wanted.append((unit, directive, blocks))

    def write(self) -> None:
        """Write `depends_on` of all programs, and report what is not here."""
        for unit, directive, blocks in self._wanted:
            lost: list[str] = []
            for name in directive.value.split():
                others = self._blocks.get(name.removesuffix(".service"))
                if others is None:
                    lost += [] if name.endswith(NOTHING) else [name]
                    continue
                for block in blocks:
                    self._edge(directive.name, block, others)
            if lost:
                text = f"{', '.join(lost)} is not among the imported units, so nothing waits for it"
                instead = "import both, or a pre_start that waits"
                self._outcome.drop(unit.place(directive), text, instead, on=blocks[0], key="depends_on")
            else:
                self._outcome.carried()

    def _edge(self, name: str, block: Block, others: Sequence[Block]) -> None:
        pairs = [(other, block) for other in others] if name == "Before" else [(block, other) for other in others]
        for waiting, other in pairs:
            if waiting is other:
                continue
            known: dict[str, Any] = dict(waiting.keys.get("depends_on", {}))
            known[other.name] = _merged(known.get(other.name), name, other.keys)
            waiting.set("depends_on", known)


def _merged(before: Any, name: str, other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the edge: the harder of two directives counts."""
    condition = "done" if other.get("type") == "oneshot" else "ready" if "ready" in other else "started"
    edge: dict[str, Any] = {"condition": condition}
    hard = name in (*HARD, *TOGETHER) or (before is not None and before.get("required", True))
    if not hard:
        edge["required"] = False
    if name in TOGETHER or (before or {}).get("restart"):
        edge["restart"] = True
    return edge

"""One program on its way to a service. Pure. Source: the Compose specification, 12-interpolation."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.containers import (
    ContainerDraft,
)
from taskmasterctl.convert.export.targets.draft import plain_seconds
from taskmasterctl.convert.export.targets.source import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.convert.export.targets.containers import NamedSource
    from taskmasterctl.convert.export.targets.draft import ExportContext


class ServiceDraft(ContainerDraft):
    """A program as a service. `entries` are all services."""

    def __init__(self, entry: NamedSource, context: ExportContext, others: Sequence[NamedSource]) -> None:
        super().__init__(entry.source, context, entry.name)
        self.entries = others

    def text(self, text: str) -> str:
        """Return a text in which `$` is itself, and variables are Compose's."""
        return render(text, lambda part: part.replace("$", "$$"), lambda name: f"${{{name}}}", "0")

    def value(self, key: str) -> Any:
        """Return the value of a key with its variables: Compose has them everywhere."""
        return self.source.opened(key)


def duration(seconds: float) -> str:
    """Return a time as Compose writes it."""
    return f"{plain_seconds(seconds)}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"

"""One program on its way to a container of a pod. Pure. Source: the API reference of Kubernetes, core/v1."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.containers import (
    ContainerDraft,
)
from taskmasterctl.convert.export.targets.outcome import unique
from taskmasterctl.convert.export.targets.source import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmasterctl.convert.export.targets.draft import ExportContext
    from taskmasterctl.convert.export.targets.source import ExportSource


class PodDraft(ContainerDraft):
    """A program as a container of a pod: `data` is the container, `pod` what stands beside it, `spec` what stands above that.

    `cron` is what a CronJob has besides its Job, {} for none; `times` are the lines of cron, each for a CronJob, with their zones.
    """

    def __init__(self, source: ExportSource, context: ExportContext, name: str) -> None:
        super().__init__(source, context, name)
        self.pod: dict[str, Any] = {}
        self.spec: dict[str, Any] = {}
        self.cron: dict[str, Any] = {}
        self.times: list[tuple[str, str | None]] = []
        self.notes_of_object: dict[str, str] = {}

    @property
    def job(self) -> bool:
        """Whether it is a Job: what ends, and what is not started again."""
        policy = self.source.config.policy
        return policy.type == "oneshot" or policy.autorestart == "never"

    def text(self, text: str) -> str:
        """Return a text in which `$` is itself: `$(NAME)` would be a variable there."""
        return render(text, lambda part: part.replace("$", "$$"), lambda name: name, "0")

    def documents(self, taken: set[str]) -> Iterator[dict[str, Any]]:
        """Yield the whole objects; CronJobs beyond the first get names that are not `taken`."""
        if not self.times:
            yield self._document()
            return
        for number, (line, zone) in enumerate(self.times):
            name = unique(self.name, taken) if number else self.name
            taken.add(name)
            yield {**self._document(line, zone), "metadata": {**self._document()["metadata"], "name": name}}

    def _document(self, line: str = "", zone: str | None = None) -> dict[str, Any]:
        labels = {"app": self.name}
        pod = {"containers": [self.data], **self.pod}
        template = {"metadata": {"labels": labels}, "spec": pod}
        selector = {} if self.job else {"selector": {"matchLabels": labels}}
        spec: dict[str, Any] = {**self.spec, **selector, "template": template}
        kind = "Job" if self.job else "Deployment"
        if line:
            kind, spec = "CronJob", {"schedule": line, "timeZone": zone, **self.cron, "jobTemplate": {"spec": spec}}
        return {
            "apiVersion": "batch/v1" if self.job else "apps/v1",
            "kind": kind,
            "metadata": {"name": self.name, "labels": labels, "annotations": self.notes_of_object},
            "spec": spec,
        }

"""One program on its way to a container of a pod. Pure. Source: the API reference of Kubernetes, core/v1."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.containers import (
    ContainerDraft,
)
from taskmasterctl.convert.export.targets.source import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterctl.convert.export.targets.draft import ExportContext
    from taskmasterctl.convert.export.targets.source import ExportSource


class PodDraft(ContainerDraft):
    """A program as a container of a pod: `data` is the container, `pod` what stands beside it, `spec` what stands above that.

    `cron` is what a CronJob has besides its Job, {} for none.
    """

    def __init__(self, source: ExportSource, context: ExportContext, name: str) -> None:
        super().__init__(source, context, name)
        self.pod: dict[str, Any] = {}
        self.spec: dict[str, Any] = {}
        self.cron: dict[str, Any] = {}
        self.notes_of_object: dict[str, str] = {}

    @property
    def job(self) -> bool:
        """Whether it is a Job: what ends, and what is not started again."""
        policy = self.source.config.policy
        return policy.type == "oneshot" or policy.autorestart == "never"

    def text(self, text: str) -> str:
        """Return a text in which `$` is itself: `$(NAME)` would be a variable there."""
        return render(text, lambda part: part.replace("$", "$$"), lambda name: name, "0")

    def document(self) -> dict[str, Any]:
        """Return the whole object."""
        labels = {"app": self.name}
        pod = {"containers": [self.data], **self.pod}
        template = {"metadata": {"labels": labels}, "spec": pod}
        selector = {} if self.job else {"selector": {"matchLabels": labels}}
        spec: dict[str, Any] = {**self.spec, **selector, "template": template}
        kind = "Job" if self.job else "Deployment"
        if "schedule" in self.cron:
            kind, spec = "CronJob", {**self.cron, "jobTemplate": {"spec": spec}}
        return {
            "apiVersion": "batch/v1" if self.job else "apps/v1",
            "kind": kind,
            "metadata": {"name": self.name, "labels": labels, "annotations": self.notes_of_object},
            "spec": spec,
        }

"""The objects of all programs. Pure. Source: the API reference of Kubernetes, core/v1."""

from __future__ import annotations

import re

from taskmasterctl.convert.export.targets import yamltext
from taskmasterctl.convert.export.targets.containers import (
    entries,
    say_names,
)
from taskmasterctl.convert.export.targets.draft import carry
from taskmasterctl.convert.export.targets.kubernetes.draft import PodDraft
from taskmasterctl.convert.export.targets.kubernetes.rows import ROWS
from taskmasterctl.convert.export.targets.outcome import ExportFiles, ExportTarget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.export.targets.draft import ExportContext


MOST_NAME = 63


def object_name(name: str) -> str:
    """Return a name as Kubernetes allows it. Source: RFC 1123, labels."""
    made = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")[:MOST_NAME].strip("-")
    return made or "x"


def make(context: ExportContext, head: Sequence[str]) -> ExportFiles:
    """Return kubernetes.yaml, with a document for each program."""
    documents: list[str] = []
    drafts: list[PodDraft] = []
    carried = 0
    found = entries(context.sources, object_name)
    taken = {entry.name for entry in found}
    for entry in found:
        draft = PodDraft(entry.source, context, entry.name)
        drafts.append(draft)
        say_names(draft, entry, "object")
        carried += carry(draft, ROWS)
        said = [f"# {line}" for line in draft.comments()]
        for document in draft.documents(taken):
            documents.append("\n".join([*said, *yamltext.lines(document)]) + "\n")
            said = []
    secret = frozenset(("kubernetes.yaml",) if any(draft.secret for draft in drafts) else ())
    text = "".join(f"# {line}\n" for line in head) + "---\n" + "---\n".join(documents)
    return ExportFiles({"kubernetes.yaml": text}, tuple(drafts), carried, secret)


KUBERNETES = ExportTarget("kubernetes", make, ROWS, ("kubernetes-validate", "--strict"))

"""The file of all services. Pure. Source: the Compose specification, 05-services."""

from __future__ import annotations

import re

from taskmasterctl.convert.export.targets import yamltext
from taskmasterctl.convert.export.targets.compose.draft import ServiceDraft
from taskmasterctl.convert.export.targets.compose.rows import ROWS
from taskmasterctl.convert.export.targets.containers import (
    entries,
    say_names,
)
from taskmasterctl.convert.export.targets.draft import carry
from taskmasterctl.convert.export.targets.outcome import ExportFiles, ExportTarget
from taskmasterctl.convert.export.targets.source import variables_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.export.targets.draft import ExportContext


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def service_name(name: str) -> str:
    """Return a name as Compose allows it."""
    made = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    return made if _NAME.fullmatch(made) else f"x{made}"


def make(context: ExportContext, head: Sequence[str]) -> ExportFiles:
    """Return compose.yaml."""
    text = [*(f"# {line}" for line in head), "services:"]
    drafts: list[ServiceDraft] = []
    found = entries(context.sources, service_name)
    carried = 0
    for entry in found:
        draft = ServiceDraft(entry, context, found)
        drafts.append(draft)
        say_names(draft, entry, "service")
        carried += carry(draft, ROWS)
        description = entry.source.config.description
        text += [f"  # {line}" for line in (*([description] if description else []), *draft.comments())]
        text += [f"  {yamltext.key(entry.name)}:", *yamltext.lines(draft.data, 4)]
    needs = tuple(
        dict.fromkeys(name for draft in drafts for key in USED for name in variables_in(draft.source.opened(key)))
    )
    secret = frozenset(("compose.yaml",) if any(draft.secret for draft in drafts) else ())
    return ExportFiles({"compose.yaml": "\n".join(text) + "\n"}, tuple(drafts), carried, secret, needs)


USED = ("cmd", "env", "workingdir", "user", "group", "ready", "health", "post_start", "pre_stop", "stop_cmd")
"""Keys in whose texts variables stay variables."""
COMPOSE = ExportTarget("compose", make, ROWS, ("check-jsonschema", "--builtin-schema", "vendor.compose-spec"))

"""YAML files -> Config: every key, every problem with its line and column, every doubt.

Two callers import this package: `taskmasterd.configuration.loading`, in a short-lived child, and the client for
`-c FILE`. The resident daemon never imports it. It opens nothing: it sees the host through `Surroundings` only.
From text to value: `report` (how problems read), `nodes` (YAML -> nodes, bounded; the only importer of yaml),
`variables` (${NAME}), `values` (one decoder for each kind of value), `programs` (one program out of its layers), `templates`,
`checks` (between programs and host; what root may obey), `shape` (files and sections), `effective` (Config -> YAML).
The keys and their kinds come from the table in `config.keys`.
"""

from __future__ import annotations

from taskmaster_common.schema.effective import Here, effective_text
from taskmaster_common.schema.programs import Program
from taskmaster_common.schema.shape import daemon_section, decode
from taskmaster_common.schema.surroundings import MAX_FILE, File, Loaded, Step, Surroundings, User, absolute

__all__ = [
    "MAX_FILE",
    "File",
    "Here",
    "Loaded",
    "Program",
    "Step",
    "Surroundings",
    "User",
    "absolute",
    "daemon_section",
    "decode",
    "effective_text",
]

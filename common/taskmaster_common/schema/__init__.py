"""YAML files -> Config: every key, every problem with its line and column, every doubt.

The parser has two doors: this package is imported by `taskmasterd.configuration.loading`, in a short-lived child, and by the client
for `-c FILE`; the resident daemon never imports it. It opens nothing: `Surroundings` is all that it knows of the host.
From text to value: `report` (how problems read), `nodes` (YAML -> nodes, bounded; the only importer of yaml),
`variables` (${NAME}), `values` (one decoder for each kind of value; the table of keys), `programs` (one program out of
its layers), `checks` (between programs and host), `trust` (what root may obey), `shape` (files and sections), `effective` (Config -> YAML).
"""

from __future__ import annotations

from taskmaster_common.schema.effective import effective_text
from taskmaster_common.schema.shape import daemon_section, decode
from taskmaster_common.schema.surroundings import MAX_FILE, File, Loaded, Step, Surroundings, User, absolute

__all__ = [
    "MAX_FILE",
    "File",
    "Loaded",
    "Step",
    "Surroundings",
    "User",
    "absolute",
    "daemon_section",
    "decode",
    "effective_text",
]

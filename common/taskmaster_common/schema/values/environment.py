"""`env` from all layers of a program, merged name by name; and which variables stand in its files instead."""

from __future__ import annotations

from taskmaster_common.schema.advice.shelltext import unexpanded_variable
from taskmaster_common.schema.nodes import BROKEN, MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.values.env_files import each_path
from taskmaster_common.schema.values.kinds import (
    PROGRAM_TABLE,
    VARIABLE_OR_FILE,
    decode_value,
    variable_files,
    variable_name_problem,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.values.env_files import EnvFiles
    from taskmaster_common.schema.values.scalars import Decoding


def merged_variables(layers: Iterable[tuple[str, Node]], report: Report) -> dict[str, tuple[str, Node]]:
    """Return place and node of each variable; the strongest layer, which is the last one, decides its value."""
    merged: dict[str, tuple[str, Node]] = {}
    for place, node in layers:
        if node.is_null() or node.kind == BROKEN:
            continue
        if node.kind != MAPPING:
            report.error(node, place, f"expected a mapping of names to texts, not {node.kind}", example=_example(node))
            continue
        for name, (key, value) in node.entries.items():
            problem = variable_name_problem(name)
            if problem:
                report.error(key, place, problem)
            merged[name] = (f"{place}.{name}", value)
    return merged


def decoded_variables(merged: Mapping[str, tuple[str, Node]], context: Decoding, report: Report) -> dict[str, Any]:
    """Return the values: texts, None for one to remove, or the map of a file."""
    for place, node in merged.values():
        doubt = unexpanded_variable(node.text, context.variables) if not node.is_null() else ""
        if doubt:
            report.warn(node, place, doubt)
    return {
        name: decode_value(VARIABLE_OR_FILE, node, context, place, report) for name, (place, node) in merged.items()
    }


def _example(node: Node) -> tuple[str, ...]:
    """Return example lines with the first name written here, but no value: it may be secret."""
    items = node.items if node.kind == SEQUENCE else (node,)
    texts = (item.text for item in items if item.kind == SCALAR)
    names = [name.strip() for name, equals, _ in (text.partition("=") for text in texts) if equals]
    names += [name for item in items for name in item.entries]
    return ("env:", f"  {next((name for name in names if name.isidentifier()), 'NAME')}: ...")


def defined_in(node: Node | None, context: Decoding, files: EnvFiles, name: str) -> str:
    """Return the file of variables that sets a name, among those that a program has at the node of `env_file`, or ""."""
    if node is None:
        return ""
    try:
        written = variable_files(node, context, PROGRAM_TABLE["env_file"])
    except ValueError:
        return ""
    paths = (path for each in written for path in each_path(each, 1))
    return next((path for path in paths if name in files.look(path).names), "")

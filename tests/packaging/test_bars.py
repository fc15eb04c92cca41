"""The bars of the house: how large a part may become, what a class name may mean, and who may change an object."""

from __future__ import annotations

import ast
import gc
import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow  # it parses every file

SOURCES = ("taskmasterd", "taskmasterctl", "common/taskmaster_common")
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_METHODS = 20
MOST_ENTRIES = 12
MOST_LINES_OF_THE_ROOT = 200
MOST_ATTRIBUTES_OF_THE_ROOT = 12
NO_ENTRIES = {"__init__.py", "py.typed", "__pycache__"}

MAY_BE_SET = {
    "entry.process": "a row of the table; the supervisor replaces the process after each event",
    "entry.current": "a row of the table; set when a process is spawned or taken over",
    "entry.removed": "a row of the table; set by the plan of a reload",
    "slots.removed": "the same",
    "ticket.failed": "a ticket collects results from all who work for it",
    "holder.__doc__": "what only people read does not stay in memory",
    "function.__doc__": "the same",
    "function.__code__": "the same: a docstring is one of its constants",
    "connection.operation": "a connection carries one operation, which ends and is replaced",
    "connection.claim": "the same of what the operation was allowed for",
    "connection.intake": "the same, where the operation takes input",
    "sink.holders": "the count of those who share a sink; `sinks` alone counts",
    "ledger.writers": "the count of targets that write to a path; `sinks` alone counts",
}
"""What other files than its own set in an object after its construction, as `variable.attribute`: why."""


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Keep Python's garbage collector from looking at half a million nodes again and again, while they are made and later."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def files(*folders: str) -> Iterator[Path]:
    """Yield the path of each Python file below these folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield name and syntax of each Python file below these folders."""
    for path in files(*folders):
        yield str(path.relative_to(ROOT)), parsed(path)


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield each function in a module or a statement; expressions, which are most of the nodes, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from functions(child)


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax of a file, which several tests look at."""
    return ast.parse(path.read_text())


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return all nodes of a file, which several tests look at: to walk it costs as much as to parse it."""
    return tuple(ast.walk(tree))


def test_no_source_file_is_longer_than_400_lines() -> None:
    long = {str(path) for path in files(*SOURCES, "scripts") if _lines(path) > MOST_LINES_OF_A_FILE}
    assert long == set()


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.slow
def test_no_function_is_longer_than_60_lines() -> None:
    long = {
        f"{name}: {node.name}"
        for name, tree in sources(*SOURCES, "scripts", "tests")
        for node in functions(tree)
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    }
    assert long == set()


def test_no_class_has_more_than_20_methods() -> None:
    large = {
        f"{name}: {node.name}"
        for name, tree in sources(*SOURCES, "scripts")
        for node in nodes(tree)
        if isinstance(node, ast.ClassDef)
        if sum(isinstance(each, ast.FunctionDef) for each in node.body) > MOST_METHODS
    }
    assert large == set()


def test_a_class_name_means_one_thing() -> None:
    places = defaultdict(set)
    for name, tree in sources(*SOURCES):
        for node in nodes(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(name)
    assert {name for name, files in places.items() if len(files) > 1} == set()


def test_a_folder_has_at_most_twelve_entries_or_a_reason() -> None:
    entries = defaultdict(set)
    for folder in (*SOURCES, "config", "docs", "man", "scripts", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if not NO_ENTRIES.intersection(path.relative_to(ROOT).parts) and path.is_file():
                parts = path.relative_to(ROOT).parts
                for depth in range(1, len(parts)):
                    entries["/".join(parts[:depth])].add(parts[depth])
    large = {folder for folder, found in entries.items() if len(found) > MOST_ENTRIES}
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("A folder holds at most twelve entries")[2]
    excused = re.findall(r"^- `([^`]+)/`: .+", text.partition("\n| part ")[0], re.MULTILINE)
    assert sorted(large) == sorted(excused)


def test_the_composition_root_is_small() -> None:
    tree = ast.parse((ROOT / "taskmasterd" / "daemon.py").read_text())
    daemon = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Daemon")
    assert len(_own_attributes(daemon)) <= MOST_ATTRIBUTES_OF_THE_ROOT
    assert _lines(ROOT / "taskmasterd" / "daemon.py") <= MOST_LINES_OF_THE_ROOT


def _own_attributes(tree: ast.AST) -> set[str]:
    """Return the names that are assigned to `self`, and the fields that are declared in a class."""
    names = {node.attr for node in _stores(tree) if ast.unparse(node.value) == "self"}
    fields = (each for node in nodes(tree) if isinstance(node, ast.ClassDef) for each in node.body)
    return names | {
        each.target.id for each in fields if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


def _stores(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Yield each attribute that is assigned to."""
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node


def set_from_outside(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield `variable.attribute` for what is set in objects of classes that other files define."""
    modules = {
        alias.asname or alias.name for node in nodes(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    own = _own_attributes(tree)
    for node in _stores(tree):
        holder = ast.unparse(node.value)
        if holder not in {"self", "cls", *modules} and node.attr not in own:
            variable = holder.rpartition(".")[2].partition("[")[0].lstrip("_")
            yield f"{variable}.{node.attr} in {name}"


def test_nothing_is_assigned_from_outside_after_construction() -> None:
    found = [each for name, tree in sources("taskmasterd") for each in set_from_outside(name, tree)]
    unknown = [each for each in found if each.partition(" in ")[0] not in MAY_BE_SET]
    assert unknown == []
    assert MAY_BE_SET.keys() - {each.partition(" in ")[0] for each in found} == set()

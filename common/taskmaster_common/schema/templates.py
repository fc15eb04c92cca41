"""`templates:` and `extends`: keys that several programs share, from all files.

A template is a layer between `defaults:` and the program. It comes once, after all that it extends itself: what two templates
have in common is weaker than both. Templates are collected file by file and put in order once all names are known.
"""

from __future__ import annotations

from taskmaster_common.schema.nodes import BROKEN, MAPPING
from taskmaster_common.schema.programs import EXTENDS, Layer, check_keys, check_values
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.groups import Guesses, circle_of, shown_path
from taskmaster_common.schema.values.kinds import EXTRA_TABLE, decode_value
from taskmaster_common.text.names import name_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Scope
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.values.scalars import Decoding

TEMPLATES = "templates"
DEEPEST = 8
"""Most templates of which each extends the next one."""
MOST_KEYS = 2_000_000
"""Most keys that all programs together take from templates: 10 000 programs of a template with 100 keys need half of it."""
EXAMPLE = ("templates:", "  NAME:", "    KEY: ...")


class TemplateSection:
    """All templates of a configuration. Take in every file, then `resolve`, then ask for the layers of each program."""

    def __init__(self, context: Decoding, report: Report) -> None:
        self._context = context
        self._report = report
        self._keys: dict[str, Node] = {}
        self._layers: dict[str, Layer] = {}
        self._orders: dict[str, tuple[str, ...]] = {}
        self._programs: Container[str] = ()
        self._used: set[str] = set()
        self._left = MOST_KEYS

    def take(self, node: Node | None) -> None:
        """Take in the section of one file."""
        if node is None or node.is_null() or node.kind == BROKEN:
            return
        if node.kind != MAPPING:
            reason = f"expected a mapping of names to keys of programs, not {node.kind}"
            self._report.error(node, TEMPLATES, reason, example=EXAMPLE)
            return
        for name, (key, value) in node.entries.items():
            place = f"{TEMPLATES}.{name}"
            first = self._keys.setdefault(name, key)
            if first is not key:
                where = f"{first.source.shown}, line {first.line + 1}"
                self._report.error(key, place, f"a template of that name is in {where}", first)
            elif problem := name_problem(name):
                self._report.error(key, TEMPLATES, f"{quoted(name)} cannot be a name: {problem}")
            elif value.kind == MAPPING:
                self._layers[name] = Layer(place, value)
                check_keys(self._layers[name], self._report)
            elif value.kind != BROKEN:
                shown = "without anything below it" if value.is_null() else f"not {value.kind}"
                self._report.error(value, place, f"expected a mapping of program keys, {shown}", example=EXAMPLE)

    def resolve(self, programs: Container[str]) -> None:
        """Put the templates in order; report names of nothing, circles and chains that are too long."""
        self._programs = programs
        extended = {name: self._extended(layer) for name, layer in self._layers.items()}
        above: dict[str, list[str]] = {}
        for name, names in extended.items():
            for each in names:
                above.setdefault(each, []).append(name)
        missing = {name: len(names) for name, names in extended.items()}
        depths: dict[str, int] = {}
        complete = [name for name, count in missing.items() if not count]
        for name in complete:
            depths[name] = 1 + max((depths[each] for each in extended[name]), default=0)
            self._orders[name] = self._order(name, extended[name], depths[name])
            for each in above.get(name, ()):
                missing[each] -= 1
                if not missing[each]:
                    complete.append(each)
        stuck = [name for name, count in missing.items() if count]
        if stuck:
            path = circle_of(stuck[0], {name: [each for each in extended[name] if missing[each]] for name in stuck})
            reason = f"the templates make a circle: {shown_path(path)}"
            self._report.error(
                self._layers[path[0]].node.entries[EXTENDS][1], f"{TEMPLATES}.{path[0]}.{EXTENDS}", reason
            )

    def _order(self, name: str, extended: Iterable[str], depth: int) -> tuple[str, ...]:
        """Return a template after all that it extends, weakest first."""
        if depth == DEEPEST + 1:
            reason = f"is the last of {depth} templates that extend each other; at most {DEEPEST} may"
            self._report.error(self._layers[name].node.entries[EXTENDS][1], f"{TEMPLATES}.{name}.{EXTENDS}", reason)
        names = dict.fromkeys(each for inner in extended for each in self._orders[inner])
        if depth > DEEPEST or not self._spend(len(names), self._layers[name]):
            return (name,)
        return (*names, name)

    def layers(self, entry: Layer) -> tuple[Layer, ...]:
        """Return the templates that a program extends, directly or not, weakest first, and the program itself."""
        if EXTENDS not in entry.node.entries:
            return (entry,)
        names = dict.fromkeys(
            each for name in self._extended(entry) if name in self._orders for each in self._orders[name]
        )
        self._used.update(names)
        found = tuple(self._layers[name] for name in names)
        count = sum(1 + len(each.node.entries) + _variables(each) for each in found)
        return (*found, entry) if self._spend(count, entry) else (entry,)

    def check_unused(self, scope: Scope) -> None:
        """Report wrong values in templates that no program extends; programs report those of the others."""
        for name, order in self._orders.items():
            if name not in self._used:
                check_values([self._layers[each] for each in order], scope)

    def _extended(self, layer: Layer) -> tuple[str, ...]:
        """Return the names of the templates that a layer extends itself, those of nothing left out and reported."""
        if EXTENDS not in layer.node.entries:
            return ()
        node = layer.node.entries[EXTENDS][1]
        place = f"{layer.place}.{EXTENDS}"
        names: Sequence[str] = decode_value(EXTRA_TABLE[EXTENDS], node, self._context, place, self._report) or ()
        items = node.items or [node]
        known: Mapping[str, Layer] = self._layers
        for item, name in zip(items, names):
            if name not in self._keys:
                self._report.error(item, place, self._unknown(name))
        return tuple(dict.fromkeys(name for name in names if name in known))

    def _unknown(self, name: str) -> str:
        if name in self._programs:
            return f"{name} is a program, and only templates can be extended; write what both share below {TEMPLATES}:"
        return f"there is no template {quoted(name)}{Guesses(self._keys).hint(name)}"

    def _spend(self, count: int, layer: Layer) -> bool:
        """Return whether there may be that many keys more; the first time that there may not be is an error."""
        was, self._left = self._left, self._left - count
        if self._left >= 0:
            return True
        if was >= 0:
            node = layer.node.entries[EXTENDS][1]
            self._report.error(
                node, f"{layer.place}.{EXTENDS}", f"the programs take more than {MOST_KEYS} keys from templates"
            )
        return False


def _variables(layer: Layer) -> int:
    return len(layer.node.entries["env"][1].entries) if "env" in layer.node.entries else 0

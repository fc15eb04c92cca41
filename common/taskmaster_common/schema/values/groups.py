"""`groups:` -> the programs of each group: names, patterns and other groups, from all files.

A group is collected file by file and resolved once all programs are known. What is resolved holds names of programs only, in
the order of the file.
"""

from __future__ import annotations

from taskmaster_common.schema.nodes import BROKEN, MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.text.names import ALL, name_problem
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.patterns import Pattern, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.variables import Variables

GROUPS = "groups"
MOST_MATCHES = 2_000_000
"""Most names that all patterns together are compared with: two seconds of work."""
MOST_MEMBERS = 100_000
"""Most programs of all groups together."""
MOST_GUESSES = 50
"""Most unknown names for which a near one is looked for, among tens of thousands."""


SHOWN_NAMES = 10
"""Most names of a circle that a message has."""


def shown_path(names: Sequence[str]) -> str:
    """Return a path for a message: `web → api → db → web`, the middle of a long one left out."""
    left_out = len(names) - SHOWN_NAMES
    shown = [*names[: SHOWN_NAMES - 1], f"{left_out} more", names[-1]] if left_out > 1 else names
    return " → ".join(shown)


class Guesses:
    """Finds the name that an unknown one was probably meant to be."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._left = MOST_GUESSES

    def hint(self, name: str) -> str:
        """Return `; did you mean NAME?`, or ""."""
        self._left -= 1
        near = nearest(name, self._names) if self._left >= 0 else ""
        return f"; did you mean {near}?" if near else ""


class GroupSection:
    """All groups of a configuration, with the positions of their names and members."""

    def __init__(self, variables: Variables, report: Report) -> None:
        self._variables = variables
        self._report = report
        self._keys: dict[str, Node] = {}
        self._members: dict[str, list[tuple[Node, str]]] = {}
        self._left = MOST_MEMBERS

    def take(self, node: Node | None) -> None:
        """Take in the section of one file."""
        if node is None or node.is_null() or node.kind == BROKEN:
            return
        if node.kind != MAPPING:
            reason = f"expected a mapping of names to lists of programs, not {node.kind}"
            self._report.error(node, GROUPS, reason, example=("groups:", "  NAME: [PROGRAM, ...]"))
            return
        for name, (key, value) in node.entries.items():
            first = self._keys.setdefault(name, key)
            if first is not key:
                where = f"{first.source.shown}, line {first.line + 1}"
                self._report.error(key, f"{GROUPS}.{name}", f"a group of that name is in {where}", first)
            elif problem := name_problem(name):
                self._report.error(key, GROUPS, f"{quoted(name)} cannot be a name: {problem}")
            else:
                self._members[name] = list(self._texts(name, value))

    def _texts(self, name: str, value: Node) -> Iterable[tuple[Node, str]]:
        """Yield the members as written, with variables expanded."""
        place = f"{GROUPS}.{name}"
        if value.is_null():
            self._report.error(value, place, "has no value; write a list of programs, [] for none")
            return
        for item in value.items if value.kind == SEQUENCE else (value,):
            if item.kind == BROKEN:
                continue
            if item.kind != SCALAR or item.is_null():
                reason = f"expected a list of programs, patterns and groups, not {item.kind}"
                self._report.error(item, place, reason, example=("groups:", f"  {name}: [PROGRAM, ...]"))
                continue
            try:
                text = self._variables.expand(item.text)
            except ValueError as error:
                self._report.error(item, place, str(error))
                continue
            if problem := _member_problem(text):
                self._report.error(item, place, problem)
            else:
                yield item, text

    def resolved(self, programs: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
        """Return the names of each group's programs. `programs` are the positions of all names, in the order of the file."""
        for name, key in self._keys.items():
            if name in programs:
                first = programs[name]
                where = f"{first.source.shown}, line {first.line + 1}"
                reason = f"a program of that name is in {where}; programs and groups share their names"
                self._report.error(key, f"{GROUPS}.{name}", reason, first)
        found: dict[str, dict[str, None]] = {name: {} for name in self._members}
        self._take_direct(found, programs)
        inner = {name: [text for _, text in each if text in found] for name, each in self._members.items()}
        self._take_inner(found, inner)
        position = {name: number for number, name in enumerate(programs)}
        for name in found:
            if not self._members[name]:
                self._report.warn(self._keys[name], f"{GROUPS}.{name}", "the group has no program")
        return {name: tuple(sorted(members, key=position.__getitem__)) for name, members in found.items()}

    def _take_direct(self, found: Mapping[str, dict[str, None]], programs: Mapping[str, Node]) -> None:
        """Add the programs that each group names itself, or by a pattern; report names of nothing."""
        guesses = Guesses((*programs, *found))
        matched: dict[str, tuple[str, ...]] = {}
        for name, members in self._members.items():
            for node, text in members:
                if is_pattern(text):
                    if text not in matched and (len(matched) + 1) * len(programs) > MOST_MATCHES:
                        reason = f"{len(matched) + 1} patterns for {len(programs)} programs take too long; write names"
                        self._report.error(node, f"{GROUPS}.{name}", reason)
                        return
                    if text not in matched:
                        matched[text] = _matching(text, programs)
                    if not matched[text]:
                        self._report.warn(node, f"{GROUPS}.{name}", f"{quoted(text)} matches no program")
                    if not self._add(found, name, matched[text]):
                        return
                elif text in programs:
                    self._add(found, name, (text,))
                elif text not in found:
                    reason = f"there is no program or group {quoted(text)}{guesses.hint(text)}"
                    self._report.error(node, f"{GROUPS}.{name}", reason)

    def _add(self, found: Mapping[str, dict[str, None]], name: str, members: Collection[str]) -> bool:
        """Add programs to a group; return False, after an error, once all groups together have too many."""
        self._left -= len(members)
        if self._left < 0:
            reason = f"the groups have more than {MOST_MEMBERS} programs in all"
            self._report.error(self._keys[name], GROUPS, reason)
            return False
        found[name].update(dict.fromkeys(members))
        return True

    def _take_inner(self, found: Mapping[str, dict[str, None]], inner: Mapping[str, Sequence[str]]) -> None:
        """Add the programs of inner groups, innermost first; report a circle."""
        outer: dict[str, list[str]] = {}
        for name, groups in inner.items():
            for each in dict.fromkeys(groups):
                outer.setdefault(each, []).append(name)
        missing = {name: len(set(groups)) for name, groups in inner.items()}
        complete = [name for name, count in missing.items() if not count]
        for name in complete:
            for each in outer.get(name, ()):
                if not self._add(found, each, found[name]):
                    return
                missing[each] -= 1
                if not missing[each]:
                    complete.append(each)
        stuck = [name for name, count in missing.items() if count]
        if stuck:
            path = circle_of(stuck[0], {name: [each for each in inner[name] if missing[each]] for name in stuck})
            reason = f"the groups make a circle: {shown_path(path)}"
            self._report.error(self._keys[path[0]], f"{GROUPS}.{path[0]}", reason)


def circle_of(name: str, inner: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a circle among names each of which has another one inside, the first name again at the end."""
    path: dict[str, None] = {}
    while name not in path:
        path[name] = None
        name = inner[name][0]
    names = tuple(path)
    return (*names[names.index(name) :], name)


def _matching(pattern: str, programs: Iterable[str]) -> tuple[str, ...]:
    if pattern == ALL:
        return tuple(programs)
    compiled = Pattern(pattern)
    return tuple(name for name in programs if compiled.matches(name))


def _member_problem(text: str) -> str:
    """Return why `text` cannot be a member of a group, or ""."""
    if is_pattern(text):
        return ""
    if "," in text or " " in text.strip():
        return f"{quoted(text)} is not one name; write a list: [{', '.join(text.replace(',', ' ').split())}]"
    program, colon, _ = text.partition(":")
    if colon and not name_problem(program):
        return f"{quoted(text)} is an instance; a group has whole programs: write {program}"
    problem = name_problem(text)
    return f"{quoted(text)} cannot be a name: {problem}" if problem else ""

"""Finds programs written elsewhere than below `programs:`: at the top level, in a section of another name, in a list.

It recognises them by their keys. They are decoded all the same, so that one check reports every problem in them.
"""

from __future__ import annotations

from taskmaster_common.config import DAEMON_KEYS, PROGRAM_KEYS
from taskmaster_common.records import Record
from taskmaster_common.schema.advice.foreign import PROGRAM_WORDS, instead, squash
from taskmaster_common.schema.advice.sections import IMPORTED, KUBERNETES, PROGRAM_SECTIONS, SECTION_WORDS
from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.programs import names_text
from taskmaster_common.schema.report import quoted
from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.report import Report

COMMANDS = ("cmd", *(word for word, called in PROGRAM_WORDS.items() if called == "=cmd"))
NAMES = ("name", "process_name", "program_name", "program", "title", "id")
NO_SECTION = "unknown key; the section is called programs here"
LIKE_A_PROGRAM = 2
"""Fewest program keys that make a mapping without a command look like a program."""
ONLY_A_COMMAND = 1000
"""A number of keys that no mapping has: only a command makes it look like a program."""
DEEPEST = 3
"""Most sections around a program that is found."""


class Candidate(Record):
    """A program to decode: the node of its name, its place in messages, and keys in it that are not program keys."""

    name: str
    key: Node
    place: str
    value: Node
    ignored: tuple[str, ...] = ()


def below_programs(node: Node, report: Report) -> list[Candidate]:
    """Return the programs below `programs:`, and report those not written as a mapping of names."""
    if node.kind == SEQUENCE:
        found = list(listed(node, "programs"))
        reason = "expected a mapping of names to programs, not a list"
        report.error(node, "programs", reason, example=example([each.name for each in found]))
        return found
    flat = _flat_keys(node)
    if flat:
        empty = next(name for name, (_, value) in node.entries.items() if value.is_null())
        reason = f"{names_text(flat)} stand beside {quoted(empty)} instead of below it; indent them by two more blanks"
        report.error(node.entries[flat[0]][0], "programs", reason)
    grouped = [name for name, (_, value) in node.entries.items() if _is_group(value)]
    for name in grouped:
        key, value = node.entries[name]
        inside = names_text([*value.entries])
        report.error(key, f"programs.{name}", f"{inside} belong directly below programs:; groups: lists them by name")
    skipped = (*flat, *grouped, *(name for name, (_, value) in node.entries.items() if flat and value.is_null()))
    return [
        Candidate(name, key, f"programs.{name}", value)
        for name, (key, value) in node.entries.items()
        if name not in skipped
    ] + [
        Candidate(name, key, f"programs.{group}.{name}", value)
        for group in grouped
        for name, (key, value) in node.entries[group][1].entries.items()
    ]


def _is_group(node: Node) -> bool:
    """Return whether a mapping holds programs and nothing else."""
    return node.kind == MAPPING and bool(node.entries) and all(_is_program(each) for _, each in node.entries.values())


def _flat_keys(node: Node) -> list[str]:
    """Return program keys that are written among the names of programs, if some name has nothing below it."""
    if not any(value.is_null() for _, value in node.entries.values()):
        return []
    return [name for name, (_, value) in node.entries.items() if name in PROGRAM_KEYS and value.kind != MAPPING]


def elsewhere(root: Node, unknown: Sequence[str], report: Report) -> tuple[list[Candidate], list[str]]:
    """Report the programs among the unknown top-level keys; return them, and the keys that are something else."""
    if unknown and len(unknown) == len(root.entries) and _is_procfile(root):
        reason = (
            f"{names_text(unknown)}: these lines look like a Procfile; programs are written like this, and {IMPORTED}"
        )
        report.error(root.entries[unknown[0]][0], unknown[0], reason, example=example(unknown))
        return [], []
    if "apiVersion" in unknown and "kind" in unknown:
        report.error(root.entries["apiVersion"][0], "", KUBERNETES)
        return [], []
    top = _at_the_top(root, unknown)
    found: list[Candidate] = []
    rest: list[str] = []
    for name in unknown:
        key, value = root.entries[name]
        if any(each.place == name for each in top):
            continue
        candidates, reason = _section(name, value), NO_SECTION
        if not any(_is_program(each.value) for each in candidates) and (nested := list(_nested(value, name))):
            candidates, reason = nested, _inside(name, nested)
        elif squash(name) not in PROGRAM_SECTIONS and _is_section_name(name):
            reason = "unknown key; did you mean programs?"
        if candidates or squash(name) in PROGRAM_SECTIONS:
            found += candidates
            if value.kind == SEQUENCE:
                reason += ", and is a mapping of names to programs, not a list"
            report.error(key, name, reason, example=example([each.name for each in candidates]))
        else:
            rest.append(name)
    if top:
        names = [each.name for each in top]
        verb = "looks like a program; it belongs" if len(names) == 1 else "look like programs; they belong"
        report.error(top[0].key, top[0].place, f"{names_text(names)} {verb} below programs:", example=example(names))
    return top + found, _without_loose_keys(root, rest, report)


def _inside(name: str, candidates: Sequence[Candidate]) -> str:
    """Return the problem of a section that has programs somewhere inside."""
    said = instead(name, SECTION_WORDS)
    verb = "belongs" if len(candidates) == 1 else "belong"
    names = names_text([each.name for each in candidates])
    return f"unknown key; {f'{said}; ' if said else ''}{names} {verb} below programs:"


def _at_the_top(root: Node, unknown: Sequence[str]) -> list[Candidate]:
    """Return the programs among the unknown top-level keys; beside a sure one, a single program key is enough."""
    own = [name for name in unknown if not instead(name, SECTION_WORDS)]
    enough = 1 if any(_is_program(root.entries[name][1]) for name in own) else LIKE_A_PROGRAM
    return [
        Candidate(_own_name(name, value), key, name, value, _naming(value))
        for name, (key, value) in root.entries.items()
        if name in unknown and _is_program(value, enough if name in own else ONLY_A_COMMAND)
    ]


def _without_loose_keys(root: Node, unknown: list[str], report: Report) -> list[str]:
    """Report keys of a program or of the daemon at the top level; return the other unknown keys."""
    for known, where in ((PROGRAM_KEYS, "a program, below programs: and its name"), (DAEMON_KEYS, "taskmasterd:")):
        squashed = set(map(squash, known))
        loose = [name for name in unknown if squash(name) in squashed and not instead(name, SECTION_WORDS)]
        if loose:
            if known is PROGRAM_KEYS:  # keys that name such a program are written beside them
                unknown = [name for name in unknown if name not in NAMES]
            verb = "belongs" if len(loose) == 1 else "belong"
            shown = (
                ("programs:", "  NAME:", "    cmd: ...")
                if known is PROGRAM_KEYS
                else ("taskmasterd:", f"  {next(key for key in known if squash(key) == squash(loose[0]))}: ...")
            )
            report.error(root.entries[loose[0]][0], loose[0], f"{names_text(loose)} {verb} to {where}", example=shown)
            unknown = [name for name in unknown if name not in loose]
    return unknown


def _is_procfile(root: Node) -> bool:
    """Return whether the file consists of lines `NAME: COMMAND`."""
    values = [value for _, value in root.entries.values()]
    known = any(name in (*PROGRAM_KEYS, *DAEMON_KEYS) or instead(name, SECTION_WORDS) for name in root.entries)
    lines = all(value.kind == SCALAR and value.text and not value.is_null() for value in values)
    return lines and not known and any(" " in value.text for value in values)


def example(names: Sequence[str]) -> tuple[str, ...]:
    """Return example lines with the first of these names."""
    return ("programs:", f"  {next((name for name in names if name), 'NAME')}:", "    cmd: ...")


def _section(place: str, value: Node, name: str = "") -> list[Candidate]:
    """Return the programs in a section of another name; `place` is its name in messages."""
    name = name or place
    if value.kind == SEQUENCE:
        found = list(listed(value, place))
        return found if _is_section_name(name) or any(_is_program(each.value) for each in found) else []
    if value.kind != MAPPING or not (
        _is_section_name(name) or any(_is_program(below) for _, below in value.entries.values())
    ):
        return []
    return [Candidate(each, key, f"{place}.{each}", below) for each, (key, below) in value.entries.items()]


def _naming(node: Node) -> tuple[str, ...]:
    """Return the key by which a program gives its own name, as a tuple of one or none."""
    return tuple(each for each in NAMES if each in node.entries and node.entries[each][1].kind == SCALAR)[:1]


def _nested(node: Node, place: str, depth: int = 1) -> Iterator[Candidate]:
    """Yield the programs of the sections in a section."""
    for name, (_, value) in node.entries.items():
        found = _section(f"{place}.{name}", value, name)
        if found:
            yield from found
        elif value.kind == MAPPING and depth < DEEPEST:
            yield from _nested(value, f"{place}.{name}", depth + 1)


def _own_name(name: str, value: Node) -> str:
    """Return the name of a program at the top level: that of supervisor's section header, or the one given inside."""
    inside = _naming(value)
    if inside and squash(name) in PROGRAM_SECTIONS:
        return value.entries[inside[0]][1].text
    return name.strip("[]").removeprefix("program:")


def _is_section_name(name: str) -> bool:
    return squash(name) in PROGRAM_SECTIONS or nearest(name.lower(), ("programs",)) == "programs"


def listed(node: Node, place: str) -> Iterator[Candidate]:
    """Yield the programs of a list, whose elements are mappings with a name, or mappings of one name each."""
    for number, item in enumerate(node.items):
        if item.kind != MAPPING or not item.entries:
            continue
        called = next(iter(_naming(item)), "")
        (first, (key, value)), *others = item.entries.items()
        if called:
            named = item.entries[called][1]
            yield Candidate(named.text, named, f"{place}.{named.text}".lstrip("."), item, (called,))
        elif not others and value.kind == MAPPING:
            yield Candidate(_own_name(first, value), key, f"{place}.{first}".lstrip("."), value, _naming(value))
        else:
            yield Candidate("", item, f"{place}.{number}".lstrip("."), item)


def _is_program(node: Node, enough: int = LIKE_A_PROGRAM) -> bool:
    """Return whether a mapping looks like a program: it has a command, or `enough` keys of one."""
    if node.kind != MAPPING:
        return False
    known = [name for name in node.entries if name in PROGRAM_KEYS or squash(name) in PROGRAM_WORDS]
    commands = [name for name in known if squash(name) in COMMANDS and node.entries[name][1].kind != MAPPING]
    return bool(commands) or len(known) >= enough

"""`roles` -> who may do what: a map of roles, each with its users, groups, level and programs, as plain data.

Users and groups stay names here; `checks.roles` asks the host for their numbers.
"""

from __future__ import annotations

from taskmaster_common.commands.table import ADMIN, LEVELS
from taskmaster_common.schema.nodes import BROKEN, MAPPING, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import (
    WrongElementError,
    WrongElementsError,
    elements_of,
    expect,
    not_one_of,
    text_of,
)
from taskmaster_common.text.names import name_problem
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.patterns import is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

MOST_ROLES = 64
MOST_MEMBERS = 200
"""Most users, groups or programs of one role: each request may ask all of them."""
PARTS = ("users", "groups", "level", "programs")


def roles_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return each role, its lists as tuples of texts. Raises WrongElementsError with each wrong element."""
    expect(node, MAPPING)
    if len(node.entries) > MOST_ROLES:
        raise ValueError(f"has {len(node.entries)} roles; at most {MOST_ROLES} are allowed")
    found: dict[str, Any] = {}
    wrong: list[WrongElementError] = []
    for name, (at, value) in node.entries.items():
        if problem := name_problem(name):
            wrong.append(WrongElementError(at, f"{quoted(name)} cannot be a name: {problem}"))
            continue
        try:
            found[name] = _role(name, at, value, context, key)
        except WrongElementsError as several:
            wrong += several.elements
        except WrongElementError as one:
            wrong.append(one)
    if wrong:
        raise WrongElementsError(wrong)
    return found


def _role(name: str, at: Node, node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    if node.kind == BROKEN:
        raise WrongElementError(node, "")
    if node.kind != MAPPING:
        raise WrongElementError(
            node, f"{name}: expected a mapping such as {{users: [NAME], level: look}}, not {node.kind}"
        )
    wrong = list(_unknown(name, node))
    role: dict[str, Any] = {}
    for part in PARTS:
        if part in node.entries:
            try:
                role[part] = DECODERS[part](node.entries[part][1], context, key)
            except WrongElementsError as several:
                wrong += [
                    WrongElementError(each.node, f"{name}: {each}" if str(each) else "") for each in several.elements
                ]
            except WrongElementError as one:
                wrong.append(WrongElementError(one.node, f"{name}: {one}" if str(one) else ""))
            except ValueError as error:
                wrong.append(WrongElementError(node.entries[part][1], f"{name}: {error}"))
    if not wrong:
        wrong = list(_missing(name, at, node, role))
    if wrong:
        raise WrongElementsError(wrong)
    return role


def _unknown(name: str, node: Node) -> Iterator[WrongElementError]:
    for part in node.entries:
        if part not in PARTS:
            near = nearest(part, PARTS)
            hint = f"did you mean {near}?" if near else f"a role has {', '.join(PARTS)}"
            yield WrongElementError(node.entries[part][0], f"{name}: unknown key {quoted(part)}; {hint}")


def _missing(name: str, at: Node, node: Node, role: Mapping[str, Any]) -> Iterator[WrongElementError]:
    if "level" not in role:
        yield WrongElementError(at, f"{name}: level is missing: one of {', '.join(LEVELS)}")
    elif "programs" in role and role["level"] == ADMIN:
        reason = "admin is about the daemon and all programs; remove programs, or write level: type"
        yield WrongElementError(node.entries["programs"][0], f"{name}: {reason}")
    if not (role.get("users") or role.get("groups")):
        yield WrongElementError(at, f"{name}: nobody has it; write users: [NAME] or groups: [NAME]")


def _level(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text not in LEVELS:
        raise ValueError(not_one_of(text, LEVELS))
    return text


def _list(node: Node, context: Decoding, key: Key, decode: Callable[[Node, Decoding, Key], str]) -> tuple[str, ...]:
    nodes = node.items if node.kind == SEQUENCE else [node]
    if len(nodes) > MOST_MEMBERS:
        raise ValueError(f"has {len(nodes)} elements; at most {MOST_MEMBERS} are allowed")
    return tuple(elements_of(nodes, context, key, decode))


def _account(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text or text.split() != [text] or "," in text:
        raise ValueError(f"{quoted(text)} is not one name; write a list: [{', '.join(text.replace(',', ' ').split())}]")
    return text


def _program(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    program, colon, _ = text.partition(":")
    if is_pattern(text):
        return text
    if colon and not name_problem(program):
        raise ValueError(f"{quoted(text)} is an instance; a role has whole programs: write {program}")
    if problem := name_problem(text):
        raise ValueError(f"{quoted(text)} cannot be a name: {problem}")
    return text


DECODERS: Mapping[str, Callable[[Node, Decoding, Key], Any]] = {
    "users": lambda node, context, key: _list(node, context, key, _account),
    "groups": lambda node, context, key: _list(node, context, key, _account),
    "level": _level,
    "programs": lambda node, context, key: _list(node, context, key, _program),
}

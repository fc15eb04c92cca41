"""`deps` as text: the tree of dependencies. Pure."""

from __future__ import annotations

from taskmasterctl.reply.render import GREEN, PLAIN, RED, YELLOW
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

LINES = ("\u251c\u2500 ", "\u2514\u2500 ", "\u2502  ", "   ")
"""A branch, the last branch, what stands before the lines below each of them."""
ASCII_LINES = ("|- ", "`- ", "|  ", "   ")
COLOURS = {"ok": GREEN, "waiting": YELLOW, "blocked": RED}


def deps_text(messages: Sequence[Message], request: Request, look: Look) -> str:
    """Return the trees from the roots that the first message names, or that there is nothing to draw."""
    roots, reverse = messages[0].get("roots") or (), bool(messages[0].get("reverse"))
    tree = Tree([edge for message in messages for edge in message["edges"]], look, reverse=reverse)
    if not roots and not request.targets:
        return "no program depends on another\n"
    return "".join(f"{line}\n" for root in roots for line in tree.lines(root))


class Tree:
    """All edges. A program whose branches are drawn already is marked, not drawn twice."""

    def __init__(self, edges: Sequence[Message], look: Look, *, reverse: bool) -> None:
        self._look = look
        self._reverse = reverse
        self._branches: dict[str, list[Message]] = {}
        self._drawn: set[str] = set()
        for edge in edges:
            self._branches.setdefault(edge["program" if reverse else "name"], []).append(edge)

    def lines(self, root: str) -> Iterator[str]:
        """Yield the lines of the tree that begins at a program."""
        if root not in self._branches:
            yield f"nothing depends on {clean(root)}" if self._reverse else f"{clean(root)} depends on nothing"
            return
        yield clean(root) + self._mark(root)
        waiting = [self._below(root, "")]
        while waiting:
            found = next(waiting[-1], None)
            if found is None:
                waiting.pop()
                continue
            line, child, indent = found
            yield line
            waiting.append(self._below(child, indent))

    def _mark(self, program: str) -> str:
        return "  (see above)" if program in self._drawn and program in self._branches else ""

    def _below(self, program: str, indent: str) -> Iterator[tuple[str, str, str]]:
        """Yield the line of each branch of a program, the program at its end, and what stands before the lines below that."""
        if program in self._drawn:
            return
        self._drawn.add(program)
        branch, last, beside, free = LINES if self._look.utf8 else ASCII_LINES
        edges = self._branches.get(program, [])
        for edge in edges:
            child = edge["name" if self._reverse else "program"]
            is_last = edge is edges[-1]
            line = f"{indent}{last if is_last else branch}{self._edge(edge)}{self._mark(child)}"
            yield line, child, indent + (free if is_last else beside)

    def _edge(self, edge: Message) -> str:
        """Return an edge from the side of which the tree comes: `db: ready, optional  waiting (db is STARTING)`."""
        condition = clean(edge["condition"])
        instance = "" if edge.get("instance") is None else f":{clean(edge['instance'])}"
        if self._reverse:
            name = clean(edge["name"])
            condition = f"{clean(edge['program'])}{instance} {condition}" if instance else condition
        else:
            name = clean(edge["program"]) + instance
        words = [
            condition,
            *(["optional"] if not edge.get("required", True) else []),
            *(["restart"] if edge.get("restart") else []),
        ]
        status = str(edge["status"])
        colour = COLOURS.get(status, "") if self._look.colour else ""
        shown = f"{colour}{clean(status)}{PLAIN}" if colour else clean(status)
        because = with_names(clean(edge.get("because") or ""), self._look.user_name)
        return f"{name}: {', '.join(words)}  {shown}{f' ({because})' if because else ''}"

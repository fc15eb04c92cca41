"""`deps`: the tree of dependencies as people see it."""

from __future__ import annotations

import json
import sys

from taskmaster_common.commands.table import parse
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.replies import reply_for
from tests.support.fakedaemon import end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

UTF8 = Look(utf8=True)


def edge(name: str, program: str, status: str = "ok", **fields: Any) -> dict[str, Any]:
    """Return an EDGE object."""
    plain = {"instance": None, "condition": "ready", "required": True, "restart": False, "because": ""}
    return {"name": name, "program": program, "status": status, **plain, **fields}


def drawn(
    line: str, roots: Sequence[str], *edges: dict[str, Any], look: Look = UTF8, as_json: bool = False
) -> list[str]:
    """Return the lines that answer that command line; nothing reaches stderr."""
    reply = reply_for(parse(line.split()), look, as_json=as_json)
    first = {"type": "deps", "roots": list(roots), "reverse": "--reverse" in line, "edges": []}
    messages: list[dict[str, Any]] = [first, *({"type": "deps", "edges": [each]} for each in edges), end()]
    chunks = [chunk for message in messages for chunk in reply.take(message)]
    assert not [text for stream, text in chunks if stream == ERR]
    return "".join(text for stream, text in chunks if stream == OUT).splitlines()


def test_each_dependency_has_its_condition_and_what_has_become_of_it() -> None:
    edges = [
        edge("web", "db", "waiting", because="db is STARTING"),
        edge("web", "cache", required=False),
        edge("web", "vpn", "blocked", condition="started", restart=True, instance=1, because="vpn:1 is FATAL; exit 1"),
        edge("db", "disk"),
    ]
    assert drawn("deps", ["web"], *edges) == [
        "web",
        "├─ db: ready  waiting (db is STARTING)",
        "│  └─ disk: ready  ok",
        "├─ cache: ready, optional  ok",
        "└─ vpn:1: started, restart  blocked (vpn:1 is FATAL; exit 1)",
    ]


def test_what_is_below_two_branches_is_drawn_once_and_marked_the_second_time() -> None:
    edges = [edge("d", "b"), edge("d", "c"), edge("b", "a"), edge("c", "a"), edge("a", "z")]
    assert drawn("deps d", ["d"], *edges) == [
        "d",
        "├─ b: ready  ok",
        "│  └─ a: ready  ok",
        "│     └─ z: ready  ok",
        "└─ c: ready  ok",
        "   └─ a: ready  ok  (see above)",
    ]


def test_the_other_way_round_the_tree_shows_who_depends() -> None:
    edges = [edge("web", "db"), edge("job", "db", instance=0), edge("top", "web", "waiting", because="web is STARTING")]
    assert drawn("deps --reverse db", ["db"], *edges) == [
        "db",
        "├─ web: ready  ok",
        "│  └─ top: ready  waiting (web is STARTING)",
        "└─ job: db:0 ready  ok",
    ]


def test_a_terminal_without_utf8_gets_ascii_lines() -> None:
    edges = [edge("web", "db"), edge("db", "disk"), edge("web", "cache")]
    assert drawn("deps", ["web"], *edges, look=Look()) == [
        "web",
        "|- db: ready  ok",
        "|  `- disk: ready  ok",
        "`- cache: ready  ok",
    ]


def test_only_what_has_become_of_it_has_a_colour() -> None:
    lines = drawn("deps", ["web"], edge("web", "db", "blocked"), look=UTF8.replace(colour=True))
    assert lines[1] == "└─ db: ready  \x1b[31mblocked\x1b[0m"


def test_nothing_to_draw_is_one_sentence() -> None:
    assert drawn("deps", []) == ["no program depends on another"]
    assert drawn("deps web", ["web"]) == ["web depends on nothing"]
    assert drawn("deps --reverse web", ["web"]) == ["nothing depends on web"]


def test_a_chain_may_be_longer_than_calls_can_be_nested() -> None:
    length = 2 * sys.getrecursionlimit()
    lines = drawn("deps", ["p0"], *(edge(f"p{i}", f"p{i + 1}") for i in range(length)))
    assert len(lines) == length + 1
    assert lines[-1].endswith(f"\u2514\u2500 p{length}: ready  ok")


def test_names_that_a_terminal_might_obey_are_written_out() -> None:
    text = "\n".join(drawn("deps", ["w\x1b[2J"], edge("w\x1b[2J", "d\x07", "o\x1bk", because="\x1b]0;x\x07")))
    assert not {"\x1b", "\x07"}.intersection(text)


def test_json_has_the_edges_as_they_travel() -> None:
    edges = [edge("web", "db"), edge("db", "disk")]
    (line,) = drawn("deps", ["web"], *edges, as_json=True)
    assert json.loads(line) == {"schema": 1, "verb": "deps", "roots": ["web"], "edges": edges, "exit": 0}

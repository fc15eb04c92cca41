"""`rlimits` and `cpu_affinity` -> rows of texts and of numbers, see `config.limits`."""

from __future__ import annotations

from taskmaster_common.config.limits import COUNT, MARKED, MICROSECONDS, RLIMITS, SIZE, UNLIMITED, Rlimit, exceeds
from taskmaster_common.schema.nodes import MAPPING, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import WrongElementError, WrongElementsError, elements_of, expect, text_of
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.units import MAX_DIGITS, parse_seconds, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

MOST_CPUS = 8192
"""Most processors of a Linux kernel. Source: its NR_CPUS."""
UNLIMITED_WORDS = ("unlimited", "infinity")
MEANT = {
    "addressspace": "as",
    "vmem": "as",
    "files": "nofile",
    "openfiles": "nofile",
    "fds": "nofile",
    "procs": "nproc",
    "filesize": "fsize",
}
"""Other names of limits, without the prefixes RLIMIT_ and Limit."""


def rlimits_of(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return a row for each limit, in the order of their names. Raises WrongElementsError with each wrong one."""
    expect(node, MAPPING)
    wrong = [
        WrongElementError(written, _unknown(name)) for name, (written, _) in node.entries.items() if name not in RLIMITS
    ]
    if wrong:
        raise WrongElementsError(wrong)
    names = {id(value): name for name, (_, value) in node.entries.items()}

    def decode(value: Node, context: Decoding, key: Key) -> Rlimit:
        return _limit(names[id(value)], value, context, key)

    found = elements_of([value for _, value in node.entries.values()], context, key, decode)
    return tuple(limit.row() for limit in sorted(found, key=lambda limit: limit.name))


def merged_rlimits(layers: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the rows of several values, weakest first, in the order of their names: the last one of each name counts."""
    rows = {row.partition(" ")[0]: row for layer in layers for row in layer}
    return tuple(rows[name] for name in sorted(rows))


def _unknown(name: str) -> str:
    squashed = name.lower().removeprefix("rlimit").removeprefix("limit").replace("_", "")
    near = squashed if squashed in RLIMITS else MEANT.get(squashed) or nearest(name, RLIMITS)
    return f"unknown limit {quoted(name)}; " + (f"did you mean {near}?" if near else f"there are {', '.join(RLIMITS)}")


def _limit(name: str, node: Node, context: Decoding, key: Key) -> Rlimit:
    if node.kind == SEQUENCE:
        if len(node.items) != 2:
            raise ValueError(f"{name} is one value, or a list of two: [soft, hard]")
        soft = _amount(name, text_of(node.items[0], context, key))
        hard = None if node.items[1].is_null() else _amount(name, text_of(node.items[1], context, key))
    else:
        soft = hard = _amount(name, text_of(node, context, key))
    if hard is not None and name in MARKED:
        reason = (
            f"taskmasterd marks the processes of a program by the hard limit of {name}; write [{_given(node)}, null]"
        )
        raise ValueError(reason)
    if hard is not None and exceeds(soft, hard):
        raise ValueError(f"{name}: the soft limit is above the hard one")
    return Rlimit(name, soft, hard)


def _given(node: Node) -> str:
    return node.items[0].text if node.kind == SEQUENCE else node.text


def _amount(name: str, text: str) -> int:
    """Return the value in the unit of the kernel. Raises ValueError."""
    if text.lower() in UNLIMITED_WORDS:
        if name == "nofile":
            raise ValueError(
                "nofile: unlimited is the most that this kernel has, on some hosts 1000000000, and programs that close "
                "all descriptors at their start then take minutes; write a number, such as 65536"
            )
        return UNLIMITED
    unit = RLIMITS[name]
    if unit == SIZE:
        return parse_size(text)
    if unit == COUNT:
        if not (text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS):
            raise ValueError(f"{name}: {quoted(text)} is neither a whole number nor unlimited")
        return int(text)
    seconds = parse_seconds(text)
    if unit == MICROSECONDS:
        return round(seconds * 1_000_000)
    if seconds != int(seconds):
        raise ValueError(f"{name}: {quoted(text)} is no whole number of seconds")
    return int(seconds)


# -- processors


def cpus_of(node: Node, context: Decoding, key: Key) -> tuple[int, ...]:
    """Return the numbers of the processors, in order. Raises ValueError."""
    nodes = node.items if node.kind == SEQUENCE else (node,)
    found = {cpu for runs in elements_of(nodes, context, key, _cpus) for cpu in runs}
    if not found:
        raise ValueError("it needs at least one processor")
    return tuple(sorted(found))


def _cpus(node: Node, context: Decoding, key: Key) -> list[int]:
    text = text_of(node, context, key)
    found: list[int] = []
    for run in text.replace(" ", "").split(","):
        first, dash, last = run.partition("-")
        last = last if dash else first
        if not all(each.isascii() and each.isdecimal() and len(each) < 6 for each in (first, last)):
            raise ValueError(f"{quoted(text)} is no list of processors such as 0-3,8")
        if int(last) < int(first) or int(last) >= MOST_CPUS:
            raise ValueError(f"{quoted(run)} is no run of processors from 0 to {MOST_CPUS - 1}")
        found.extend(range(int(first), int(last) + 1))
    return found

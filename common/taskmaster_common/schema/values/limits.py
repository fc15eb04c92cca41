"""`rlimits` and `cpu_affinity` -> rows of texts and of numbers, see `config.limits`."""

from __future__ import annotations

from functools import partial

from taskmaster_common.config.limits import (
    COUNT,
    MARKED,
    MICROSECONDS,
    OOM_WORDS,
    RLIMITS,
    SIZE,
    UNLIMITED,
    Rlimit,
    exceeds,
)
from taskmaster_common.schema.nodes import SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import (
    boolean_of,
    count_of,
    elements_of,
    limits_of,
    named_of,
    not_one_of,
    text_of,
)
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.units import MAX_DIGITS, parse_seconds, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

MOST_WEIGHT = 10_000
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
    found = named_of(node, context, key, {name: partial(_limit, name) for name in RLIMITS}, _unknown)
    return tuple(found[name].row() for name in sorted(found))


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


# -- control groups


def limits_of_group(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return a row for each limit: "memory 512000000". Raises WrongElementsError with each wrong one."""
    found = limits_of(node, context, key, LIMITS, MEANT_LIMITS)
    return tuple(f"{name} {found[name]}" for name in LIMITS if found.get(name) not in (None, ""))


def _size(node: Node, context: Decoding, key: Key) -> int:
    return parse_size(text_of(node, context, key))


def _memory(node: Node, context: Decoding, key: Key) -> int:
    size = _size(node, context, key)
    if not size:
        raise ValueError("a program without memory cannot run; write a size, or remove the line")
    return size


def _cores(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    number = text.removesuffix("%").strip()
    if len(number) > MAX_DIGITS or number.count(".") > 1 or not number.replace(".", "0").isdecimal() or number == ".":
        raise ValueError(f"{quoted(text)} is no number of processors such as 1.5 or 150%")
    cores = float(number) / (100 if text.endswith("%") else 1)
    if not 0.01 <= cores <= MOST_CPUS:
        raise ValueError(f"{quoted(text)} is not between 0.01 and {MOST_CPUS} processors")
    return f"{cores:.5f}".rstrip("0").rstrip(".")


def _weight(node: Node, context: Decoding, key: Key) -> int:
    return count_of(node, context, key, MOST_WEIGHT)


def _tasks(node: Node, context: Decoding, key: Key) -> int:
    text = text_of(node, context, key)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise ValueError(f"{quoted(text)} is no number of processes, 1 or more")
    return int(text)


def _victim(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text not in OOM_WORDS:
        raise ValueError(not_one_of(text, OOM_WORDS))
    return text


def _required(node: Node, context: Decoding, key: Key) -> str:
    return "true" if boolean_of(node, context, key) else ""


LIMITS: Mapping[str, Decoder] = {
    "memory": _memory,
    "memory_high": _memory,
    "swap": _size,
    "cpu": _cores,
    "cpu_weight": _weight,
    "tasks": _tasks,
    "oom": _victim,
    "required": _required,
}
MEANT_LIMITS = {
    "mem": "memory",
    "memory_max": "memory",
    "cpus": "cpu",
    "cpu_quota": "cpu",
    "pids": "tasks",
    "swap_max": "swap",
}


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

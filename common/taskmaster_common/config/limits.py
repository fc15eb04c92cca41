"""Values of `rlimits` and `cpu_affinity`: flat rows, so that programs with the same limits share one record. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

OOM_WORDS = PROCESS, WHOLE_GROUP = "process", "group"
"""Whom the kernel kills where `limits.memory` is used up."""
UNLIMITED = -1
SIZE, COUNT, SECONDS, MICROSECONDS = "size", "count", "seconds", "microseconds"
RLIMITS = {
    "as": SIZE,
    "core": SIZE,
    "cpu": SECONDS,
    "data": SIZE,
    "fsize": SIZE,
    "locks": COUNT,
    "memlock": SIZE,
    "msgqueue": SIZE,
    "nice": COUNT,
    "nofile": COUNT,
    "nproc": COUNT,
    "rss": SIZE,
    "rtprio": COUNT,
    "rttime": MICROSECONDS,
    "sigpending": COUNT,
    "stack": SIZE,
}
"""The limits by name, with the unit of their values. Source: getrlimit(2)."""
SIZES = ("memory", "memory_high", "swap")
"""Those of `limits` that are sizes."""
MARKED = ("locks", "rttime")
"""Limits whose hard values are the mark of a program's processes (`system.lineage`)."""
_UNTOUCHED, _UNLIMITED = "-", "unlimited"


class Rlimit(Record):
    """One limit; UNLIMITED for none, `hard` None: as it is."""

    name: str
    soft: int
    hard: int | None

    def row(self) -> str:
        """Return it as an element of the key's value: "nofile 512 -"."""
        return f"{self.name} {_word(self.soft)} {_UNTOUCHED if self.hard is None else _word(self.hard)}"


def _word(value: int) -> str:
    return _UNLIMITED if value == UNLIMITED else str(value)


def _value(word: str) -> int:
    return UNLIMITED if word == _UNLIMITED else int(word)


def rlimit_of(row: str) -> Rlimit:
    """Return the limit that `Rlimit.row` was made from."""
    name, soft, hard = row.split(" ")
    return Rlimit(name, _value(soft), None if hard == _UNTOUCHED else _value(hard))


def exceeds(value: int, limit: int) -> bool:
    """Return whether a value is more than a limit, UNLIMITED being more than any."""
    return limit != UNLIMITED and (value == UNLIMITED or value > limit)


def amount_text(name: str, value: int) -> str:
    """Return the value of a limit as one writes it: `512`, `64MB`, `30s`, `unlimited`."""
    if value == UNLIMITED:
        return _UNLIMITED
    unit = RLIMITS[name]
    if unit == SIZE:
        return format_size(value)
    if unit == COUNT:
        return str(value)
    return f"{value}s" if unit == SECONDS else f"{value / 1_000_000:.6f}".rstrip("0").rstrip(".") + "s"


def limit_text(limit: Rlimit) -> str:
    """Return both values of a limit for people: `512`, `0/unlimited`, `512, hard untouched`."""
    soft = amount_text(limit.name, limit.soft)
    if limit.hard is None:
        return f"{soft}, hard untouched"
    return soft if limit.hard == limit.soft else f"{soft}/{amount_text(limit.name, limit.hard)}"


def written_rlimits(rows: Iterable[str]) -> dict[str, Any]:
    """Return the value of `rlimits` as one writes it: `{"nofile": 512, "core": ["0", None]}`."""
    found: dict[str, Any] = {}
    for limit in map(rlimit_of, rows):
        soft, hard = (None if each is None else _written(limit.name, each) for each in (limit.soft, limit.hard))
        found[limit.name] = soft if limit.soft == limit.hard else [soft, hard]
    return found


def _written(name: str, value: int) -> str | int:
    text = amount_text(name, value)
    return int(text) if text.isdecimal() else text


def quota_of(value: str, period: int) -> int:
    """Return how much of a period a value of `limits.cpu` may use: "1.5" of 100 is 150."""
    return round(float(value) * period)


def written_limits(rows: Iterable[str]) -> dict[str, Any]:
    """Return the value of `limits` as one writes it: `{"memory": "512MB", "cpu": 1.5}`."""
    found: dict[str, Any] = {}
    for name, _, value in (row.partition(" ") for row in rows):
        if name in SIZES:
            text = format_size(int(value))
            found[name] = int(text) if text.isdecimal() else text
        elif name == "required":
            found[name] = True
        else:
            found[name] = value if name == "oom" else float(value) if "." in value else int(value)
    return found


def memory_text(rows: Iterable[str]) -> str:
    """Return the limit of memory among those of `limits`: "limits.memory 512MB"."""
    size = next((row.partition(" ")[2] for row in rows if row.startswith("memory ")), "")
    return f"limits.memory {format_size(int(size))}" if size else "limits.memory"


def cpus_text(cpus: Sequence[int]) -> str:
    """Return numbers of processors, in order, as one writes them: `0-3,8`."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)

"""The rows of the table, the limits they have to keep, and the table as text. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Limit(NamedTuple):
    """The most (`most`) or the least that ours may be: a number, or so many times the floor (`times`)."""

    value: float
    times: bool = False
    most: bool = True

    def __str__(self) -> str:
        return f"{'≤' if self.most else '≥'} {self.value:g}{' x' if self.times else ''}"


class Row(NamedTuple):
    """One quantity; None where there is nothing to say."""

    quantity: str
    unit: str
    ours: float
    floor: float | None = None
    supervisor: float | None = None
    limit: Limit | None = None

    @property
    def verdict(self) -> str:
        """Whether ours keeps the limit."""
        if self.limit is None or (self.limit.times and not self.floor):
            return ""
        found = self.ours / self.floor if self.limit.times and self.floor else self.ours
        well = found <= self.limit.value if self.limit.most else found >= self.limit.value
        return "ok" if well else "over" if self.limit.most else "under"


HEAD = ("quantity", "ours", "floor", "supervisor", "ours/floor", "ours/supervisor", "limit", "")


def table(rows: Sequence[Row]) -> str:
    """Return the table in Markdown, its columns aligned."""
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(line))
        for line in (tuple(zip(line, widths)) for line in cells)
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + (":" if n else "-") for n, width in enumerate(widths)))
    return "\n".join(f"{line} |" if not line.endswith(":") else f"{line}|" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.quantity,
        _figure(row.ours, row.unit),
        _figure(row.floor, row.unit),
        _figure(row.supervisor, row.unit),
        _ratio(row.ours, row.floor),
        _ratio(row.ours, row.supervisor),
        str(row.limit or ""),
        row.verdict,
    )


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.3g} {unit}".strip() if value < 1000 else f"{value:.0f} {unit}".strip()


def _ratio(ours: float, other: float | None) -> str:
    return f"{ours / other:.2f}" if other else "-"


def median(values: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(values) if values else None


def p99(values: Sequence[float]) -> float | None:
    """Return the value that 99 of 100 do not exceed; of less than 100, the worst."""
    return sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)] if values else None

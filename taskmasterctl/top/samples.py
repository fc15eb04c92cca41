"""The last figures of each process, and how they are drawn in one line. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmasterctl.usage.sampler import Figures

    Key = tuple[str, int]
    Point = tuple[float | None, int | None]
    """Share of a core and bytes of memory of one sample."""

MOST = 30
"""Samples that are kept of each process: as many as a sparkline can be wide."""
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = " .:-=+*#"
"""Eight heights for a terminal that shows only ASCII."""
ONE_CORE = 100.0
UNKNOWN: Point = (None, None)


class Samples:
    """The newest sample of each process with all that is known of it, and the points before it."""

    def __init__(self) -> None:
        self.newest: dict[Key, Figures] = {}
        self._points: dict[Key, list[Point]] = {}

    def add(self, figures: Mapping[Key, Figures], keys: Iterable[Key]) -> None:
        """Take the next sample; `keys` are all processes, of which some may have no figures."""
        self.newest = dict(figures)
        before, self._points = self._points, {}
        for key in keys:
            found = figures.get(key)
            points = before.get(key, [])
            points.append((found.cpu_percent, found.memory) if found else UNKNOWN)
            del points[:-MOST]
            self._points[key] = points

    def points(self, keys: Sequence[Key]) -> list[Point]:
        """Return the points of some processes together, oldest first; a sample in which none was known is unknown."""
        rows = [self._points[key] for key in keys if key in self._points]
        if len(rows) == 1:
            return rows[0]
        longest = max(map(len, rows), default=0)
        return [_together([row[-back] for row in rows if back <= len(row)]) for back in range(longest, 0, -1)]

    def cpu(self, keys: Iterable[Key]) -> float | None:
        """Return the share of a core of some processes together, None if none is known."""
        known = [each.cpu_percent for key in keys if (each := self.newest.get(key)) and each.cpu_percent is not None]
        return sum(known) if known else None

    def memory(self, keys: Iterable[Key]) -> int | None:
        """Return the bytes of some processes together, None if none is known."""
        known = [each.memory for key in keys if (each := self.newest.get(key)) and each.memory is not None]
        return sum(known) if known else None

    def more(self, keys: Iterable[Key]) -> tuple[int | None, int | None, float | None]:
        """Return descriptors, threads, and bytes a second to and from storage of some processes together."""
        found = [self.newest[key] for key in keys if key in self.newest]
        rows = zip(*((each.descriptors, each.threads, each.io) for each in found))
        descriptors, threads, io = (sum(row) if None not in row else None for row in rows) if found else (None,) * 3
        return descriptors, threads, io


def _together(points: Sequence[Point]) -> Point:
    shares = [share for share, _ in points if share is not None]
    sizes = [size for _, size in points if size is not None]
    return (sum(shares) if shares else None), (sum(sizes) if sizes else None)


def sparkline(values: Sequence[float | None], width: int, least: float, *, blocks: bool) -> str:
    """Return the last values, one column each and the newest at the right; blank where there was none.

    The scale begins at 0 and ends at the largest value, or at `least` if that is more.
    """
    shown = values[-width:]
    top = max((each for each in shown if each is not None), default=0.0)
    top = max(top, least) or 1.0
    heights = BLOCKS if blocks else PLAIN
    drawn = "".join(
        " " if each is None else heights[min(len(heights) - 1, int(each / top * len(heights)))] for each in shown
    )
    return drawn.rjust(width)

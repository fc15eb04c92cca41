"""When a burst of changes is over: after `debounce` seconds of quiet, or ten times that after the first change. Pure."""

from __future__ import annotations

MOST_DEBOUNCES = 10


class Burst:
    """The changes of one watch that are not told yet: paths in the order in which they were first seen."""

    def __init__(self, debounce_s: float) -> None:
        self.debounce_s = debounce_s
        self.paths: dict[str, None] = {}
        self.everything = False
        self.began = 0.0
        self._due = 0.0

    @property
    def open(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.paths) or self.everything

    @property
    def due(self) -> float:
        """When it is over."""
        return self._due

    def add(self, path: str | None, now: float) -> None:
        """Take a change; None: of anything, because the kernel has lost some."""
        if not self.open:
            self.began = now
        if path is None:
            self.everything = True
        else:
            self.paths[path] = None
        self._due = min(now + self.debounce_s, self.began + MOST_DEBOUNCES * self.debounce_s)

    def take(self) -> tuple[list[str], bool]:
        """Return the paths, and whether anything may have changed; the next burst begins with the next change."""
        paths, everything = list(self.paths), self.everything
        self.paths, self.everything = {}, False
        return paths, everything

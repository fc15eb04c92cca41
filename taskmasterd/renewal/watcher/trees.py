"""The files below one place: what they are now, and which of them are other ones than before.

A file is its inode, its modification time and its size: what is back with the same ones has not changed. Symbolic links are files; only
the place itself, and the way to it, may lead through some; root follows no link there by which another user leads it to what is not his
own. A place that is missing, or is a file, is waited for in the directory where
the way to it ends.
"""

from __future__ import annotations

import os
import stat

from taskmasterd.renewal.watcher.patterns import Patterns
from taskmasterd.system.paths.walk import PlantedError, enter_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Status = tuple[int, int, int]
    Add = Callable[["WatchedPlace", str, str], None]
    """`add(tree, relative, path)` watches a directory, "" being the place itself."""

LONGEST_WAY = 64


class Filter:
    """Which files and directories count: `include` names files, all where it has none; `ignore` names both. `never` are our own files."""

    def __init__(self, include: Patterns, ignore: Patterns, never: Callable[[str], bool]) -> None:
        self._include = include
        self._ignore = ignore
        self._never = never

    def directory(self, relative: str) -> bool:
        """Return whether a directory is looked into."""
        return not self._ignore.match(relative)

    def file(self, relative: str, path: str) -> bool:
        """Return whether a file counts."""
        if self._ignore.match(relative) or self._never(path):
            return False
        return not self._include or self._include.match(relative)


class WatchedPlace:
    """One place: `root` and, where only some of what is there counts, a pattern of paths below it. `shown` stands for the root in texts."""

    def __init__(self, root: str, pattern: str, shown: str, chosen: Filter) -> None:
        self.root = root
        self.shown = shown
        self.known: dict[str, Status] = {}
        self._chosen = chosen
        self._parts = None if "**" in pattern else [Patterns([part]) for part in pattern.split("/") if part]
        self._whole = Patterns([f"/{pattern}", f"/{pattern}/**"]) if pattern else None

    def text(self, relative: str) -> str:
        """Return a path for people."""
        return "/".join(part for part in (self.shown, relative) if part not in ("", "."))

    def path(self, relative: str) -> str:
        """Return the path in the file system."""
        return f"{self.root}/{relative}" if relative else self.root

    def counts(self, relative: str) -> bool:
        """Return whether a file counts; "" is the place itself, which is a file then."""
        if not relative:
            return self._whole is None and self._chosen.file(os.path.basename(self.root), self.root)
        if self._whole and not self._whole.match(relative):
            return False
        return self._chosen.file(relative, self.path(relative))

    def looks_into(self, relative: str) -> bool:
        """Return whether a directory may hold files that count."""
        if not relative:
            return True
        parts = zip(self._parts or (), relative.split("/"))  # what is below the last part of a pattern counts, too
        return all(pattern.match(part) for pattern, part in parts) and self._chosen.directory(relative)

    def status(self, relative: str) -> Status | None:
        """Return what a file is now, None for none and for a directory."""
        try:
            found = os.stat(self.root) if not relative else os.lstat(self.path(relative))
        except OSError:
            return None
        return None if stat.S_ISDIR(found.st_mode) else (found.st_ino, found.st_mtime_ns, found.st_size)

    def walk(self, start: str, add: Add) -> Iterator[str]:
        """Yield each file below a directory that counts, and have each directory watched before it is read. Raises OSError from `add`."""
        waiting = [start]
        while waiting:
            relative = waiting.pop()
            path = self.path(relative)
            if not relative and not _may_enter(path):
                if self.counts("") and os.path.lexists(path):
                    yield ""
                continue
            add(self, relative, path)
            for name, is_directory in _listed(path):
                below = f"{relative}/{name}" if relative else name
                if is_directory:
                    if self.looks_into(below):
                        waiting.append(below)
                elif self.counts(below):
                    yield below

    def snapshot(self, add: Add) -> dict[str, Status]:
        """Return all files that count as they are now."""
        return {each: found for each in self.walk("", add) if (found := self.status(each))}

    def learn(self, add: Add) -> None:
        """Know all files as they are now."""
        self.known = self.snapshot(add)

    def judged(self, relatives: list[str]) -> list[str]:
        """Return those of some paths that are other files than they were, and know them as they are now."""
        changed: list[str] = []
        for relative in relatives:
            now = self.status(relative) if self.counts(relative) else None
            if now != self.known.get(relative):
                changed.append(relative)
            if now:
                self.known[relative] = now
            else:
                self.known.pop(relative, None)
        return changed

    def below(self, relative: str) -> list[str]:
        """Return the known files below a directory."""
        return [each for each in self.known if each.startswith(f"{relative}/")]

    def way(self) -> Iterator[tuple[str, str]]:
        """Yield (directory, name) of what decides where the place is: its own name, and each symbolic link and missing part on the way."""
        parts = self.root.strip("/").split("/")[:LONGEST_WAY]
        path = ""
        for number, name in enumerate(parts):
            directory, path = path or "/", f"{path}/{name}"
            missing = not os.path.lexists(path)
            if missing or number == len(parts) - 1 or os.path.islink(path):
                yield directory, name
            if missing:
                return


def _may_enter(path: str) -> bool:
    """Return whether there is a directory at a path, to which no other user leads root by a link."""
    if os.geteuid() != 0:
        return os.path.isdir(path)
    try:
        os.close(enter_directory(path))
    except (OSError, PlantedError):
        return False
    return True


def _listed(path: str) -> list[tuple[str, bool]]:
    """Return (name, whether it is a directory) of what is in a directory, [] where nobody may look or it is gone."""
    try:
        with os.scandir(path) as found:
            return sorted((each.name, each.is_dir(follow_symlinks=False)) for each in found)
    except OSError:
        return []

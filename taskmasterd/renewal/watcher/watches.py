"""The watches of all programs: what the kernel, or a look each `poll` seconds, says of their places, gathered into bursts."""

from __future__ import annotations

import errno
import os
import time

from taskmasterd.renewal.watcher.bursts import Burst
from taskmasterd.renewal.watcher.inotify import (
    CLOSE_WRITE,
    CREATE,
    DELETE,
    IGNORED,
    ISDIR,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    Inotify,
    allowed_watches,
)
from taskmasterd.renewal.watcher.patterns import DEFAULT_IGNORED, Patterns, root_and_pattern
from taskmasterd.renewal.watcher.trees import Filter, WatchedPlace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

POLL_S = 2.0
MOST_PATHS = 10_000
"""Most paths of one burst; with more of them everything is looked at."""
FUTURE_S = 1.0
"""How far in the future a modification time may be to count as a change, seconds: such a file would have changed for ever."""


class TooManyError(Exception):
    """The kernel watches no more directories for this user."""


class ProgramWatch:
    """The watch of one program. `tell(fields)` sends what is to be said about it.

    `since`: what was modified after this moment of the wall clock has changed, too, None: nothing has.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        kernel: Kernel | None,
        never: Callable[[str], bool],
        tell: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.order = order
        ignored = (*order["ignore"], *(DEFAULT_IGNORED if order["default_ignores"] else ()))
        chosen = Filter(Patterns(order["include"]), Patterns(ignored), never)
        self.trees = [
            WatchedPlace(*root_and_pattern(path), root_and_pattern(shown)[0], chosen) for path, shown in order["paths"]
        ]
        self.burst = Burst(order["debounce"])
        self.poll_at: float | None = None
        self._kernel = None if order["poll"] else kernel
        self._poll_s = order["poll"] or POLL_S
        self._tell = tell
        self._seen: dict[WatchedPlace, dict[str, tuple[int, int, int]]] = {}

    def begin(self, since: float | None) -> None:
        """Look at everything for the first time, and say how it is watched."""
        directories = self._look()
        for tree in self.trees:
            now = time.time() + FUTURE_S
            for relative, (_inode, modified, _size) in tuple(tree.known.items()):
                if since is not None and since < modified / 1e9 < now:
                    del tree.known[relative]  # as it was before is not known
                    self.changed(tree, relative)
        if directories is not None:
            self._tell({"on": directories, "poll": 0 if self._kernel else self._poll_s})

    def _look(self) -> int | None:
        """Learn what there is; return the number of directories, None where there are too many."""
        count = 0

        def add(tree: WatchedPlace, relative: str, path: str) -> None:
            nonlocal count
            count += 1
            if self._kernel:
                self._kernel.add(self, tree, relative, path)

        try:
            for tree in self.trees:
                tree.learn(add)
                self._seen[tree] = dict(tree.known)
                if self._kernel:
                    self._kernel.add_way(self, tree)
        except TooManyError:
            self.end()
            self._kernel = None
            self._tell(
                {"off": f"{self._directories()} directories, {allowed_watches()} allowed (fs.inotify.max_user_watches)"}
            )
            return None
        if not self._kernel:
            self.poll_at = time.monotonic() + self._poll_s
        return count

    def _directories(self) -> int:
        found = [0]

        def add(_tree: WatchedPlace, _relative: str, _path: str) -> None:
            found[0] += 1

        for tree in self.trees:
            tree.snapshot(add)
        return found[0]

    def end(self) -> None:
        """Watch nothing any more."""
        if self._kernel:
            self._kernel.drop(self)
        self.poll_at = None

    # -- changes

    def changed(self, tree: WatchedPlace, relative: str | None) -> None:
        """Note a change of a file, None: of the place itself, or of anything in it."""
        if relative is None or len(self.burst.paths) >= MOST_PATHS:
            self.burst.add(None, time.monotonic())
        else:
            self.burst.add(f"{self.trees.index(tree)}/{relative}", time.monotonic())

    def poll(self) -> None:
        """Look at everything, where nobody tells us of changes."""
        for tree in self.trees:
            seen, now = self._seen[tree], tree.snapshot(lambda _tree, _relative, _path: None)
            for relative in sorted({*seen, *now}):
                if seen.get(relative) != now.get(relative):
                    self.changed(tree, relative)
            self._seen[tree] = now
        self.poll_at = time.monotonic() + self._poll_s

    def conclude(self) -> None:
        """Tell of a burst that is over, if anything is other than it was."""
        began = self.burst.began
        paths, everything = self.burst.take()
        found = self._all_changes() if everything else self._changes(paths)
        if found:
            self._tell({"changed": found[0], "more": len(found) - 1, "ago": round(time.monotonic() - began, 3)})

    def _changes(self, paths: Sequence[str]) -> list[str]:
        found: list[str] = []
        for path in paths:
            number, _, relative = path.partition("/")
            tree = self.trees[int(number)]
            found += map(tree.text, tree.judged([relative]))
        return found

    def _all_changes(self) -> list[str]:
        """Look at everything again, also for directories that are others by now."""
        before = [dict(tree.known) for tree in self.trees]
        if self._kernel:
            self._kernel.drop(self)
        if self._look() is None:
            return []
        return [
            tree.text(relative)
            for tree, known in zip(self.trees, before)
            for relative in sorted({*known, *tree.known})
            if known.get(relative) != tree.known.get(relative)
        ]


class Kernel:
    """What inotify watches, and for whom: several watches may have the same directory. Raises OSError without inotify."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self.fd = self._inotify.fd
        self._places: dict[int, dict[tuple[ProgramWatch, WatchedPlace, str], None]] = {}
        self._ways: dict[int, dict[tuple[ProgramWatch, WatchedPlace, str], None]] = {}

    def add(self, watch: ProgramWatch, tree: WatchedPlace, relative: str, path: str) -> None:
        """Watch a directory of a place. Raises TooManyError."""
        number = self._add(path, follow=not relative)
        if number is not None:
            self._places.setdefault(number, {})[watch, tree, relative] = None

    def add_way(self, watch: ProgramWatch, tree: WatchedPlace) -> None:
        """Watch what decides where a place is. Raises TooManyError."""
        for directory, name in tree.way():
            number = self._add(directory, follow=True)
            if number is not None:
                self._ways.setdefault(number, {})[watch, tree, name] = None

    def _add(self, path: str, *, follow: bool) -> int | None:
        try:
            return self._inotify.add(path, follow=follow)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                raise TooManyError from None
            return None  # it has gone, or nobody may look into it

    def drop(self, watch: ProgramWatch) -> None:
        """Watch nothing for a watch any more."""
        for places in (self._places, self._ways):
            for number in tuple(places):
                for key in [key for key in places[number] if key[0] is watch]:
                    del places[number][key]
                if not places[number]:
                    del places[number]
                    self._forget(number)

    def _forget(self, number: int) -> None:
        if number not in self._places and number not in self._ways:
            self._inotify.remove(number)

    def read(self) -> None:
        """Pass on what has happened."""
        for number, mask, name in self._inotify.read():
            if mask & OVERFLOW:
                for watch in {
                    key[0]: None for places in (self._places, self._ways) for keys in places.values() for key in keys
                }:
                    watch.changed(watch.trees[0], None)
            elif mask & IGNORED:  # the directory has gone
                self._places.pop(number, None)
                self._ways.pop(number, None)
            else:
                self._happened(number, mask, name)

    def _happened(self, number: int, mask: int, name: str) -> None:
        for watch, tree, wanted in tuple(self._ways.get(number, ())):
            if name == wanted and mask & (MOVED_FROM | MOVED_TO | CREATE | DELETE):
                watch.changed(tree, None)
            elif name == wanted and mask & CLOSE_WRITE:
                watch.changed(tree, "")
        for watch, tree, relative in tuple(self._places.get(number, ())):
            below = f"{relative}/{name}" if relative else name
            if mask & ISDIR:
                self._directory(watch, tree, below, mask)
            elif tree.counts(below) and not (mask & CREATE and _is_being_written(tree.path(below))):
                watch.changed(tree, below)

    def _directory(self, watch: ProgramWatch, tree: WatchedPlace, relative: str, mask: int) -> None:
        """Follow a directory that is new or has gone: its files are, too."""
        if not tree.looks_into(relative):
            return
        if mask & (MOVED_FROM | DELETE):
            self._leave(watch, tree, relative)
            for each in tree.below(relative):
                watch.changed(tree, each)
        elif mask & (MOVED_TO | CREATE):
            try:
                for each in tree.walk(relative, lambda one, below, path: self.add(watch, one, below, path)):
                    watch.changed(tree, each)
            except TooManyError:
                watch.changed(tree, None)

    def _leave(self, watch: ProgramWatch, tree: WatchedPlace, relative: str) -> None:
        for number in tuple(self._places):
            keys = self._places[number]
            for key in [
                each for each in keys if each[:2] == (watch, tree) and f"{each[2]}/".startswith(f"{relative}/")
            ]:
                del keys[key]
            if not keys:
                del self._places[number]
                self._forget(number)


def _is_being_written(path: str) -> bool:
    """Return whether what was created is a file that somebody has open: the end of the writing tells of it. A link has no such end."""
    try:
        found = os.lstat(path)
    except OSError:
        return True
    return os.path.isfile(path) and not os.path.islink(path) and found.st_nlink == 1

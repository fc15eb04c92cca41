"""Detects whether the code on the disk is still the code that this process runs.

A daemon lives for months; `pip install -U` replaces its package in a second. Modules that are imported after that are other
code, such as a decoder whose values the running code misreads. So the daemon checks before another process imports our code on
its behalf, and again when that process is done.

The daemon takes the identity of its code before it imports the rest of the package, and so notices an upgrade in the midst of a
start, too. A look costs one stat per source file, and reads the contents again only if one of these differs. Values of `hash`
differ between processes, so an identity is valid only within the process that has taken it, and in its forks.
"""

from __future__ import annotations

import os
import time
from _imp import source_hash

import taskmaster_common
from taskmasterd.fallbacks import SHORTAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGED = "the installed taskmasterd has changed since this daemon was started: run `taskmasterctl upgrade`"
MOST_FILES = 1000
LOOK_EVERY_S = 1.0
VERSION_BYTES = 4096
MOST_BYTES = 1 << 16
"""What one read of a file asks for: more than nearly all of our files have."""


def whole(path: str) -> bytes:
    """Return the contents of a file. Raises OSError.

    A start of a daemon reads a thousand files: a file object costs each of them as much as the read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = part = os.read(fd, MOST_BYTES)
        while len(part) == MOST_BYTES:
            part = os.read(fd, MOST_BYTES)
            content += part
        return content
    finally:
        os.close(fd)


class Installed:
    """The source files of our two packages as they were when this was created.

    `directories` are those of the packages; if they cannot be read (a zip file), the code never counts as changed.
    """

    def __init__(self, directories: tuple[str, ...] = ()) -> None:
        self._directories = directories or (os.path.dirname(os.path.abspath(__file__)), *taskmaster_common.__path__)
        try:
            self._seen, self._ours = self._stamp(), self._digest()
        except OSError:
            self._seen = self._ours = 0
        self._changed = False
        self._looked = 0.0

    def changed(self) -> bool:
        """Return whether the files have changed."""
        if not self._ours:
            return False
        try:
            seen = self._stamp()
            if seen != self._seen:
                self._changed = self._digest() != self._ours
                self._seen = seen
        except OSError as error:
            if error.errno not in SHORTAGES:  # a shortage says nothing about the files
                self._changed, self._seen = True, 0
        return self._changed

    def changed_lately(self) -> bool:
        """Return whether the files have changed, from a look that is at most LOOK_EVERY_S old; for frequent callers."""
        now = time.monotonic()
        if not self._looked or now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self.changed()
        return self._changed

    def version(self) -> str:
        """Return the version of the code on the disk, "" if it cannot be read."""
        path = os.path.join(self._directories[-1], "__init__.py")
        try:
            with open(path, "rb", buffering=0) as file:
                text = file.read(VERSION_BYTES)
        except OSError:
            return ""
        _before, found, rest = text.partition(b'__version__ = "')
        return rest.partition(b'"')[0].decode("ascii", "replace") if found else ""

    def modules(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the source file of each module of our two packages. Raises OSError."""
        for directory in self._directories:
            before = len(directory) - len(os.path.basename(directory))
            for path in self._files(directory):
                yield path[before:-3].replace("/", ".").removesuffix(".__init__"), path

    def _stamp(self) -> int:
        """Return a hash of each file's inode, time and size. Raises OSError."""
        facts = ((path, os.stat(path)) for path in self._files())
        return hash(tuple((path, one.st_dev, one.st_ino, one.st_mtime_ns, one.st_size) for path, one in facts))

    def _digest(self) -> int:
        """Return a hash of the files' contents. Raises OSError."""
        return hash(tuple((path, source_hash(0, whole(path))) for path in self._files()))

    def _files(self, *directories: str) -> Iterator[str]:
        waiting, found = [*(directories or self._directories)], 0
        while waiting and found < MOST_FILES:
            directory = waiting.pop()
            for name in sorted(os.listdir(directory)):
                path = f"{directory}/{name}"
                if name.endswith(".py"):
                    found += 1
                    yield path
                elif "." not in name and name != "__pycache__" and os.path.isdir(path):
                    waiting.append(path)

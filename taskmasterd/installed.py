"""Whether the code on the disk is still the code that this process runs.

A daemon lives for months; `pip install -U` replaces its package in a second. What is imported after that is other code: a
decoder whose values the running code cannot read, or reads as something else. So this is asked before another process
imports our code on behalf of this one, and again when it is done.

The identity is taken before the rest of the package is imported: an upgrade in the midst of a start is noticed, too. A look
costs one stat for each source file; the contents are read again only where one of these differs. Values of `hash` differ
between processes, so an identity is compared only within the process that has taken it, and in its forks.
"""

from __future__ import annotations

import os
import sys
import time
from _imp import source_hash

import taskmaster_common
from taskmaster_common.errors import RequestError
from taskmasterd.fallbacks import SHORTAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

CHANGED = "the installed taskmasterd has changed since this daemon was started: run `taskmasterctl upgrade`"
MOST_FILES = 1000
LOOK_EVERY_S = 1.0
VERSION_BYTES = 4096


OURS = ("taskmasterd.", "taskmaster_common.")


class Installed:
    """The source files of our two packages as they were when this was made.

    `directories` are those of the packages; where nothing can be read there (a zip file), nothing is ever different.
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
        """Look whether the files are others now."""
        if not self._ours:
            return False
        try:
            seen = self._stamp()
            if seen != self._seen:
                self._changed = self._digest() != self._ours
                self._seen = seen
        except OSError as error:
            if error.errno not in SHORTAGES:  # otherwise nothing new is known
                self._changed, self._seen = True, 0
        return self._changed

    def changed_lately(self) -> bool:
        """Return the answer of a look that is at most LOOK_EVERY_S old, for those who ask often."""
        now = time.monotonic()
        if not self._looked or now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self.changed()
        return self._changed

    def version(self) -> str:
        """Return the version of the code on the disk, "" where it cannot be read."""
        path = os.path.join(self._directories[-1], "__init__.py")
        try:
            with open(path, "rb", buffering=0) as file:
                text = file.read(VERSION_BYTES)
        except OSError:
            return ""
        _before, found, rest = text.partition(b'__version__ = "')
        return rest.partition(b'"')[0].decode("ascii", "replace") if found else ""

    def _stamp(self) -> int:
        """Return what the directory says of each file. Raises OSError."""
        facts = ((path, os.stat(path)) for path in self._files())
        return hash(tuple((path, one.st_dev, one.st_ino, one.st_mtime_ns, one.st_size) for path, one in facts))

    def _digest(self) -> int:
        """Return what is in each file. Raises OSError."""
        contents: list[tuple[str, bytes]] = []
        for path in self._files():
            with open(path, "rb", buffering=0) as file:
                contents.append((path, source_hash(0, file.read())))
        return hash(tuple(contents))

    def _files(self) -> Iterator[str]:
        waiting, found = [*self._directories], 0
        while waiting and found < MOST_FILES:
            directory = waiting.pop()
            for name in sorted(os.listdir(directory)):
                path = f"{directory}/{name}"
                if name.endswith(".py"):
                    found += 1
                    yield path
                elif "." not in name and name != "__pycache__" and os.path.isdir(path):
                    waiting.append(path)


class _Gate:
    """The first of the import system's finders: it finds nothing, and lets nothing of ours in that is other code."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Find nothing. Raises RequestError where a module of ours is asked for, and the code on the disk is not ours."""
        if name.startswith(OURS) and self._installed.changed():
            raise RequestError("failed", CHANGED, 1)
        return None


def refuse_other_code(installed: Installed) -> None:
    """Have this process, and its forks, import nothing more of ours from the disk once that is other code."""
    sys.meta_path.insert(0, _Gate(installed))

"""The daemon's own copy of the code that it loads on demand: it may first need some of it when other code is installed.

`copying` makes the copy. The daemon imports from it for the rest of its life: it never mixes two versions, and loads code without
a free descriptor and without the right to read its package.
"""

from __future__ import annotations

import marshal
import os
from _frozen_importlib_external import spec_from_file_location

from taskmaster_common.errors import RequestError
from taskmaster_common.jsontext import read_json
from taskmasterd.installed import CHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from taskmasterd.installed import Installed

OURS = ("taskmasterd.", "taskmaster_common.")


class CodeCopy:
    """The first of the import system's finders: it finds copied modules, and refuses others of ours that have changed.

    `index` is where the copy at `fd` lists its modules, as (offset, size).
    """

    def __init__(self, installed: Installed, fd: int, index: tuple[int, int]) -> None:
        self._installed = installed
        self._fd = fd
        self._index = index
        self._file = _identity(fd)

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return where a copied module is. Raises RequestError for another of ours if the code on the disk has changed.

        One look serves the imports of a second: each would look at every file, and who has imported looks again when it is done.
        """
        if not name.startswith(OURS):
            return None
        row = self._modules().get(name)
        if row is None:
            if self._installed.changed_lately():
                raise RequestError("failed", CHANGED, 1)
            return None
        path, *place = row
        below = [os.path.dirname(path)] if path.endswith("/__init__.py") else None
        loader: Any = _Loader(self, path, *place)
        return spec_from_file_location(name, path, loader=loader, submodule_search_locations=below)

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of the copy. Raises OSError."""
        return os.pread(self._fd, size, offset)

    def _modules(self) -> dict[str, Any]:
        """Return the index; an empty one in a fork that has closed the file, or that uses its number for another."""
        try:
            return read_json(self.read(*self._index).decode()) if _identity(self._fd) == self._file else {}
        except OSError:
            return {}


class _Loader:
    """Runs one copied module: the source text at `path`, or what was `compiled` of it."""

    def __init__(self, copy: CodeCopy, path: str, offset: int, size: int, compiled: bool) -> None:
        self._copy = copy
        self._path = path
        self._place = (offset, size)
        self._compiled = compiled

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        exec(self._code(), vars(module))  # noqa: S102 - that is what importing means

    def _code(self) -> CodeType:
        content = self._copy.read(*self._place)
        if self._compiled:
            code: CodeType = marshal.loads(content)  # noqa: S302 - nobody else can write there
            return code
        return compile(content, self._path, "exec", dont_inherit=True)


def _identity(fd: int) -> tuple[int, int]:
    """Return device and inode of an open file. Raises OSError."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino

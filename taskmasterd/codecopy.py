"""The daemon's own copy of its code: it may first need some of it when other code is installed.

`copying` makes the copy. The daemon imports from it for the rest of its life: it never mixes two versions, and loads code without
a free descriptor and without the right to read its package. What only people read, docstrings and annotations, does not stay in
memory, nor does where a module came from: that is 0.35 MB, of 4.2 MB that an idle daemon has more than a bare interpreter (measured, 3.11).
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
    from types import CodeType, FunctionType, ModuleType
    from typing import Any

    from taskmasterd.installed import Installed
else:
    FunctionType = type(lambda: None)

OURS = ("taskmasterd.", "taskmaster_common.")
ROW = b"\n"
"""What each row of the index begins with; the rest is JSON: name, path of the source, offset, size, whether it is compiled."""


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
        row = self._row(name)
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

    def _row(self, name: str) -> list[Any] | None:
        """Return the path and the place of a module; None in a fork that has closed the file, or uses its number for another."""
        try:
            index = self.read(*self._index) if _identity(self._fd) == self._file else b""
        except OSError:
            return None
        _, found, rest = index.partition(b'%b["%b",' % (ROW, name.encode()))
        return read_json(f"[{rest.partition(ROW)[0].decode()}") if found else None


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
        _forget_texts(module, module.__name__)
        if not hasattr(module, "__path__"):  # of a package the import system asks it again
            vars(module).update(__spec__=None, __loader__=None)

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


def _forget_texts(holder: ModuleType | type, name: str) -> None:
    """Drop docstrings and annotations of what the module `name` defines. `holder` is the module, or a class of it."""
    holder.__doc__ = None
    if isinstance(holder, type) and "__annotations__" in vars(holder):
        del holder.__annotations__
    for member in list(vars(holder).values()):
        own = _unwrapped(member)
        if isinstance(own, type) and own.__module__ == name:
            _forget_texts(own, name)
        elif isinstance(own, FunctionType) and own.__module__ == name:
            _forget_texts_of(own)


def _unwrapped(member: object) -> object:
    """Return the function of a method or a property. It asks no other object anything: that would load modules on demand."""
    if isinstance(member, (classmethod, staticmethod)):
        return member.__func__
    return member.fget if isinstance(member, property) else member


def _forget_texts_of(function: FunctionType) -> None:
    del function.__annotations__
    if function.__doc__:
        function.__doc__ = None
        code = function.__code__
        function.__code__ = code.replace(co_consts=(None, *code.co_consts[1:]))  # a docstring is the first constant

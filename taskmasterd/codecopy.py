"""The daemon's own copy of the code that it loads on demand: it may first need some of it when other code is installed.

Before it begins, a daemon copies the modules that it has not loaded into a file without a name, and imports them from there
for the rest of its life. So it never mixes two versions, and loads code without a free descriptor and without the right to
read its package. The file lies on a disk, where it takes no memory; without a directory for it, in memory.

What only other processes import is not copied, such as the decoder of the configuration: `installed` says whether that is
still our code.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER, cache_from_source, spec_from_file_location

from taskmaster_common.errors import RequestError
from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.fallbacks import unlinked_file, unnamed_file
from taskmasterd.installed import CHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from taskmasterd.installed import Installed

    Module = tuple[str, str]
    """(name, path of the source file)."""

OURS = ("taskmasterd.", "taskmaster_common.")
OF_OTHERS = (
    "taskmasterd.__main__.",
    "taskmasterd.guardian.",
    "taskmasterd.launch.",
    "taskmaster_common.config.keys.",
    "taskmaster_common.schema.",
)
"""What only the launcher, the guardian, and the reader of the configuration import."""
DISK = "/var/tmp"
"""Where the copy lies: a directory like /tmp, but one that outlives a boot, and so is on a disk. Source: hier(7)."""
HEAD_BYTES = 16
"""Length of what precedes the code in a compiled file: magic number, flags, time and size of the source. Source: PEP 552."""


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
        """Return where a copied module is. Raises RequestError for another of ours if the code on the disk has changed."""
        if not name.startswith(OURS):
            return None
        row = self._modules().get(name)
        if row is None:
            if self._installed.changed():
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


def copy_code(installed: Installed) -> None:
    """Copy all modules of ours that are not loaded yet, and import them from the copy from now on. Raises OSError."""
    modules = [
        (name, path)
        for name, path in installed.modules()
        if name not in sys.modules and not f"{name}.".startswith(OF_OTHERS)
    ]
    try:
        copy = _written(unlinked_file(DISK), modules)
    except OSError:
        copy = _written(unnamed_file(), modules)
    sys.meta_path.insert(0, CodeCopy(installed, *copy))


def _written(fd: int, modules: list[Module]) -> tuple[int, tuple[int, int]]:
    """Write all modules and their index; return the descriptor, and the place of the index. Raises OSError."""
    index: dict[str, tuple[str, int, int, bool]] = {}
    offset = 0
    try:
        with open(fd, "wb", closefd=False) as file:
            for name, path in modules:
                content, compiled = _content(path)
                index[name] = (path, offset, len(content), compiled)
                offset += file.write(content)
            return fd, (offset, file.write(write_json(index)))
    except BaseException:
        os.close(fd)
        raise


def _content(path: str) -> tuple[bytes, bool]:
    """Return the compiled code of a source file and True, or its text and False where no compiled file is of this source."""
    found = os.stat(path)
    numbers = (0, int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
    head = MAGIC_NUMBER + b"".join(each.to_bytes(4, "little") for each in numbers)
    try:
        with open(cache_from_source(path), "rb", buffering=0) as file:
            compiled = file.read()
    except (OSError, NotImplementedError):
        compiled = b""
    if compiled.startswith(head):
        return compiled[HEAD_BYTES:], True
    with open(path, "rb", buffering=0) as file:
        return file.read(), False


def _identity(fd: int) -> tuple[int, int]:
    """Return device and inode of an open file. Raises OSError."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino

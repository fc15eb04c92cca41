"""Makes the copy of the daemon's code (`codecopy`). Loaded once, before all that is copied, and forgotten.

The copy is a file without a name. It lies on a disk, where it takes no memory; without a directory for it, in memory. What only
other processes import is not copied, such as the decoder of the configuration: `installed` says whether that is still our code.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER, cache_from_source

from taskmaster_common.jsontext import write_json
from taskmasterd.codecopy import ROW, CodeCopy
from taskmasterd.fallbacks import unlinked_file, unnamed_file
from taskmasterd.installed import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.installed import Installed

    Module = tuple[str, str]
    """(name, path of the source file)."""

OF_OTHERS = (
    "taskmasterd.__main__.",
    "taskmasterd.guardian.",
    "taskmasterd.keeper.",
    "taskmasterd.launch.",
    "taskmaster_common.config.keys.",
    "taskmaster_common.schema.",
)
"""What only the launcher, the guardian, the keeper, and the reader of the configuration import."""
DISK = "/var/tmp"
"""Where the copy lies: a directory like /tmp, but one that outlives a boot, and so is on a disk. Source: hier(7)."""
BUFFER_BYTES = 1 << 16
"""What is written at once: a write for each module would cost as much as to read them all."""
FLAGS = bytes(4)
"""Of a compiled file that is of its source if time and size are."""
HEAD_BYTES = 16
"""Length of what precedes the code in a compiled file: magic number, flags, time and size of the source. Source: PEP 552."""


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
    index = bytearray()
    offset, ending = 0, _ending()
    try:
        with open(fd, "wb", buffering=BUFFER_BYTES, closefd=False) as file:
            for name, path in modules:
                content, compiled = _content(path, ending)
                index += ROW + write_json([name, path, offset, len(content), compiled])
                offset += file.write(content)
            return fd, (offset, file.write(index))
    except BaseException:
        os.close(fd)
        raise


def _content(path: str, ending: str) -> tuple[bytes, bool]:
    """Return the compiled code of a source file and True, or its text and False where no compiled file is of this source."""
    found = os.stat(path)
    time, size = int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF
    head = MAGIC_NUMBER + FLAGS + time.to_bytes(4, "little") + size.to_bytes(4, "little")
    directory, _slash, name = path.removesuffix(".py").rpartition("/")
    try:
        compiled = whole(f"{directory}/__pycache__/{name}{ending}")
    except OSError:
        compiled = b""
    if compiled.startswith(head):
        return compiled[HEAD_BYTES:], True
    return whole(path), False


def _ending() -> str:
    """Return how the names of compiled files end; where they lie elsewhere, or nowhere, that of none."""
    try:
        return cache_from_source("x.py").removeprefix("__pycache__/x")
    except NotImplementedError:
        return ""

"""Which files of variables were changed after the instances had been started that read them.

A child looks at them, since a file system may hang; the request waits for it, at most LOOK_FOR_S. What counts is the time of the
last change of the file, or of the link to it: also a file that is renamed to its place with an old date has that.
"""

from __future__ import annotations

import os
import time

from taskmaster_common.config import for_instance
from taskmaster_common.config.words import OPTIONAL, value_files
from taskmaster_common.jsontext import read_json, write_json
from taskmaster_common.states import RUNNING, STARTING
from taskmasterd.processes.errand import Errand
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.procfs import boot_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.processes.errand import Ending

LOOK_FOR_S = 2.0
"""Longest time of a look at all files, seconds."""
NEWER = "newer than what runs"


def newer_files(context: Context, entries: Iterable[Entry]) -> Steps[dict[Entry, tuple[str, ...]]]:
    """Return, for each slot whose instance knows an older content, texts such as "env_file /x/web.env: newer than what runs"."""
    files = {entry: found for entry in entries if (found := _files(entry))}
    if not files:
        return {}
    paths = tuple(dict.fromkeys(path for found in files.values() for path in found.values()))
    output = bytearray()
    endings: list[Ending] = []
    Errand(context.errands(), partial(_look, paths), endings.append, timeout_s=LOOK_FOR_S, on_output=output.extend)
    while not endings:
        yield
    if endings[0].status != 0:
        return {}
    changed = dict(zip(paths, read_json(bytes(output).decode())))
    known = {}
    for entry, found in files.items():
        since = _started(context, entry)
        newer = tuple(f"{what}: {NEWER}" for what, path in found.items() if (changed[path] or 0) > since)
        if newer:
            known[entry] = newer
        yield
    return known


def _files(entry: Entry) -> Mapping[str, str]:
    """Return the files that a live instance has read: path by what it is."""
    if entry.process.pid is None or entry.process.state not in (STARTING, RUNNING):
        return {}
    program = entry.present
    paths = [for_instance(path.removeprefix(OPTIONAL), entry.index) for path in program.env_file]
    found = {f"env_file {path}": path for path in paths}
    for name, written in value_files(program.env).items():
        path = for_instance(written, entry.index)
        found[f"env.{name} {path}"] = path
    return found


def _started(context: Context, entry: Entry) -> float:
    """Return when the instance of a slot was about to be spawned, in seconds since 1970."""
    instance = context.performer.instances.of(entry)
    return time.time() - boot_seconds() + instance.birth[0] if instance else time.time()


def _look(paths: Sequence[str], fd: int) -> None:
    """Write when each file was changed, None for one that cannot be looked at. Runs in a child."""
    left = memoryview(write_json([_changed(path) for path in paths]))
    while left:
        left = left[os.write(fd, left) :]


def _changed(path: str) -> float | None:
    try:
        return max(os.stat(path).st_ctime, os.lstat(path).st_ctime)
    except OSError:
        return None

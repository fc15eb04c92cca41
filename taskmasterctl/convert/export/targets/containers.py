"""What Compose and Kubernetes have in common: containers with an image, one program in each. Pure."""

from __future__ import annotations

import math
import re

from taskmaster_common.config.hooks import USUAL_TIMEOUT_S, hook_of
from taskmaster_common.config.words import DEFAULT_LOG, DISCARD, INHERIT, SAME_AS_STDOUT
from taskmaster_common.records import Record
from taskmasterctl.convert.export.targets.draft import KeyRow, TargetDraft, lost
from taskmasterctl.convert.export.targets.outcome import unique
from taskmasterctl.convert.report import LESS_PROTECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterctl.convert.export.targets.draft import ExportContext
    from taskmasterctl.convert.export.targets.source import ExportSource

NO_IMAGE = "???"
"""Stands where an image has to be written."""
IN_THE_IMAGE = "names no workingdir: it runs in the one of its image"
NO_VARIABLES = "the variables TASKMASTER_... are not set there"
INHERITS = "gets the environment of taskmasterd here, and that of its image there"
CONTAINER_LOG = "its output is the container's"
COUNTED = "the pauses between tries are the container runtime's, and it knows no starttime and no restart_burst"


class ContainerDraft(TargetDraft):
    """A program as a container. `data` is what is written of it."""

    def __init__(self, source: ExportSource, context: ExportContext, name: str) -> None:
        super().__init__(source, context)
        self.name = name
        self.data: dict[str, Any] = {}

    def text(self, text: str) -> str:
        """Return a text as the target writes it."""
        raise NotImplementedError

    def words(self, words: Iterable[str], *, shell: bool) -> list[str]:
        """Return a command as a list."""
        found = [self.text(word) for word in words]
        return ["/bin/sh", "-c", *found] if shell else found

    def image(self) -> str:
        """Return the image of --set image=, or of --set NAME.image=."""
        settings = self.context.settings
        return settings.get(f"{self.source.name}.image") or settings.get("image") or NO_IMAGE

    def say_variables(self) -> None:
        """Say that a command in a shell lacks our variables, where it uses one."""
        if self.source.config.shell and "TASKMASTER_" in self.source.config.cmd[0]:
            self.changed("cmd", NO_VARIABLES)

    def hook(self, key: str) -> list[str]:
        """Return the command of a hook, [] for none; say what is different about it."""
        row = self.value(key)
        if not row:
            return []
        hook = hook_of(row)
        if hook.timeout_s != USUAL_TIMEOUT_S:
            self.changed(key, "its time is not limited there")
        if any("TASKMASTER_" in word for word in hook.words):
            self.changed(key, NO_VARIABLES)
        return self.words(hook.words, shell=hook.shell)


class NamedSource(Record):
    """What is written for a program, or for one instance of it (`index`); `name` is what it is called there."""

    name: str
    source: ExportSource
    program: str
    index: int | None = None


def entries(sources: Mapping[str, ExportSource], rule: Callable[[str], str]) -> list[NamedSource]:
    """Return an entry for each program, for each instance where its number stands in a text. `rule` makes a name that is allowed."""
    found: list[NamedSource] = []
    taken: set[str] = set()

    def add(name: str, source: ExportSource, program: str, index: int | None = None) -> None:
        found.append(NamedSource(unique(rule(name), taken), source, program, index))
        taken.add(found[-1].name)

    for name, source in sources.items():
        if source.config.numprocs > 1 and source.numbered():
            for number, each in enumerate(source.instances()):
                add(each.name, each, name, number)
        else:
            add(name, source.single() if source.config.numprocs == 1 else source, name)
    return found


def names_of(found: Iterable[NamedSource], program: str, index: int | None) -> list[str]:
    """Return the names of the entries of a program, or of one instance of it."""
    return [each.name for each in found if each.program == program and (index is None or each.index in (None, index))]


def say_names(draft: TargetDraft, entry: NamedSource, thing: str) -> None:
    """Say what an entry is called, where that is not the name of its program."""
    if entry.index is not None:
        draft.changed("numprocs", f"one {thing} for each instance: it does not know its number", shown=False)
    if entry.name != entry.source.name:
        draft.changed("", f"is called {entry.name}")


def stream(key: str) -> KeyRow:
    """Return the row of a stream."""

    def say(draft: ContainerDraft) -> None:
        target = draft.source.value(key)
        if target == DEFAULT_LOG:
            draft.note(CONTAINER_LOG)
        elif target == DISCARD:
            draft.changed(key, "goes to the log of the container")
        elif target not in (INHERIT, SAME_AS_STDOUT):
            draft.dropped(key, "its output is that of the container", "let the program write the file, on a volume")

    return KeyRow("the container's own; a path: dropped", say)


def of_files(key: str) -> KeyRow:
    """Return the row of a key about log files."""
    return lost(key, "the container runtime keeps the log", "limit it there")


def umask() -> KeyRow:
    """Return the row of umask."""
    return lost(
        "umask",
        f"a container has the umask of its image; {LESS_PROTECTED} where that is wider",
        "set it in the program",
    )


def whole(value: float, least: int = 0) -> int:
    """Return seconds as a whole number, rounded up."""
    return max(least, math.ceil(value))


def probe_of(value: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the way of a probe and its value."""
    return next(((way, value[way]) for way in WAYS if way in value), ("", None))


WAYS = ("exec", "http", "tcp", "unix", "log", "fd", "notify", "health", "watchdog")
_URL = re.compile(r"(https?)://(\[[^\]]*\]|[^/:?#]*)(?::(\d+))?([/?][^#]*)?")


def url_parts(url: str) -> tuple[str, str, int, str] | None:
    """Return scheme, host, port and path of a URL, None for one of a socket in the file system."""
    found = _URL.match(url)
    if not found:
        return None
    scheme, host, port, path = found.groups()
    return scheme, host, int(port or (443 if scheme == "https" else 80)), path or "/"


def clear_env() -> KeyRow:
    """Return the row of clear_env, which is always so there."""

    def say(draft: ContainerDraft) -> None:
        if draft.source.value("clear_env") is not True:
            draft.note(INHERITS)

    return KeyRow("true there", say)


def limits_start(config: ProgramConfig) -> bool:
    """Return whether `start_timeout` has an effect."""
    return config.policy.type == "oneshot" or bool(config.ready or config.policy.post_start)

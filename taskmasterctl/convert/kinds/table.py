"""The kinds that can be imported: how a file is recognised, and which module reads it."""

from __future__ import annotations

import fnmatch
import os
import re

from taskmaster_common.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskmasterctl.convert.outcome.model import Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.settings import ImportSettings

    Convert = Callable[[Sequence[InputFile], ImportSettings, InputReader, Draft], None]

USAGE = 2
COMPOSE = "compose"
JAVASCRIPT = "javascript"
NAMES = (
    ("Procfile*", "procfile"),
    ("*.service", "systemd"),
    ("circus*.ini", "circus"),
    ("ecosystem*.js", JAVASCRIPT),
    ("ecosystem*.cjs", JAVASCRIPT),
    ("ecosystem*.mjs", JAVASCRIPT),
    ("ecosystem*", "pm2"),
    ("*process-compose*", "process-compose"),
    ("*compose*.y*ml", COMPOSE),
    ("*.js", JAVASCRIPT),
)
"""Kinds by the name of the file."""
CONTENTS = (
    (r"^\s*\[(program|supervisord|eventlistener|fcgi-program)\b", "supervisor"),
    (r"^\s*\[(watcher:|circus\])", "circus"),
    (r"^\s*\[Service\]", "systemd"),
    (r"^(\s*\"?processes\"?\s*:)", "process-compose"),
    (r"^services\s*:", COMPOSE),
    (r"\"apps\"\s*:", "pm2"),
    (r"^module\.exports|^export default", JAVASCRIPT),
)
"""Kinds by a line of the content."""
REFUSED = {
    COMPOSE: "a command of a Compose file means something inside its image only: keep Compose, or run Taskmaster inside one image",
    JAVASCRIPT: "a JavaScript file cannot be read without running it; "
    "node -e 'console.log(JSON.stringify(require(\"./ecosystem.config.js\")))' | taskmasterctl import --from pm2 -",
}


def _supervisor() -> Convert:
    from taskmasterctl.convert.kinds.supervisor.convert import convert  # noqa: PLC0415 - each kind alone

    return convert


def _procfile() -> Convert:
    from taskmasterctl.convert.kinds.procfile import convert  # noqa: PLC0415 - each kind alone

    return convert


def _systemd() -> Convert:
    from taskmasterctl.convert.kinds.systemd.convert import convert  # noqa: PLC0415 - each kind alone

    return convert


def _circus() -> Convert:
    from taskmasterctl.convert.kinds.circus.convert import convert  # noqa: PLC0415 - each kind alone

    return convert


def _process_compose() -> Convert:
    from taskmasterctl.convert.kinds.process_compose.convert import convert  # noqa: PLC0415 - each kind alone

    return convert


def _pm2() -> Convert:
    from taskmasterctl.convert.kinds.pm2 import convert  # noqa: PLC0415 - each kind alone

    return convert


KINDS: Mapping[str, Callable[[], Convert]] = {
    "supervisor": _supervisor,
    "procfile": _procfile,
    "systemd": _systemd,
    "circus": _circus,
    "process-compose": _process_compose,
    "pm2": _pm2,
}
"""What reads each kind."""


def kind_of(file: InputFile) -> str:
    """Return the kind of a file. Raises RequestError "usage" for a refused or unknown one."""
    name = os.path.basename(file.name)
    found = next((kind for pattern, kind in NAMES if fnmatch.fnmatchcase(name, pattern)), "")
    found = found or next((kind for pattern, kind in CONTENTS if re.search(pattern, file.text, re.MULTILINE)), "")
    if found in REFUSED:
        raise _usage(f"{file.name}: {REFUSED[found]}")
    if not found or found not in KINDS:
        raise _usage(f"{file.name}: of which kind is it? say --from {'|'.join(KINDS)}")
    return found


def one_kind(files: Sequence[InputFile], given: str) -> str:
    """Return the kind of all files. Raises RequestError "usage" if they are of two kinds, or of a refused one."""
    if given:
        for file in files:
            if given == "pm2" and file.name.endswith((".js", ".cjs", ".mjs")):
                raise _usage(f"{file.name}: {REFUSED[JAVASCRIPT]}")
        return given
    kinds = {kind_of(file): file.name for file in files}
    if len(kinds) > 1:
        shown = ", ".join(f"{name} is {kind}" for kind, name in kinds.items())
        raise _usage(f"files of one kind at a time: {shown}")
    return next(iter(kinds))


def _usage(text: str) -> RequestError:
    return RequestError("usage", text, USAGE)

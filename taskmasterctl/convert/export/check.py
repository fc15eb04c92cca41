"""`export --check`: the target's own tool reads the files, where it is installed. Nothing of the programs runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_S = 60
"""Longest run of a tool, seconds."""
CHECKED = (".service", ".socket", ".target", ".timer", ".yaml", "Procfile")
"""Ends of the names of files that a tool reads."""


def check_files(command: Sequence[str], files: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return what the tool says against the files, and what is to be said about the check."""
    tool = shutil.which(command[0])
    if tool is None:
        return [], [f"note: not checked: {command[0]} is not installed"]
    with tempfile.TemporaryDirectory(prefix="taskmaster-export-") as directory:
        paths = [os.path.join(directory, name) for name in files]
        for path, text in zip(paths, files.values()):
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        return _run([tool, *command[1:], *(path for path in paths if path.endswith(CHECKED))], directory)


def _run(words: Sequence[str], directory: str) -> tuple[list[str], list[str]]:
    name = os.path.basename(words[0])
    try:
        done = subprocess.run(  # noqa: S603 - a tool that --check names
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], [f"note: not checked: {name}: {error}"]
    lines = [
        clean(line.replace(f"{directory}/", "")) for line in (done.stdout + done.stderr).splitlines() if line.strip()
    ]
    if done.returncode or (lines and name == "systemd-analyze"):  # it warns of what it ignores, and ends with 0
        return [f"{name}: {line}" for line in lines] or [f"{name}: ended with {done.returncode}"], []
    return [], [f"note: {name} has nothing against it"]

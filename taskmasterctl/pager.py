"""A pager for answers that are longer than the terminal.

An answer is held back until it is known to be longer; then the pager gets it, and the rest as it comes. What it shows is clean
already (see `visible`). The pager is no shell command: its words are executed as they are, found in absolute directories of PATH
only, and less is kept from running other commands. A terminal that is somebody else's (sudo, su) may come with variables that are
somebody else's, too: then it is less or none.
"""

from __future__ import annotations

import os
import signal
import subprocess

from taskmasterctl.output import ERR, OUT, write, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Chunks = Iterable[tuple[int, str]]

LESS = ("less", "-FRX")
"""Leaves if one screen is enough, shows colours, keeps what it has shown. Source: less(1)."""
SECURE = {"LESSSECURE": "1", "LESSHISTFILE": "-"}
"""No commands, no files, no history: the client may be root's. Source: less(1), SECURITY."""
PREPROCESSORS = ("LESSOPEN", "LESSCLOSE")


class PagerLeftError(Exception):
    """Somebody has left the pager before the end of the answer."""


def pager_command(environment: Mapping[str, str], *, own: bool) -> tuple[str, ...]:
    """Return the words of the pager, the first one an absolute path; () for none. `own`: the variables are the user's own."""
    named = environment.get("PAGER", "")
    words: Sequence[str] = LESS
    if own and named:
        from shlex import split  # noqa: PLC0415 - costs 4 ms, and most users have set nothing

        try:
            words = split(named)
        except ValueError:  # an open quotation
            return ()
        words = LESS if words == ["less"] else words
    path = _found(words[0], environment.get("PATH", os.defpath)) if words else ""
    return (path, *words[1:]) if path else ()


def _found(name: str, directories: str) -> str:
    """Return the path of a program: none below the working directory, which anybody may have filled."""
    paths = [name] if "/" in name else [f"{directory}/{name}" for directory in directories.split(":")]
    return next((path for path in paths if path.startswith("/") and os.access(path, os.X_OK)), "")


def paged(
    run: Callable[[Callable[[Chunks], None]], int],
    command: Sequence[str],
    size: tuple[int, int],
    environment: Mapping[str, str],
) -> int:
    """Return what `run` returns, which gets what writes; 0 if somebody leaves the pager before. `size`: columns and lines."""
    pager = Pager(command, size, environment)
    try:
        return run(pager.write)
    except PagerLeftError:
        return 0
    finally:
        pager.close()


class Pager:
    """Takes chunks as `output.write` does."""

    def __init__(self, command: Sequence[str], size: tuple[int, int], environment: Mapping[str, str]) -> None:
        self._command = command
        self._columns, self._room = size
        self._environment = environment
        self._held: list[tuple[int, str]] = []
        self._lines = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._before: object = None

    def write(self, chunks: Chunks) -> None:
        """Hold the texts back, or pass those of OUT to the pager. Raises PagerLeftError."""
        for stream, text in chunks:
            if self._process and stream == OUT:
                self._feed(text)
                continue
            self._held.append((stream, text))
            self._lines += sum(1 + len(line) // self._columns for line in text.split("\n")[:-1])
            if self._lines >= self._room and not self._process:
                self._start()

    def close(self) -> None:
        """Show what is held back; where the pager runs, wait until somebody leaves it."""
        if self._process:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait()
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]
        held, self._held, self._process = self._held, [], None
        write(held)

    def _start(self) -> None:
        """Start the pager with the answer so far. What goes to stderr comes after it."""
        variables = {name: text for name, text in self._environment.items() if name not in PREPROCESSORS}
        answer = "".join(text for stream, text in self._held if stream == OUT)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own choice, without a shell
                self._command, stdin=subprocess.PIPE, env={**variables, **SECURE}, bufsize=0
            )
        except OSError:
            self._room = 1 << 60  # it cannot be executed: everything comes at the end
            return
        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's
        self._held = [(stream, text) for stream, text in self._held if stream == ERR]
        self._feed(answer)

    def _feed(self, text: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            write_all(self._process.stdin.fileno(), text)
        except OSError:
            raise PagerLeftError from None

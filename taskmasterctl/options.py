"""The options of `taskmasterctl` itself, which may stand before and after the verb. Pure.

The flags of verbs are in the command table.
"""

from __future__ import annotations

from io import StringIO

from taskmaster_common.commands.table import COMMANDS, USAGE, Flag
from taskmaster_common.errors import RequestError
from taskmaster_common.records import Record
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.units import parse_seconds
from taskmasterctl.visible import shell_quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

COLOUR_WORDS = ("auto", "always", "never")
SEPARATORS = ";\n"


class Option(Flag):
    """A flag of the client itself, with its text."""

    help: str = ""


GLOBALS = (
    Option("--socket", short="-s", value="SOCKET", help="the daemon's control socket"),
    Option("--config", short="-c", value="FILE", help="act only on the daemon that runs this configuration"),
    Option("--json", help="one JSON document instead of text; JSON lines for logs and events"),
    Option("--quiet", short="-q", help="say nothing about what succeeded"),
    Option("--timeout", value="DUR", help="wait at most this long (5, 1m30s), then exit 124"),
    Option("--color", value="WHEN", choices=COLOUR_WORDS, help="auto, always or never"),
    Option("--no-pager", help="long answers without a pager, as with PAGER=cat"),
    Option("--exit-on-error", short="-e", help="commands from a pipe: stop at the first that fails"),
    Option("--version", short="-V", help="print the version of this client"),
    Option("--help", short="-h", help="print this, or the help of a verb"),
)
USAGE_LINES = (
    "usage: taskmasterctl [-s SOCKET | -c FILE] [--json] [-q] [--timeout DUR]",
    "                     [--color auto|always|never] VERB [FLAGS] [TARGET...]",
)


class Options(Record):
    """The values of the options. `timeout` is in seconds, None for no limit; `color` is one of COLOUR_WORDS."""

    socket: str = ""
    config: str = ""
    json: bool = False
    quiet: bool = False
    timeout: float | None = None
    color: str = "auto"
    no_pager: bool = False
    exit_on_error: bool = False
    version: bool = False
    help: bool = False

    @property
    def command(self) -> str:
        """The command line that reaches the same daemon again, without a verb."""
        if self.socket:
            return f"taskmasterctl -s {shell_quoted(self.socket)}"
        return f"taskmasterctl -c {shell_quoted(self.config)}" if self.config else "taskmasterctl"


def split_options(words: Sequence[str], base: Options) -> tuple[Options, list[str]]:
    """Return `base` changed by the options among these words, and the other words: the verb with its arguments.

    A `--` ends the options. Raises RequestError "usage".
    """
    given: dict[str, Any] = {}
    left: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            left += [word, *rest] if left else rest
            break
        flag, attached = _option(word)
        if flag is not None:
            given[flag.key] = _value(flag, attached, rest)
        elif word.startswith("-") and word != "-" and not left:
            near = nearest(word, (each.name for each in GLOBALS))
            raise usage_error(f'unknown option "{word}"' + (f"; did you mean {near}?" if near else ""))
        else:
            left.append(word)
    if given.get("socket") and given.get("config"):
        raise usage_error("-s and -c exclude each other: both name the socket")
    if given.get("socket") or given.get("config"):
        base = base.replace(socket="", config="")
    return base.replace(**given), left


def _option(word: str) -> tuple[Flag | None, str | None]:
    """Return the option that a word spells and its attached value (`--socket=X`, `-sX`), each None if absent."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return next((flag for flag in GLOBALS if flag.name == name), None), value if equals else None
    flag = next((flag for flag in GLOBALS if flag.short and flag.short == word[:2]), None)
    if flag is None or (word[2:] and not flag.value):
        return None, None
    return flag, word[2:] or None


def _value(flag: Flag, attached: str | None, rest: Iterator[str]) -> object:
    if not flag.value:
        if attached is not None:
            raise usage_error(f"{flag.name} takes no value")
        return True
    text = attached if attached is not None else next(rest, None)
    if not text:
        raise usage_error(f"{flag.name} needs a value: {flag.name} {flag.value}")
    if flag.key == "timeout":
        try:
            return parse_seconds(text)
        except ValueError as error:
            raise usage_error(f"--timeout: {error}") from None
    if flag.choices and text not in flag.choices:
        raise usage_error(f'{flag.name}: "{text}" is not one of {", ".join(flag.choices)}')
    return text


class _Text(StringIO):
    """Text of which a comment takes all but the end of its line: that separates commands."""

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = super().readline(size)
        self.seek(self.tell() - line.endswith("\n"))
        return line


def split_line(line: str) -> list[list[str]]:
    """Return the commands of a line, each as its words; what is pasted may be several lines.

    `;` and an end of a line separate commands, `#` begins a comment, quotes work as in a POSIX shell. Raises RequestError
    "usage" for a quotation without an end.
    """
    from shlex import shlex  # noqa: PLC0415 - costs 4 ms, and a command line does without it

    reader = shlex(_Text(line), posix=True, punctuation_chars=SEPARATORS)
    reader.whitespace, reader.whitespace_split = " \t\r", True
    commands: list[list[str]] = [[]]
    try:
        for word in reader:
            if word and not word.strip(SEPARATORS):
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError as error:  # an open quotation
        raise RequestError("usage", f'cannot read "{line.strip()}": {str(error).lower()}', USAGE) from None
    return [words for words in commands if words]


def usage_error(message: str) -> RequestError:
    """Return the error for a mistake on the command line."""
    return RequestError("usage", message, USAGE, ("`taskmasterctl --help` lists verbs and options",))


def client_help(verb: str = "") -> str:
    """Return the help of a verb, or of the whole command line. Raises RequestError for an unknown verb."""
    from taskmaster_common.commands.help import help_text  # noqa: PLC0415 - texts that other requests do not need
    from taskmaster_common.commands.text import wrapped  # noqa: PLC0415 - as above

    if verb and verb != "all":
        return help_text(verb) + "\n"
    lines = [*USAGE_LINES, "", help_text(), "", "Options, before or after the verb:"]
    for flag in GLOBALS:
        left = f"{flag.short + ', ' if flag.short else ''}{flag.name}{' ' + flag.value if flag.value else ''}"
        lines += wrapped(f"  {left:<22} {flag.help}", " " * 25)
    lines += wrapped("Commands may come on a pipe, one a line; the exit code is that of the first that failed.")
    return "\n".join(lines) + "\n"


def unreachable_exit(verb: str) -> int:
    """Return the exit code if no daemon answers: 7 for a verb that changes something, else 4; of `health` 1.

    The HEALTHCHECK of a container knows only 0 and 1.
    """
    if verb == "health":
        return 1
    return 7 if any(command.name == verb and command.acts for command in COMMANDS) else 4

"""The shell: reads lines, runs them as commands, and prints news between them. It never repeats an action.

Each command runs exactly as it would on a command line of its own, with its own connection. `prompt` reads the lines; on a
terminal without cursor movement, `PlainReader` does.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from contextlib import suppress

from taskmaster_common import __version__
from taskmaster_common.commands.help import SHELL_COMMANDS, help_text, short_help
from taskmaster_common.commands.table import USAGE, parse
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.records import Record
from taskmasterctl.deadly import DeadlySignals, Killed
from taskmasterctl.options import Options, split_line, split_options
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.reply.render import error_text
from taskmasterctl.shell.feed import Feed
from taskmasterctl.shell.foreign import refuse_foreign
from taskmasterctl.shell.history import EARLIER_FILE, FILE, HistoryFile
from taskmasterctl.shell.news import News
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from taskmasterctl.connect.sockets import Sockets
    from taskmasterctl.usernames import UserName

    class Reader(Protocol):
        """A source of lines."""

        def read(self) -> str:
            """Return a line. Raises KeyboardInterrupt and EOFError."""
            ...

        def confirm(self, question: str) -> bool:
            """Return whether the answer was yes."""
            ...


INTERRUPTED = 130
SOUND = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?2004l"
"""Resets a terminal at any moment: plain letters, wrapped lines, a visible cursor, no bracketed paste."""
FIRST_SNAPSHOT_S = 1.0
"""Longest wait for the first snapshot, seconds."""
NAME = "taskmaster"
QUESTION = "Stop all programs and the daemon? [y/N] "
OPERATIONS = ("start", "stop", "restart", "signal")
EVERYTHING = ("reload", "shutdown")


class CommandLine(Record):
    """The functions that the shell borrows from the command line.

    `run` runs a verb and returns its exit code; it raises nothing. `write` writes chunks to their streams. `user_name`
    returns the name of a uid. `colour`: the prompt may use colours.
    """

    run: Callable[[Options, Sequence[str]], int]
    write: Callable[[Iterable[tuple[int, str]]], None]
    user_name: UserName | None = None
    colour: bool = True


def run_shell(options: Options, command_line: CommandLine, sockets: Sockets, state_dir: str, *, plain: bool) -> int:
    """Run the shell until Ctrl-D or `exit`; return 0.

    TERM and HUP end it as they end any process, after the terminal's modes are restored.
    """
    before = termios.tcgetattr(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent process may have ignored it
    news = News(Feed(sockets, Mirror()), command_line.user_name)
    history = HistoryFile(f"{state_dir}/{FILE}", f"{state_dir}/{EARLIER_FILE}")

    def suspend() -> None:
        _restore(before)
        os.kill(0, signal.SIGTSTP)  # the whole group: a pager or `tee` in the pipeline stops too

    shell = Shell(options, command_line, news)
    try:
        with DeadlySignals():
            with suppress(KeyboardInterrupt):
                shell.open(history.problem)
            shell.serve(PlainReader(command_line, news) if plain else _prompt(command_line, news, history, suspend))
    except Killed as killed:
        _restore(before)
        if not plain:
            with suppress(SystemFailure, BrokenPipeError):  # the terminal may be gone
                command_line.write(((OUT, SOUND),))
        signal.signal(killed.number, signal.SIG_DFL)
        os.kill(os.getpid(), killed.number)
    finally:
        news.feed.close()
        _restore(before)
    return 0


def _restore(attributes: list[object]) -> None:
    try:
        termios.tcsetattr(0, termios.TCSANOW, attributes)  # type: ignore[arg-type]
    except termios.error:
        return  # the terminal is gone


def _prompt(command_line: CommandLine, news: News, history: HistoryFile, suspend: Callable[[], None]) -> Reader:
    from taskmasterctl.shell.prompt import Prompt  # noqa: PLC0415 - costs 90 ms, and a plain terminal does without it

    return Prompt(lambda line: command_line.write(((OUT, line),)), suspend, news, history, colour=command_line.colour)


class Shell:
    """The loop, and the commands that only the shell has."""

    def __init__(self, options: Options, command_line: CommandLine, news: News) -> None:
        self._options = options
        self._command_line = command_line
        self._news = news
        self._leaving = False

    def open(self, problem: str = "") -> None:
        """Print the daemon's version and the status unless --quiet; `problem` is that of the history."""
        self._news.catch_up(within_s=FIRST_SNAPSHOT_S)
        if not self._options.quiet:
            feed = self._news.feed
            daemon = feed.mirror.daemon
            if feed.connected:
                self._say(
                    f"taskmasterd {clean(daemon['version'])} (pid {daemon['pid']}) at {clean(feed.path)}; type help"
                )
            else:
                self._say(f"taskmasterctl {__version__}; type help")
            self._command_line.run(self._options, ["status"])
        if problem:
            self._command_line.write(((ERR, f"taskmasterctl: warning: {clean(problem)}\n"),))

    def serve(self, reader: Reader) -> None:
        """Read and run lines until `exit` or Ctrl-D."""
        while not self._leaving:
            try:
                self._print_news()
                line = reader.read()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                self.execute(line, reader)
            except KeyboardInterrupt:
                self._command_line.write(((OUT, "\n"),))

    def execute(self, line: str, reader: Reader) -> None:
        """Run the commands of a line one after the other, also after a failure. Ctrl-C skips the rest of the line."""
        try:
            commands = split_line(line)
        except RequestError as error:
            self._refuse(error)
            return
        for words in commands:
            if self._leaving or self._command(words, reader) == INTERRUPTED:
                return

    def _command(self, words: list[str], reader: Reader) -> int:
        """Run one command and return its exit code."""
        words = words[words[0] == "taskmasterctl" :]
        try:
            refuse_foreign(words)
            options, rest = split_options(words, self._options)
            rest = ["help", *rest[1:]] if rest[:1] == ["?"] else rest
            own = self._own(rest)
        except RequestError as error:
            return self._refuse(error)
        if own is not None:
            return own
        targets = _touched(rest)
        if rest[:1] == ["shutdown"] and targets and not options.help and not reader.confirm(QUESTION):
            self._say("nothing was stopped")
            return 1
        code = self._command_line.run(options, rest) if rest or options != self._options else 0
        if code == INTERRUPTED:
            self._say("")
        self._news.catch_up(targets)
        return code

    def _own(self, words: Sequence[str]) -> int | None:
        """Run a command that only the shell has and return its exit code, None for any other. Raises RequestError."""
        verb, rest = (words[0], words[1:]) if words else ("", ())
        if verb == "help" and len(rest) <= 1 and rest != ["all"]:
            self._say(_help_of("".join(rest)))
        elif verb in ("exit", "quit"):
            if rest:
                raise RequestError("usage", f'{verb} does not take "{rest[0]}"', USAGE)
            self._leaving = True
        elif verb == "notify":
            self._notify(rest)
        else:
            return None
        return 0

    def _notify(self, words: Sequence[str]) -> None:
        if len(words) > 1 or (words and words[0] not in ("on", "off")):
            raise RequestError("usage", f'notify takes on or off, not "{" ".join(words)}"', USAGE)
        if words:
            self._news.notify = words[0] == "on"
        self._say(f"notify is {'on' if self._news.notify else 'off'}")

    def _print_news(self) -> None:
        """Print what has happened since the last line was read."""
        self._news.catch_up()
        self._command_line.write((OUT, line) for line in self._news.take())

    def _say(self, text: str) -> None:
        self._command_line.write(((OUT, f"{text}\n"),))

    def _refuse(self, error: RequestError) -> int:
        self._command_line.write(((ERR, error_text(error.message, error.hints)),))
        return error.exit_code


def _help_of(name: str) -> str:
    """Return the help of a verb, or for "" a screen of it. Raises RequestError."""
    return help_text("exit" if name == "quit" else name, SHELL_COMMANDS) if name else short_help(SHELL_COMMANDS)


def _touched(words: Sequence[str]) -> tuple[str, ...]:
    """Return the targets that a command changes, and reports on itself; () if it changes none."""
    try:
        request = parse(words)
    except RequestError:
        return ()
    if request.verb in EVERYTHING:
        return ("all",)
    return request.targets if request.verb in OPERATIONS else ()


class PlainReader:
    """Reads lines from a terminal without cursor movement: no escape sequence, no completion, no history."""

    def __init__(self, command_line: CommandLine, news: News) -> None:
        self._command_line = command_line
        self._news = news

    def read(self) -> str:
        """Return a line. Raises KeyboardInterrupt and EOFError."""
        state = "" if self._news.feed.connected else " (disconnected)"
        return self._ask(f"{NAME}{state}> ")

    def confirm(self, question: str) -> bool:
        """Return whether the answer was yes; Ctrl-D is no."""
        try:
            return self._ask(question).strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def _ask(self, message: str) -> str:
        self._command_line.write(((ERR, message),))
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            self._command_line.write(((ERR, "\n"),))
            raise
        if not line:
            self._command_line.write(((ERR, "\n"),))
            raise EOFError
        return line

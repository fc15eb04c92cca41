"""The shell: reads lines, runs them as commands, keeps to the side what happens meanwhile. It never repeats an action.

It decides nothing that a command line would decide otherwise: each command runs as if it stood alone on a command line, on a
connection of its own. How a line is read is `prompt`'s (the only importer of prompt_toolkit), or, on a terminal that cannot
do anything, a plain read.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from contextlib import suppress

from taskmaster_common import __version__
from taskmaster_common.commands.help import SHELL_COMMANDS, help_text
from taskmaster_common.commands.table import USAGE, parse
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.records import Record
from taskmasterctl.options import Options, split_line, split_options
from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.reply.render import ERR, OUT, error_text
from taskmasterctl.shell.feed import Feed
from taskmasterctl.shell.history import HistoryFile
from taskmasterctl.shell.news import News
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType
    from typing import Protocol

    from taskmasterctl.connect.sockets import Sockets
    from taskmasterctl.people import UserName

    class Reader(Protocol):
        """Where lines come from."""

        def read(self) -> str:
            """Return a line. Raises KeyboardInterrupt and EOFError."""
            ...

        def confirm(self, question: str) -> bool:
            """Return whether the answer was yes."""
            ...


INTERRUPTED = 130
AGAIN_S = 0.2
SOUND = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?2004l"
"""Plain letters, lines that wrap, a cursor, no brackets around what is pasted: wherever the signal has hit us."""
FIRST_SNAPSHOT_S = 1.0
NAME = "taskmaster"
QUESTION = "Stop all programs and the daemon? [y/N] "
OPERATIONS = ("start", "stop", "restart", "signal")
EVERYTHING = ("reload", "shutdown")


class Hands(Record):
    """What the command line lends: run a verb and return its exit code, whatever happens; write to streams; name users."""

    run: Callable[[Options, Sequence[str]], int]
    write: Callable[[Iterable[tuple[int, str]]], None]
    user_name: UserName | None = None


class Killed(SystemExit):
    """A signal that ends us has come; the terminal is put right first."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def run_shell(options: Options, hands: Hands, sockets: Sockets, history_path: str, *, plain: bool) -> int:
    """Be the shell until Ctrl-D or `exit`; returns 0.

    A TERM or HUP ends it as it would end any process, but with the terminal as it was found.
    """
    before = termios.tcgetattr(0)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _killed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us may have ignored it
    news = News(Feed(sockets, Mirror()), hands.user_name)
    history = HistoryFile(history_path)

    def suspend() -> None:
        _restore(before)
        os.kill(0, signal.SIGTSTP)  # the group: a pager or `tee` beside us stops too

    shell = Shell(options, hands, news)
    try:
        with suppress(KeyboardInterrupt):
            shell.open(history.problem)
        shell.serve(PlainReader(hands, news) if plain else _prompt(options, hands, news, history, suspend))
    except Killed as killed:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _restore(before)
        if not plain:
            with suppress(SystemFailure, BrokenPipeError):  # the terminal may have gone
                hands.write(((OUT, SOUND),))
        signal.signal(killed.number, signal.SIG_DFL)
        os.kill(os.getpid(), killed.number)
    finally:
        news.feed.close()
        _restore(before)
    return 0


def _killed(number: int, _frame: FrameType | None) -> None:
    """Leave, and once more a moment later: an exception may be raised where Python or asyncio drops it (a destructor)."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda _alarm, _frame: _killed(number, None))
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    raise Killed(number)


def _restore(attributes: list[object]) -> None:
    try:
        termios.tcsetattr(0, termios.TCSANOW, attributes)  # type: ignore[arg-type]
    except termios.error:
        return  # the terminal has gone


def _prompt(options: Options, hands: Hands, news: News, history: HistoryFile, suspend: Callable[[], None]) -> Reader:
    from taskmasterctl.shell.prompt import Prompt  # noqa: PLC0415 - 90 ms that a plain terminal does not need

    colour = options.color == "always" or (options.color == "auto" and not os.environ.get("NO_COLOR"))
    return Prompt(lambda line: hands.write(((OUT, line),)), suspend, news, history, colour=colour)


class Shell:
    """The loop, and the words that only the shell understands."""

    def __init__(self, options: Options, hands: Hands, news: News) -> None:
        self._options = options
        self._hands = hands
        self._news = news
        self._leaving = False

    def open(self, problem: str = "") -> None:
        """Say who is there and how everything is, unless that is not wanted; `problem` is the history's."""
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
            self._hands.run(self._options, ["status"])
        if problem:
            self._hands.write(((ERR, f"taskmasterctl: warning: {clean(problem)}\n"),))

    def serve(self, reader: Reader) -> None:
        """Read and run lines until somebody leaves."""
        while not self._leaving:
            try:
                self._tell()
                line = reader.read()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                self.execute(line, reader)
            except KeyboardInterrupt:
                self._hands.write(((OUT, "\n"),))

    def execute(self, line: str, reader: Reader) -> None:
        """Run the commands of a line, one after the other, whether they succeed or not; Ctrl-C ends the line."""
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
            options, rest = split_options(words, self._options)
            own = self._own(rest)
        except RequestError as error:
            return self._refuse(error)
        if own is not None:
            return own
        targets = _touched(rest)
        if rest[:1] == ["shutdown"] and targets and not options.help and not reader.confirm(QUESTION):
            self._say("nothing was stopped")
            return 1
        code = self._hands.run(options, rest) if rest or options != self._options else 0
        if code == INTERRUPTED:
            self._say("")
        self._news.catch_up(targets)
        return code

    def _own(self, words: Sequence[str]) -> int | None:
        """Run what only the shell understands; None where it is something else. Raises RequestError."""
        verb, rest = (words[0], words[1:]) if words else ("", ())
        if verb == "help" and len(rest) <= 1:
            self._say(help_text("exit" if rest == ["quit"] else "".join(rest), SHELL_COMMANDS))
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

    def _tell(self) -> None:
        """Show what has happened while nobody could be told."""
        self._news.catch_up()
        self._hands.write((OUT, line) for line in self._news.take())

    def _say(self, text: str) -> None:
        self._hands.write(((OUT, f"{text}\n"),))

    def _refuse(self, error: RequestError) -> int:
        self._hands.write(((ERR, error_text(error.message, error.hints)),))
        return error.exit_code


def _touched(words: Sequence[str]) -> tuple[str, ...]:
    """Return the targets on which a command acts, so that it tells itself what happens to them; () where it acts on none."""
    try:
        request = parse(words)
    except RequestError:
        return ()
    if request.verb in EVERYTHING:
        return ("all",)
    return request.targets if request.verb in OPERATIONS else ()


class PlainReader:
    """Lines from a terminal that can do nothing but take text: no escape sequence, no completion, no history."""

    def __init__(self, hands: Hands, news: News) -> None:
        self._hands = hands
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
        self._hands.write(((ERR, message),))
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            self._hands.write(((ERR, "\n"),))
            raise
        if not line:
            self._hands.write(((ERR, "\n"),))
            raise EOFError
        return line

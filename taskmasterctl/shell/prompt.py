"""The line editor: prompt, completion, history, toolbar, and news printed above the line that is being typed.

With `top` the only importer of prompt_toolkit. Its event loop runs while a line is read, and reads the feed too; between two lines
nothing runs. So there is no thread, and nothing to lock.
"""

from __future__ import annotations

import asyncio
import signal
import time

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.completion import generate_completions
from prompt_toolkit.output import ColorDepth

from taskmaster_common.text.formats import format_seconds, with_real_time
from taskmasterctl.reply.render import counts_text
from taskmasterctl.shell.suggestions import suggestions
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples as Fragments
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

    from taskmasterctl.reply.mirror import Mirror
    from taskmasterctl.shell.history import HistoryFile
    from taskmasterctl.shell.news import News

NARROW = 40
"""Width of a terminal below which the toolbar is hidden, columns."""
LEAST_PAUSE_S = 0.01
"""Shortest pause between two reads of the feed without input, seconds."""
SIGNAL_NAMES = tuple(sorted(with_real_time({each.name.removeprefix("SIG"): each.value for each in signal.Signals})))


class Prompt:
    """Reads lines on a terminal.

    `write` prints news, `suspend` restores the modes of the terminal and stops this process. `terminal` replaces the real
    one in tests.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        suspend: Callable[[], None],
        news: News,
        history: HistoryFile,
        *,
        colour: bool = True,
        terminal: tuple[Input, Output] | None = None,
    ) -> None:
        self._write = write
        self._news = news
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watched = -1
        given: dict[str, Any] = dict(zip(("input", "output"), terminal)) if terminal else {}
        if not colour:
            given["color_depth"] = ColorDepth.DEPTH_1_BIT
        self._question: PromptSession[str] = PromptSession(**given)
        self._session: PromptSession[str] = PromptSession(
            self._message,
            completer=MirrorCompleter(news.feed.mirror),
            complete_while_typing=False,
            auto_suggest=AutoSuggestFromHistory(),
            history=StoredHistory(history),
            key_bindings=_keys(suspend),
            refresh_interval=1.0,
            **given,
        )
        self._session.app.before_render += self._choose_toolbar

    def read(self) -> str:
        """Return a line. Raises KeyboardInterrupt and EOFError."""
        try:
            return self._session.prompt(pre_run=self._attach, set_exception_handler=False)
        finally:
            self._loop = self._timer = None

    def confirm(self, question: str) -> bool:
        """Return whether the answer was yes; Ctrl-C and Ctrl-D are no."""
        try:
            return self._question.prompt(question).strip().lower() in ("y", "yes")
        except (KeyboardInterrupt, EOFError):
            return False

    # -- what is shown

    def _message(self) -> Fragments:
        if self._news.feed.connected:
            return [("", "taskmaster> ")]
        return [("", "taskmaster "), ("fg:ansiyellow", "(disconnected)"), ("", "> ")]

    def _choose_toolbar(self, app: Any) -> None:
        """Show the toolbar; on a narrow terminal hide it, with its line."""
        self._session.bottom_toolbar = toolbar(self._news) if app.output.get_size().columns >= NARROW else None

    # -- news while somebody types

    def _attach(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._failed)
        self._watched = -1
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Read the feed, print the news, and schedule the next call."""
        loop, app = self._loop, self._session.app
        if loop is None or not app.is_running or app.is_done:
            return
        if self._timer:
            self._timer.cancel()
        lines = self._news.step()
        if self._news.feed.fd != self._watched:
            if self._watched >= 0:
                loop.remove_reader(self._watched)
            self._watched = self._news.feed.fd
            if self._watched >= 0:
                loop.add_reader(self._watched, self._turn)
        if lines:
            run_in_terminal(lambda: self._write("".join(lines)))
        else:
            app.invalidate()
        wait_s = self._news.wait_s()
        self._timer = None if wait_s is None else loop.call_later(max(LEAST_PAUSE_S, wait_s), self._turn)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the shell with the text of an unexpected error; asyncio would print a traceback."""
        del loop
        error = context.get("exception")
        if isinstance(error, Exception) and not self._session.app.is_done:
            self._session.app.exit(exception=error)


def _keys(suspend: Callable[[], None]) -> KeyBindings:
    """Return the keys that work differently from prompt_toolkit's."""
    keys = KeyBindings()

    @keys.add("c-z")
    def _stop(_event: KeyPressEvent) -> None:
        """Stop this process; prompt_toolkit's own Ctrl-Z would leave the terminal without flow control."""
        run_in_terminal(suspend)

    @keys.add("tab")
    def _complete(event: KeyPressEvent) -> None:
        """Insert the only candidate at once, before anything that was typed after the Tab."""
        buffer = event.current_buffer
        asked = CompleteEvent(completion_requested=True)
        found = [] if buffer.complete_state else list(buffer.completer.get_completions(buffer.document, asked))
        if len(found) == 1:
            buffer.apply_completion(found[0])
        else:
            generate_completions(event)

    return keys


def toolbar(news: News) -> Fragments:
    """Return the bottom line: a summary of the processes, and the daemon's version and uptime."""
    feed = news.feed
    if not feed.connected:
        return [("", f" no connection to taskmasterd at {clean(feed.path)}")]
    running, others = feed.mirror.counts()
    calm = [each for each in others if each[0] != "FATAL"]
    fragments = [("", f" {counts_text(running, len(feed.mirror), calm)}")]
    fatal = dict(others).get("FATAL")
    if fatal:
        fragments += [("", "  "), ("noreverse bg:ansired fg:ansiwhite", f" {fatal} fatal ")]
    daemon, up = feed.mirror.daemon, format_seconds(feed.mirror.daemon_uptime_s(time.monotonic()))
    return [*fragments, ("", f" | taskmasterd {clean(daemon.get('version'))} up {up}")]


class MirrorCompleter(Completer):
    """Completes words from the mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the words for the cursor's place, each followed by a blank."""
        del complete_event
        word, found = suggestions(document.text_before_cursor, self._mirror, SIGNAL_NAMES)
        for each in found:
            yield Completion(f"{each.text} ", -len(word), display=each.text, display_meta=each.meta)


class StoredHistory(History):
    """The history file as a history of prompt_toolkit, newest first."""

    def __init__(self, file: HistoryFile) -> None:
        super().__init__()
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        """Return the lines, newest first."""
        return self._file.lines[::-1]

    def append_string(self, string: str) -> None:
        """Add a line if the file accepts it."""
        if self._file.add(string):
            self._loaded_strings = self._file.lines[::-1]

    def store_string(self, string: str) -> None:
        """Do nothing: `append_string` has stored it."""

"""The screen of `top`: draws lines, reads keys, and runs what is due between them.

With the shell's line editor the only importer of prompt_toolkit. Its event loop is the only one: no thread. A frame is drawn at once
after a key, and otherwise at most FRAMES_A_SECOND times, and only if a line has changed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys as KeyNames
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from taskmasterctl.deadly import DeadlySignals, Killed
from taskmasterctl.top import keys as orders
from taskmasterctl.top import layout
from taskmasterctl.top.beside import Beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

    from taskmasterctl.reply.render import Look
    from taskmasterctl.top.keys import Keys, Order
    from taskmasterctl.top.layout import Line
    from taskmasterctl.top.live import Live

FRAMES_A_SECOND = 4
LEAST_PAUSE_S = 0.01
ESCAPE_S = 0.05
"""Time after an escape character in which the rest of a key's sequence arrives, seconds."""
FROZEN_S = 0.02
"""Shortest pause between two frames of keys that repeat, seconds."""
INTERRUPTED, GONE = 130, 4
STYLE = {
    "good": "ansigreen",
    "changing": "ansiyellow",
    "bad": "ansired",
    "down": "",
    "dim": "",
    "head": "bold",
    "off": "ansibrightblack",
}
NAMED_KEYS = (
    "up", "down", "pageup", "pagedown", "home", "end", "enter", "backspace", "escape", "c-c", "c-l", "c-z", "space"
)  # fmt: skip
HINT = "h help, q leave"


class Outside:
    """What the screen needs from the command line: `run(words)` runs a verb on the plain terminal, `suspend()` stops this process.

    `wait()` returns when Enter was pressed.
    """

    def __init__(
        self, run: Callable[[Sequence[str]], int], suspend: Callable[[], None], wait: Callable[[], None]
    ) -> None:
        self.run = run
        self.suspend = suspend
        self.wait = wait


class TopScreen:
    """Shows what `live` follows until somebody leaves. `terminal` replaces the real one in tests."""

    def __init__(
        self,
        live: Live,
        keys: Keys,
        look: Look,
        outside: Outside,
        *,
        utf8: bool,
        terminal: tuple[Input, Output] | None = None,
    ) -> None:
        self._live = live
        self._keys = keys
        self._look = look
        self._outside = outside
        self._utf8 = utf8
        self._host = os.uname().nodename.partition(".")[0]
        self._beside = Beside(live.feed, look, self._show_soon)
        self._drawn: list[Line] = []
        self._next: list[Line] | None = None
        self._frame_began = 0.0
        self._drawn_at = float("-inf")
        self._frame_due: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._signalled = 0
        given: dict[str, Any] = dict(zip(("input", "output"), terminal)) if terminal else {}
        if not look.colour:
            given["color_depth"] = ColorDepth.DEPTH_1_BIT
        self._app: Application[int] = Application(
            layout=Layout(Window(FormattedTextControl(self._content, focusable=True), always_hide_cursor=True)),
            key_bindings=self._bindings(),
            style=Style.from_dict(STYLE if look.colour else dict.fromkeys(STYLE, "")),
            full_screen=True,
            min_redraw_interval=FROZEN_S,
            **given,
        )
        self._app.before_render += self._begin_frame
        self._app.after_render += self._end_frame
        self._app.ttimeoutlen = self._app.timeoutlen = ESCAPE_S

    def run(self) -> int:
        """Return the exit code. TERM and HUP end it, and the process after it, when the terminal is as it was."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            code = self._app.run(pre_run=self._attach, set_exception_handler=False, handle_sigint=False)
        finally:
            self._beside.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._signalled:
            os.kill(os.getpid(), self._signalled)
        return code

    # -- what is due

    def _attach(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end_by, number)
        loop.call_soon(self._turn)

    def _end_by(self, number: int) -> None:
        self._signalled = number
        self._leave(128 + number)

    def _leave(self, code: int) -> None:
        if self._app.is_running and not self._app.is_done:
            self._app.exit(result=code)

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End with the text of an unexpected error; asyncio would print a traceback over the screen."""
        error = context.get("exception")
        if isinstance(error, Exception) and self._app.is_running and not self._app.is_done:
            self._app.exit(exception=error)

    def _turn(self) -> None:
        """Read the feed, sample if it is time, and see when the next call is due."""
        if not self._app.is_running or self._app.is_done:
            return
        now = time.monotonic()
        changed = self._live.follow(now)
        changed = self._live.sample(now) or changed
        if self._live.farewell:
            self._leave(GONE)
            return
        self._beside.watch("feed", self._live.feed.fd, self._turn)
        if changed:
            self._show_soon()
        if self._timer:
            self._timer.cancel()
        pause_s = max(LEAST_PAUSE_S, self._live.wait_s(time.monotonic()))
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._turn)

    # -- frames

    def _show_soon(self) -> None:
        """Draw a frame, now or as soon as the last one is old enough."""
        if self._frame_due is None:
            wait_s = max(0.0, self._drawn_at + 1 / FRAMES_A_SECOND - time.monotonic())
            self._frame_due = asyncio.get_running_loop().call_later(wait_s, self._show)

    def _show(self) -> None:
        """Draw a frame if a line has changed."""
        self._frame_due = None
        lines = self._lines()
        if lines != self._drawn:
            self._next = lines
            self._app.invalidate()

    def _begin_frame(self, _app: object) -> None:
        self._frame_began = time.process_time()

    def _end_frame(self, _app: object) -> None:
        self._live.frame_s = time.process_time() - self._frame_began

    def _content(self) -> StyleAndTextTuples:
        lines, self._next = self._next or self._lines(), None
        self._drawn, self._drawn_at = lines, time.monotonic()
        fragments: StyleAndTextTuples = []
        for at, line in enumerate(self._drawn):
            fragments += [("", "\n"), *line] if at else line
        return fragments

    def _lines(self) -> list[Line]:
        """Return the whole screen, no line wider than it."""
        size = self._app.output.get_size()
        width, height = size.columns, size.rows
        if width < layout.LEAST_COLUMNS or height < layout.LEAST_LINES:
            return [[("", layout.fitted("too small", width))]]
        live, look = self._live, self._look
        screen = layout.Drawing(width, self._utf8, live.more, live.stale, look.user_name)
        rows = live.rows
        shown = layout.columns(rows, screen)
        below = self._pane_lines((height - 3) // 2, width)
        room = height - 3 - len(below)
        self._keys.page = max(1, room - 1)
        up_s = live.mirror.daemon_uptime_s(time.monotonic()) if live.mirror.daemon else None
        facts = layout.facts_of(rows, None if live.stale else up_s, self._note())
        if self._keys.help:
            middle = [layout.help_line(line, rows, width) for line in layout.HELP[:room]]
        else:
            middle = [layout.row_line(rows, name, shown, screen) for name in rows.visible(room)]
        middle += [[("", "")]] * (room - len(middle))
        top: list[Line] = [[("", layout.fitted(layout.summary(facts, self._host, screen), width))]]
        return [
            *top,
            layout.head_line(rows, shown, screen),
            *middle,
            *below,
            [("", layout.fitted(self._bottom(), width))],
        ]

    def _note(self) -> str:
        if self._live.stale:
            return f"no daemon since {self._live.lost_at}, trying"
        if self._live.paused:
            return "paused"
        pause_s = self._live.pause_s
        return f"every {pause_s:.1f}s" if self._live.slower else f"every {pause_s:g}s"

    def _pane_lines(self, most: int, width: int) -> list[Line]:
        """Return the lower pane: its title and the newest lines."""
        pane = self._beside.pane
        if not pane:
            return []
        title = f"-- {pane.name} (l closes, L full screen) "
        newest = pane.newest(most - 1)
        lines = [title + "-" * max(0, width - len(title)), *newest, *[""] * (most - 1 - len(newest))]
        return [[("", layout.fitted(line, width))] for line in lines]

    def _bottom(self) -> str:
        if self._keys.line:
            return self._keys.line
        if self._beside.text:
            return self._beside.text
        filtered = f"filter: {self._live.rows.filter}   " if self._live.rows.filter else ""
        return filtered + HINT

    # -- keys

    def _bindings(self) -> KeyBindings:
        def presses(word: str) -> Callable[[KeyPressEvent], None]:
            return lambda _event: self._pressed(word)

        bindings = KeyBindings()
        words = {"c-c": "ctrl-c", "c-l": "ctrl-l", "c-z": "ctrl-z"}
        for name in NAMED_KEYS:
            bindings.add(name)(presses(words.get(name, name)))

        @bindings.add(KeyNames.Any)
        def _other(event: KeyPressEvent) -> None:
            self._pressed(event.data)

        return bindings

    def _pressed(self, key: str) -> None:
        self._beside.read()
        self._next = None
        opened = set(self._live.rows.open)
        for order in self._keys.press(key):
            self._obey(order)
        if self._live.rows.open != opened:
            self._live.unfolded()

    def _obey(self, order: Order) -> None:
        word, *rest = order
        if word == orders.LEAVE:
            self._leave(INTERRUPTED if rest == ["ctrl-c"] else 0)
        elif word == orders.ACT:
            self._beside.act(rest)
        elif word == orders.LOGS:
            self._beside.logs(rest[0])
        elif word == orders.OUTSIDE:
            self._run_outside(rest)
        elif word == orders.SAY:
            self._beside.say(rest[0])
        elif word == orders.SUSPEND:
            run_in_terminal(self._outside.suspend)
        elif word == orders.REDRAW:
            self._app.renderer.clear()
        elif word == orders.PAUSE:
            self._live.paused = not self._live.paused
            self._turn()
        elif word == orders.COLUMNS:
            self._live.more = not self._live.more

    def _run_outside(self, words: Sequence[str]) -> None:
        """Run a verb on the plain terminal, and come back to the same state. Ctrl-C ends the verb, TERM and HUP end all."""

        def run() -> None:
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                with DeadlySignals():
                    code = self._outside.run(words)
                    if words[0] == "why" or code not in (0, INTERRUPTED):  # it has ended by itself, and is to be read
                        self._outside.wait()
            except KeyboardInterrupt:
                pass
            except Killed as killed:
                self._end_by(killed.number)
            finally:
                signal.signal(signal.SIGINT, before)

        run_in_terminal(run)

"""`attach`: what a program writes is shown, and what is typed is its, until somebody or something ends that.

The terminal is given back in every way of leaving: a key, the end of the program, a lost daemon, a signal, an error of ours.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from taskmaster_common.errors import RequestError, TaskmasterError
from taskmaster_common.protocol import FROZEN_AFTER_S, encode, input_lines
from taskmasterctl.attach.keys import DETACH, HELP, REDRAW, SUSPEND, TAKE, AttachKeys, keys_of, ours_text
from taskmasterctl.attach.screen import IN, say, terminal_rows_columns
from taskmasterctl.attach.sending import too_old
from taskmasterctl.attach.view import View
from taskmasterctl.connect.client import DaemonConnection, FrozenError, LostError, connect, wire_line
from taskmasterctl.conversation import Conversation, local_end
from taskmasterctl.output import OUT
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.options import Options
    from taskmasterctl.reply.astext import Reply

NO_DAEMON = 4
TRIES_FOR_S, TRY_EVERY_S = 60.0, 0.25
"""How long another daemon is waited for, and the pause between two tries, seconds."""
REST_WITHIN_S = 0.5
"""Longest time for what was typed and not sent yet when the client leaves, seconds."""
MOST_TYPED = 8 * 1024 * 1024
"""Bytes that are typed and not sent yet, before no more is read from the terminal."""
PIECE = 65_536
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, signal.SIGCONT)
ENDING: dict[int, int] = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGQUIT: 131}
HELP_TEXT = "Ctrl-] then d detach  t take or give typing  r redraw  z suspend  ? this  Ctrl-] send it"


def run_attach(options: Options, request: Request, reply: Reply, environment: Mapping[str, str]) -> int:
    """Attach; return the exit code. Raises RequestError where that cannot be."""
    target = request.targets[0]
    if options.json:
        raise RequestError("usage", "attach shows a terminal, and has no --json", 2)
    if not (os.isatty(IN) and os.isatty(OUT)):
        hints = (f"to write into it: send --file - {target}", f"to read its output: logs -f {target}")
        raise RequestError("usage", "attach needs a terminal on standard input and output", 2, hints)
    text = request.text("detach_keys") or environment.get("TASKMASTER_DETACH_KEYS", "")
    sequence = keys_of(text) if text else None
    if text and sequence is None:
        hint = "one or two keys with a comma between, such as ctrl-p,ctrl-q or ctrl-x,d; or none"
        raise RequestError("usage", f'"{text}" is no sequence of detach keys', 2, (hint,))
    conversation = AttachConversation(options, request, wire_line(request), reply, environment)
    return conversation.of(AttachKeys(sequence), text).run()


class AttachConversation(Conversation):
    """The conversation of one `attach`."""

    def of(self, keys: AttachKeys, sequence: str) -> AttachConversation:
        """Say which keys are ours, and the detach sequence as it was written, "" for the command key; returns itself."""
        self._keys = keys
        leaving, taking = ours_text(sequence)
        self._view = View(self._send, self._send_size, leaving, "" if self._request.has("read_only") else taking)
        self._unsent = b""
        self._seen: set[int] = set()
        self._over: dict[str, Any] | None = None
        return self

    def _exchange(
        self, connection: DaemonConnection, _deadline: float | None, _tick_s: float | None
    ) -> Iterator[dict[str, Any]]:
        refused = connection.refusal or too_old(connection, "attach")
        if refused:
            yield refused
            return
        with _Signals(self._seen) as wake:
            try:
                self._begin(connection, self._line)
                while self._over is None:
                    try:
                        self._turn(connection, wake)
                    except (LostError, FrozenError):
                        connection = self._reconnect(wake)
                self._send_rest(connection)
            finally:
                if self._view.screen:
                    self._view.screen.leave()
        if self._over:
            yield self._over

    def _begin(self, connection: DaemonConnection, line: bytes) -> None:
        connection.begin(line)
        self._began = time.monotonic()
        self._unsent = b""
        self._send_size()

    def _turn(self, connection: DaemonConnection, wake: int) -> None:
        """Wait for what comes next, and handle it. Raises LostError, FrozenError, ProtocolError."""
        now, due, daemon = time.monotonic(), self._keys.due, connection.fileno()
        reads = [daemon, wake]
        if self._view.screen and self._view.screen.ours and len(self._unsent) < MOST_TYPED:
            reads.append(IN)
        patience_s = None if due is None else max(0.0, due - now)
        if not self._view.screen:
            patience_s = max(0.0, self._began + FROZEN_AFTER_S - now)
        readable, writable, _ = select.select(reads, [daemon] if self._unsent else [], [], patience_s)
        if not self._view.screen and not readable and time.monotonic() >= self._began + FROZEN_AFTER_S:
            raise connection.frozen()
        if daemon in readable:
            for message in connection.arrived():
                self._view.take(message)
                self._over = self._over or self._view.over
        if wake in readable:
            os.read(wake, PIECE)
            self._handle_signals()
        if IN in readable:
            self._typed()
        for data in self._keys.tick(time.monotonic()):
            self._send_input(data)
        if daemon in writable and self._unsent:
            self._unsent = self._unsent[connection.send_some(self._unsent) :]

    def _send_rest(self, connection: DaemonConnection) -> None:
        """Send what was typed before the end, as far as the daemon takes it at once."""
        until = time.monotonic() + REST_WITHIN_S
        with suppress(LostError, OSError):
            while self._unsent and (left := until - time.monotonic()) > 0:
                select.select([], [connection.fileno()], [], left)
                self._unsent = self._unsent[connection.send_some(self._unsent) :]

    # -- the daemon

    def _send(self, message: dict[str, Any]) -> None:
        self._unsent += encode(message)

    def _send_input(self, data: bytes) -> None:
        if self._view.typing:
            self._unsent += b"".join(input_lines(data))

    def _send_size(self) -> None:
        rows, columns = terminal_rows_columns()
        self._send({"type": "size", "rows": rows, "cols": columns})

    # -- a daemon that has gone

    def _reconnect(self, wake: int) -> DaemonConnection:
        """Return a connection to the next daemon, attached at the same byte; the terminal is its own again until then."""
        if self._view.screen is None:
            raise LostError("the daemon closed the connection before the end of its answer")
        self._view.screen.leave()
        say(f"-- daemon gone; {clean(self._request.targets[0])} goes on --")
        until = time.monotonic() + TRIES_FOR_S
        flags = {**self._request.flags, **({"from": self._view.place} if self._view.place else {})}
        flags.pop("detach_keys", None)
        while self._over is None and time.monotonic() < until:
            if self._connection:
                self._connection.close()
            try:
                self._connection = connection = connect(self._sockets)
                self._begin(connection, wire_line(self._request.replace(flags=flags)))
            except TaskmasterError:
                readable, _, _ = select.select([wake], [], [], TRY_EVERY_S)
                if readable:
                    os.read(wake, PIECE)
                    self._handle_signals()
            else:
                return connection
        if self._over is None:
            self._over = local_end("unreachable", f"no daemon for {TRIES_FOR_S:g}s", (), NO_DAEMON)
        return self._connection or DaemonConnection("")

    # -- the terminal

    def _typed(self) -> None:
        try:
            data = os.read(IN, PIECE)
        except OSError:  # it has hung up
            data = b""
        self._handle_signals()  # what came meanwhile came before what was typed: another size counts for it already
        if not data:
            self._detach()
            return
        if self._view.screen and self._view.screen.keeps_lines:
            self._send_input(data)
            return
        found = b""
        for each in self._keys.feed(data, time.monotonic()):
            if isinstance(each, bytes):
                found += each
                continue
            self._send_input(found)
            found = b""
            self._does[each](self)
        self._send_input(found)

    def _detach(self) -> None:
        self._over = {"type": "end", "exit": 0}

    def _take_or_give(self) -> None:
        self._send({"type": "take"})

    def _redraw(self) -> None:
        if self._view.screen and self._view.screen.alternate:
            self._view.screen.clear()
        self._send({"type": "redraw"})

    def _suspend(self) -> None:
        """Stop this process, as Ctrl-Z does elsewhere."""
        if self._view.screen:
            self._view.screen.leave()
        os.kill(os.getpid(), signal.SIGTSTP)  # where no shell could continue it, the kernel ignores that
        self._resume()

    def _resume(self) -> None:
        """Go on after a stop: the shell has used the terminal meanwhile."""
        if self._view.screen and not self._view.screen.ours:
            self._view.screen.enter(())
            self._send_size()
            self._redraw()

    def _help(self) -> None:
        if self._view.screen:
            self._view.screen.notice(HELP_TEXT)

    _does: Mapping[str, Callable[[Any], None]] = {
        DETACH: _detach,
        TAKE: _take_or_give,
        REDRAW: _redraw,
        SUSPEND: _suspend,
        HELP: _help,
    }

    def _handle_signals(self) -> None:
        seen = self._seen.copy()
        self._seen.difference_update(seen)
        for number in sorted(seen):
            if number == signal.SIGWINCH:
                self._send_size()
            elif number == signal.SIGCONT:
                self._resume()
            elif number == signal.SIGINT and self._view.screen and self._view.screen.keeps_lines:
                self._detach()
            elif number in ENDING:
                self._over = {"type": "end", "exit": ENDING[number]}


class _Signals:
    """Notes signals while entered, and returns a descriptor that becomes readable with each."""

    def __init__(self, seen: set[int]) -> None:
        self._seen = seen
        self._before: dict[int, Any] = {}

    def __enter__(self) -> int:
        self._wake, woken = os.pipe()
        self._woken = woken
        os.set_blocking(woken, False)
        self._wakeup = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        for number in SIGNALS:
            self._before[number] = signal.signal(number, lambda number, _frame: self._seen.add(number))
        return self._wake

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._wake)
        os.close(self._woken)

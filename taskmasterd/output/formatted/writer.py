"""One stream of a program on its way to a formatted log: from the pipe to its spool, from there as lines to the log."""

from __future__ import annotations

import os
import time

from taskmaster_common.config import PREFIX
from taskmaster_common.errors import system_reason
from taskmaster_common.records import Record
from taskmaster_common.text.lineformat import NEWLINE, LineOrigin, Objects, cut_at, first_lines, prefix_of, prefixed
from taskmasterd.output.formatted.spool import UntakenError
from taskmasterd.output.formatted.tail import SOMEBODY, is_cut_off, let_rotate, place_of
from taskmasterd.output.sink import LogSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from taskmasterd.output.formatted.spool import Spool
    from taskmasterd.output.formatted.tail import Place, Tail
    from taskmasterd.output.formatted.unspooled import Unspooled
    from taskmasterd.output.log.file import LogFile
    from taskmasterd.output.log.stamp import Stamp
    from taskmasterd.system.loop.reactor import Reactor, Timer

    class Shared(Protocol):
        """What all formatted logs have in common."""

        reactor: Reactor

        def stamp(self, *, utc: bool) -> Stamp:
            """Return what writes times."""

        def cut(self, place: Place, log: LogFile, /) -> Place:
            """Remove what a daemon that died has written and not noted; return where the log ends."""


PIECE = 65_536
"""Longest piece of a line, and most bytes that are formatted at once."""
MOST = 4 * PIECE
"""Most bytes that one turn takes from a pipe."""
MOST_LINES = 4096
"""Most lines that are formatted in one turn: empty ones cost as much as long ones."""
AGAIN_S = 0.005
"""Pause before the next lines of what an earlier daemon has left, seconds."""
HOLD_S = 1.0
"""Longest time that the beginning of a line waits for its end, seconds."""


class Style(Record):
    """How lines are written: `form` is PREFIX or JSON, `prefix` a template, `levels` whether a line may name its severity."""

    form: str
    prefix: str = ""
    utc: bool = False
    levels: bool = True


class FormattedSink(LogSink):
    """Takes the bytes of one pipe, and appends them as lines to the log of `sink`, which others may write, too.

    With a prefix the beginning of a line is written at once if nobody else writes to the log. Otherwise, and in JSON, it waits
    for its end HOLD_S or until it has PIECE bytes.
    """

    by_lines = True

    __slots__ = (
        "_held_since",
        "_more",
        "_objects",
        "_origin",
        "_shared",
        "_sink",
        "_spool",
        "_style",
        "_tail",
        "_timer",
        "_unsent",
    )

    def __init__(
        self, sink: LogSink, spool: Spool | Unspooled, origin: LineOrigin, style: Style, tail: Tail, shared: Shared
    ) -> None:
        super().__init__(sink.log, sink.program)
        self._sink = sink
        self._spool = spool
        self._style = style
        self._tail = tail
        self._shared = shared
        self._origin = origin
        self._objects = Objects(origin, levels=style.levels, level=spool.begun - 1 if spool.begun else None)
        self._timer: Timer | None = None
        self._held_since: float | None = None
        self._more = False
        self._unsent: tuple[int, int] | None = None
        tail.streams.add(self)
        self.led_by(spool.pid)
        if spool.left:  # not before the other streams of the log are there, with which it has to share
            shared.reactor.call_soon(self._go_on)

    # -- what a pipe asks for

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe to the spool, and the lines in that to the log; return how many bytes left the pipe."""
        try:
            moved = self._spool.take(pipe, min(most, MOST))
        except BlockingIOError:
            raise
        except UntakenError as untaken:
            return self._past_the_spool(untaken.block, untaken.error)
        except OSError as error:
            return self._past_the_spool(os.read(pipe, min(most, MOST)), error)
        if moved:
            self._work(hurry=False)
        return moved

    def busy(self, *, hurry: bool = False) -> bool:
        """Return whether the log takes nothing yet, after more of what is in the spool was written."""
        if super().busy(hurry=hurry):
            return True
        self._note_sent()
        if self._more:
            self._work(hurry=hurry)
        return self._more

    def led_by(self, pid: int) -> None:
        """Note the pid of the program that writes into the pipe."""
        if pid and pid != self._spool.pid:
            self._spool.set_pid(pid)
        if pid != self._origin.pid:
            self._origin = self._origin.replace(pid=pid)
            self._objects = Objects(self._origin, levels=self._style.levels, level=self._objects.level)

    def settle(self) -> None:
        """Write all that is in the spool, as its program has ended: the beginning of a line, too."""
        if super().busy(hurry=True):
            return  # a reader that does not read: the timer tries again
        self._note_sent()
        self._work(hurry=True)
        while self._spool.left and self._write(self._spool.peek(PIECE), hurry=True):
            continue

    def hand_over(self) -> None:
        """Note as done what the log's stream has not sent yet: that is handed over with the log."""
        self._note_sent()

    def finish(self) -> LogSink:
        """End with the pipe: write what is left, and remove the spool; return the sink to release."""
        self._note_sent()
        self.settle()
        if self._spool.left:
            self._write(self._spool.peek(self._spool.left), hurry=True)
        self._note_sent()
        self._shared.reactor.cancel(self._timer)
        self._tail.streams.discard(self)
        self._pass_on()
        if self._tail.begun is self:
            self._tail.ends(None, None)
        self._spool.close(keep=False)
        return self._sink

    # -- lines of ours

    def tell(self, origin: LineOrigin, text: str) -> None:
        """Write a line of the daemon's own about an instance, which need not be the one that this stream is of."""
        line = text.encode("utf-8", "backslashreplace") + NEWLINE
        if self._style.form == PREFIX:
            block = prefixed(line, prefix_of(self._style.prefix, self._now(), origin), begun=False)
        else:
            block = Objects(origin, levels=False).of(line, self._now())
        begun, apart = self._find_place()
        self._sink.append(NEWLINE + block if begun or apart else block, turn=False)
        self._tail.ends(place_of(self.log), None)
        self.note_end()

    # -- from the spool to the log

    def _work(self, *, hurry: bool) -> bool:
        """Write lines, in a `hurry` all of them; wait for the rest of one that has begun, or write its beginning.

        Returns whether there are more than one turn may write.
        """
        wrote = self._more = False
        lines = 0
        while self._spool.left:
            if lines >= MOST_LINES and not hurry:
                self._more = True
                break
            block = self._spool.peek(PIECE)
            cut = self._cut(first_lines(block, MOST_LINES))
            if not cut:
                break
            wrote = True
            lines += block.count(NEWLINE, 0, cut)
            if not self._write(block[:cut], hurry=hurry):
                self._more = self._unsent is None or self._spool.left > self._unsent[0]
                break
        if not self._spool.left:
            self._held_since = None
        elif wrote or self._held_since is None:
            self._held_since = self._shared.reactor.now()
            if self._timer is None:
                self._timer = self._shared.reactor.call_later(HOLD_S, self._expired)
        return self._more and lines >= MOST_LINES

    def _cut(self, block: bytes) -> int:
        """Return how much of a block is written now: whole lines up to the size at which the log rotates, or a piece of one."""
        end = block.rfind(NEWLINE) + 1
        if not end:
            if len(block) >= PIECE:
                return cut_at(block, PIECE - 4)
            return len(block) if self._style.form == PREFIX and len(self._tail.streams) == 1 else 0
        limit = self.log.limits[0]
        room = limit - self._tail.place[2] if limit and self._tail.place else end
        if 0 < room < end:
            return block.rfind(NEWLINE, 0, room) + 1 or block.find(NEWLINE) + 1
        return end

    def _write(self, block: bytes, *, hurry: bool, amount: int | None = None) -> bool:
        """Append the first bytes of the spool to the log, and note that; return whether the log takes more.

        `amount`: how many bytes of the spool they are.
        """
        if self._tail.place is None:
            self._find_place()  # first of all, what is behind the last note goes
        if not hurry:
            let_rotate(self.log)
            if super().busy(hurry=False):
                return False
        begun, apart = self._find_place()
        prefix = self._style.form == PREFIX
        if prefix:
            text = prefixed(block, prefix_of(self._style.prefix, self._now(), self._origin), begun=begun)
        else:
            text = self._objects.of(block, self._now())
        dropped = self.ledger.trouble.dropped
        self._sink.append(NEWLINE + text if apart else text, turn=False)
        if prefix:
            after = 0 if block.endswith(NEWLINE) else 1
        else:
            after = 0 if self._objects.level is None else 1 + self._objects.level
        lost = dropped != self.ledger.trouble.dropped
        self._tail.ends(self._tail.place, self if prefix and after and not lost else None)
        self._unsent = (len(block) if amount is None else amount, after)
        if super().busy(hurry=True):
            return False  # a reader has not taken all of it yet
        self._note_sent()
        if lost:
            self._tail.ends(None, None)
        return True

    def _note_sent(self) -> None:
        """Note in the spool what was written last."""
        if self._unsent is not None:
            (amount, begun), self._unsent = self._unsent, None
            place = place_of(self.log)
            self._tail.ends(place, self._tail.begun)
            self._spool.done(amount, place, begun)
            if not self._spool.name:
                self._pass_on()

    def _pass_on(self) -> None:
        """Note where the log ends in the spool of another stream: no head of ours will say it."""
        other = next((each for each in self._tail.streams if each is not self), None)
        if other is not None:
            other.note_end()

    def note_end(self) -> None:
        """Note where the log ends, which somebody else has written, perhaps in an earlier life."""
        tail = self._tail
        if tail.place is None:
            self._find_place()
            return
        goes_on = tail.begun is self or self._style.form != PREFIX
        self._spool.done(0, tail.place, self._spool.begun if goes_on else 0)

    def _find_place(self) -> tuple[bool, bool]:
        """Find out where the log ends, and note that before anything is written there.

        A kill after the next write then leaves a head that names the log, at the length it had before. Returns whether our own
        line has begun there, and whether another one has, which is to be ended first.
        """
        tail, place = self._tail, place_of(self.log)
        if place == tail.place:
            return tail.begun is self, tail.begun not in (None, self)
        target = self.log.regular_file
        if target is not None:
            place = self._shared.cut(place, target)
        prefix = self._style.form == PREFIX
        begun = prefix and bool(self._spool.begun) and place == self._spool.place
        self._spool.done(0, place, self._spool.begun if begun or not prefix else 0)
        tail.ends(place, self if begun else SOMEBODY if is_cut_off(self.log) else None)
        return begun, tail.begun is SOMEBODY

    def _now(self) -> str:
        return self._shared.stamp(utc=self._style.utc).of(time.time())

    # -- what takes longer

    def _go_on(self) -> None:
        """Write what an earlier daemon has left in the spool."""
        if self not in self._tail.streams:
            return
        self._more = True
        if super().busy(hurry=False):
            return
        self._note_sent()
        if self._work(hurry=False):  # its pipe may be silent
            self._shared.reactor.call_later(AGAIN_S, self._go_on)

    def _expired(self) -> None:
        """Write the beginning of a line that has waited long enough."""
        self._timer = None
        if self._held_since is None:
            return
        due = self._held_since + HOLD_S
        if self._shared.reactor.now() >= due:
            self.settle()
            due = self._shared.reactor.now() + HOLD_S
        if self._spool.left:
            self._timer = self._shared.reactor.call_at(due, self._expired)
        else:
            self._held_since = None

    def _past_the_spool(self, block: bytes, error: OSError) -> int:
        """Write to the log at once what the spool does not take; return how many bytes that were."""
        self.ledger.trouble.warn(
            f"cannot write the spool of {self.path}: {system_reason(error)}; a kill may cost output"
        )
        self.settle()
        for at in range(0, len(block), PIECE):
            self._write(block[at : at + PIECE], amount=0, hurry=True)
        return len(block)

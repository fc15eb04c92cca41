"""What keys mean: from a key to orders, with the questions in between. Pure.

An order is a tuple: its word, then what belongs to it. Everything that changes a program is asked first, by name, and what is asked
is what is done: the names do not change between the question and the answer.
"""

from __future__ import annotations

from taskmaster_common.commands.table import OPERATE, READ, TYPE
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.top.rows import Listing

    Order = tuple[str, ...]

MOST_NAMED = 5
"""Most names of a question that is answered with y; for more the number has to be typed."""
LEAVE, ACT, LOGS, OUTSIDE, SUSPEND, REDRAW, PAUSE, COLUMNS, SAY, QUIET = (
    "leave", "act", "logs", "outside", "suspend", "redraw", "pause", "columns", "say", "quiet"
)  # fmt: skip
NEEDS = {**dict.fromkeys("sxrg", OPERATE), **dict.fromkeys("lL", READ), "a": TYPE}
"""The level that a key needs on what it is for."""
VERBS = {"x": "stop", "r": "restart"}
WHOLE = {"L": ("logs", "-f"), "w": ("why",), "e": ("events", "-f"), "a": ("attach",)}
"""What takes the whole screen until it ends."""
PAGE = 10
"""Listing of a page where nobody knows the height."""


class Question(Record):
    """A line at the bottom that waits for keys. `kind` is one of filter, signal, yes and number; `order` follows a good answer."""

    kind: str
    text: str
    order: Order = ()
    answer: str = ""
    typed: str = ""


class Keys:
    """The keys of `top` over some rows. `page` is the number of rows that are shown."""

    def __init__(self, rows: Listing) -> None:
        self._rows = rows
        self.page = PAGE
        self.asking: Question | None = None
        self.help = False

    @property
    def line(self) -> str:
        """The bottom line while something is asked, else ""."""
        asked = self.asking
        return f"{asked.text}{asked.typed}" if asked else ""

    def press(self, key: str) -> list[Order]:
        """Return the orders that follow from a key: a character, or a word such as up or enter."""
        self._rows.chosen = True
        if self.help:
            self.help = False
            return [] if key not in ("q", "ctrl-c") else [(LEAVE, key)]
        if key == "ctrl-c":
            return [(LEAVE, key)]
        if self.asking:
            return self._answer(self.asking, key)
        moves = {"up": -1, "down": 1, "pageup": -self.page, "pagedown": self.page, "home": -(1 << 30), "end": 1 << 30}
        if key in moves:
            self._rows.move(moves[key])
            return [(QUIET,)]
        return self._plain(key)

    def _plain(self, key: str) -> list[Order]:
        rows = self._rows
        simple = {"enter": rows.fold, "space": rows.mark, "o": rows.next_sort}
        if key in simple:
            simple[key]()
            return [(QUIET,)]
        if key in ("h", "?"):
            self.help = True
            return []
        if key == "/":
            self.asking = Question("filter", "filter: ", typed=rows.filter)
            return []
        if key == "escape":
            rows.use_filter("")
            rows.marked.clear()
            return [(QUIET,), (LOGS, "")]
        orders = {"q": LEAVE, "p": PAUSE, "c": COLUMNS, "ctrl-l": REDRAW, "ctrl-z": SUSPEND}
        if key in orders:
            return [(orders[key], key)]
        return self._for_targets(key)

    def _for_targets(self, key: str) -> list[Order]:
        names = [self._rows.text_of(name) for name in self._rows.targets()]
        if not names:
            return []
        lacks = self._rows.lacks(NEEDS[key]) if key in NEEDS else ""
        if lacks:
            return [(SAY, lacks)]
        if key == "s":
            return [(ACT, "start", *names)]
        if key in VERBS:
            self._ask((VERBS[key], *names), VERBS[key], names)
        elif key == "g":
            self.asking = Question("signal", f"signal for {_listed(names)}: ", ("signal", *names))
        elif key == "l":
            return [(LOGS, self._rows.text_of(self._rows.selected[:2]))]
        elif key in WHOLE:
            return [(OUTSIDE, *WHOLE[key], "--", self._rows.text_of(self._rows.selected[:2]))]
        return []

    def _ask(self, order: Order, what: str, names: Sequence[str]) -> None:
        if len(names) > MOST_NAMED:
            text = f"{what} {len(names)} rows ({_listed(names)})? type {len(names)}, Enter: "
            self.asking = Question("number", text, order, str(len(names)))
        else:
            self.asking = Question("yes", f"{what} {_listed(names)}? y/n ", order)

    def _answer(self, asked: Question, key: str) -> list[Order]:
        if key == "escape":
            self.asking = None
            if asked.kind == "filter":
                self._rows.use_filter("")
            return []
        if asked.kind == "yes":
            self.asking = None
            return [(ACT, *asked.order)] if key == "y" else []
        if key == "enter":
            return self._typed(asked)
        if key == "backspace":
            self.asking = asked.replace(typed=asked.typed[:-1])
        elif key == "space" or len(key) == 1:
            self.asking = asked.replace(typed=asked.typed + (" " if key == "space" else key))
        if asked.kind == "filter" and self.asking:
            self._rows.use_filter(self.asking.typed)
        return []

    def _typed(self, asked: Question) -> list[Order]:
        """Take what was typed before Enter."""
        self.asking = None
        if asked.kind == "signal" and asked.typed.strip():
            verb, *names = asked.order
            word = asked.typed.strip().upper()
            self._ask((verb, word, *names), f"send {word} to", names)
        if asked.kind == "number" and asked.typed.strip() == asked.answer:
            return [(ACT, *asked.order)]
        return []


def _listed(names: Sequence[str]) -> str:
    """Return names as people list them: `a`, `a and b`, `a, b and c`, of many only some."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))

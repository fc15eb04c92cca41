"""What rolling restarts are asked for, what they tell, and whom."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.core.programs.roll import RollPolicy
from taskmasterd.core.programs.ticket import ROLLED, Ticket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Final

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.roll import Roll
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome

BEGUN: Final = "begun"
NEXT: Final = "next"
GOING_BACK: Final = "going back"
OVER: Final = "over"
OVERTAKEN: Final = "overtaken"
NOT_BEGUN: Final = "not begun"


class RollOrder(Record):
    """What to roll: these instances of a program, for whom. `free` and `asked` are those of `order.OrderOptions`.

    `before`: what slots go back to that did not exist before.
    """

    program: str
    indices: tuple[int, ...]
    policy: RollPolicy
    by: str
    free: bool = False
    asked: bool = True
    before: ProgramConfig | None = None


class RollNews(Record):
    """What has become of the roll of a program, for people; `state` is the roll, and `untouched` whom it has not reached.

    `failed` is the instance that ended it, for the `reason`; `by` is who has overtaken it, or the program that it waited for.
    """

    kind: str
    order: RollOrder
    state: Roll
    untouched: tuple[int, ...] = ()
    failed: int | None = None
    reason: str = ""
    by: str = ""


def orders(
    entries: Iterable[Entry], by: str, most: int = 0, *, free: bool = False, asked: bool = True
) -> list[RollOrder]:
    """Return an order for each program of these entries, as its key `update` says; `most`: another max_unavailable, or 0."""
    chosen: dict[str, list[Entry]] = {}
    for entry in entries:
        chosen.setdefault(entry.program, []).append(entry)
    found: list[RollOrder] = []
    for name, slots in chosen.items():
        policy = RollPolicy(**slots[0].newest.update)
        if most:
            policy = policy.replace(max_unavailable=most)
        found.append(RollOrder(name, tuple(entry.index for entry in slots), policy, by, free, asked))
    return found


class Listeners:
    """Those who wait for the roll of a program, found through its slots: what they are told."""

    def __init__(self, entries: Mapping[int, Entry], tell: Callable[[RollNews], str]) -> None:
        self._entries = entries
        self._tell = tell

    def answer(self, index: int, outcome: Outcome) -> None:
        """Give the result of an instance."""
        entry = self._entries[index]
        for ticket in tuple(entry.tickets):
            if isinstance(ticket, Ticket):
                ticket.conclude(ROLLED, entry, outcome)

    def tell(self, news: RollNews) -> None:
        """Tell the event log, and them."""
        text = self._tell(news)
        bad = news.kind in (OVERTAKEN, NOT_BEGUN) or (news.kind == OVER and news.failed is not None)
        for ticket in {each: None for entry in self._entries.values() for each in entry.tickets}:
            if isinstance(ticket, Ticket):
                ticket.say(ROLLED, news.order.program, text, final=bad)

"""Says what becomes of a rolling restart, for the event log and for clients. Pure."""

from __future__ import annotations

from taskmaster_common.states import FATAL, RUNNING
from taskmasterd.core.process.state import UNHEALTHY
from taskmasterd.core.programs.roll import Roll
from taskmasterd.core.programs.rollnews import BEGUN, GOING_BACK, NEXT, NOT_BEGUN, OVERTAKEN
from taskmasterd.core.words.describe import end_text, failed_start_text, names_text
from taskmasterd.core.words.view import slot_detail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskmasterd.core.programs.roll import RollPolicy
    from taskmasterd.core.programs.rollnews import RollNews
    from taskmasterd.core.programs.table import Entry, Table


UNDER_WAY = (BEGUN, NEXT, GOING_BACK)
"""What is told of a roll that goes on."""


def reason_of(
    table: Table, entry: Entry, policy: RollPolicy, fell: bool, now: float, signals: Mapping[int, str]
) -> str:
    """Return why an instance has ended a roll; `fell`: it had been up."""
    process = entry.process
    if process.state == FATAL:
        return failed_start_text(process, entry.policy, signals)
    if fell and process.health != UNHEALTHY:
        how = f": {end_text(process.end, signals)}" if process.end and process.state != RUNNING else ""
        return f"it did not stay up for {policy.monitor:g}s{how}"
    return slot_detail(table, entry, now, signals) or process.state


def roll_line(table: Table, news: RollNews) -> tuple[str, str]:
    """Return level and text of what has become of a roll."""
    program, state = news.order.program, news.state
    if news.kind == BEGUN:
        count = f"{state.count} instance{'s' if state.count != 1 else ''}"
        return (
            "info",
            f"update of {program}: {count}, {news.order.policy.max_unavailable} at a time, for {news.order.by}",
        )
    if news.kind == NEXT:
        name = _names(table, program, [news.failed or 0])
        if state.back:
            return "info", f"{program}: {name} goes back"
        return "info", f"{program}: {len(state.done)} of {state.count} updated, {name} starting"
    if news.kind == OVERTAKEN:
        return "warning", f"update of {program} overtaken by {news.by}{_sums(table, news)}"
    if news.kind == NOT_BEGUN:
        return "error", f"update of {program} not begun: {news.by}, which it depends on, was not updated"
    if news.failed is None:
        return "info", f"update of {program} done: {len(state.done)} of {state.count}"
    at = _names(table, program, [news.failed])
    if news.kind == GOING_BACK:
        return "error", f"update of {program} failed at {at}: {news.reason}; going back"
    word = "failed" if state.back else "stopped"
    return "error", f"update of {program} {word} at {at}: {news.reason}{_sums(table, news)}"


def _sums(table: Table, news: RollNews) -> str:
    """Return what has become of the instances."""
    state = news.state
    parts = [("updated", state.done), ("under way", [each for each in state.under_way if each != news.failed])]
    if state.back:
        parts = [("rolled back", state.done), ("not rolled back", _not_back(state))]
    parts.append(("not touched", news.untouched))
    text = "".join(f"; {word} {_names(table, news.order.program, indices)}" for word, indices in parts if indices)
    return f"{text}; the rollback stopped at {news.by}" if state.back and news.by else text


def _not_back(state: Roll) -> list[int]:
    return [*state.under_way, *state.todo]


def _names(table: Table, program: str, indices: Iterable[int]) -> str:
    slots = [table.slot(program, index) for index in indices]
    return names_text([table.name(entry) for entry in slots if entry])

"""Checks of `schedule` that need more than its own value: the host's zones and clock, and the other keys of the program."""

from __future__ import annotations

from itertools import pairwise

from taskmaster_common.config.schedule import AT, EVERY, REPLACE, schedule_of
from taskmaster_common.schema.report import quoted
from taskmaster_common.text.formats import format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmaster_common.config.schedule import Schedule
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

KEY = "schedule"
LOOKED_AT = 10
"""Next runs whose distances are looked at."""
SHOWN = 3


def check_schedule(program: Program, surroundings: Surroundings, report: Report) -> None:
    """Report a zone that the host does not know, and schedules that do something else than one expects."""
    value = program.config.schedule
    if not value:
        return
    node, place = program.at(KEY), program.place(KEY)
    zone = value.get("timezone", "")
    if zone and (problem := surroundings.zone_problem(zone)):
        report.error(node, place, f"timezone: {quoted(zone)} {problem}")
        return
    schedule = schedule_of(value)
    for doubt in _doubts(program, schedule, surroundings.upcoming(value, LOOKED_AT)):
        report.warn(node, place, doubt)


def _doubts(program: Program, schedule: Schedule, runs: Sequence[tuple[int, str]]) -> Iterator[str]:
    value = program.config.schedule
    shown = ", ".join(text[:10] for _, text in runs[:SHOWN])
    for cron in schedule.times.crons:
        if cron.two_days:
            way = "a day on which both fit" if cron.both else "a day on which either fits"
            yield f"{quoted(cron.text)} has a day and a weekday: it runs on {way}; next: {shown}"
    if AT in value and len(runs) < len(value[AT]):
        gone = len(value[AT]) - len(runs)
        yield (
            "at: every moment is in the past; it will not run"
            if not runs
            else f"at: {gone} of its moments are in the past"
        )
    if schedule.timezone and EVERY in value:
        yield "timezone has no effect with every, which counts seconds"
    yield from _distances(program, schedule, [moment for moment, _ in runs])
    if not program.config.policy.start_timeout and schedule.overlap != REPLACE:
        yield "there is no start_timeout: a run that hangs skips all later ones"


def _distances(program: Program, schedule: Schedule, moments: Sequence[int]) -> Iterator[str]:
    """Yield what does not fit between two runs."""
    between = schedule.every or min((later - each for each, later in pairwise(moments)), default=0)
    if not between:
        return
    apart = f"than two runs are apart ({format_seconds(between)})"
    if program.config.schedule.get("catch_up", 0) > between:
        yield f"catch_up is longer {apart}: the next run comes before a missed one is given up"
    if schedule.jitter > between:
        yield f"jitter is longer {apart}"
    policy = program.config.policy
    waits = [
        min(policy.restart_delay * 2.0**number, policy.restart_max_delay)
        for number in range(min(policy.startretries, 64))
    ]
    if sum(waits) > between:
        yield f"the retries of a failed run take longer {apart}; the next run takes their place"

"""Health of one instance: from the answers of its checks to a verdict, and to the moment at which something is to be done. Pure.

The verdict itself is a field of the process (`Judged`): others depend on it, and a later daemon goes on with it. What is here are
the counters behind it, which are the instance's own and restart with each instance, each change of `health` and each daemon.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.process.verdict import unfit_in_a_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.config import Policy
    from taskmaster_common.config.health import Rules
    from taskmasterd.core.process.state import Process

MOST_CHANGES = 5
"""Changes of the verdict that are kept, the last ones."""


class Answer(Record):
    """What came of one check: `ok` is None where nobody can know. `output` are lines, `took_s` seconds; `at` is the clock's."""

    ok: bool | None
    text: str
    at: float
    output: tuple[str, ...] = ()
    took_s: float = 0.0


class Health(Record):
    """What is known of one instance. `failures` and `successes` are those in a row that count.

    `passed`: it has been well once, so that `start_period` does not excuse it any more. `acted`: what is to be done about this
    verdict has been done. `last` is the last answer, `changes` are (moment, verdict, text). `held_back` says why a restart waits.
    """

    verdict: str = ""
    failures: int = 0
    successes: int = 0
    passed: bool = False
    acted: bool = False
    last: Answer | None = None
    changes: tuple[tuple[float, str, str], ...] = ()
    held_back: str = ""

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        data = super().to_data()
        return {**data, "last": self.last.to_data()} if self.last else data


def health_of(data: dict[str, Any]) -> Health:
    """Return the health that `Health.to_data` was made from. Raises TypeError for anything else."""
    last, changes = data.get("last"), data.get("changes", ())
    told = {"last": Answer.from_data(last) if last else None, "changes": tuple(tuple(each) for each in changes)}
    return Health.from_data({**data, **told})


def begun(verdict: str, *, acted: bool = False) -> Health:
    """Return the health of an instance whose checks begin, with the verdict that it has.

    `acted`: nothing is done about a verdict that is kept; else it takes one more round of failures.
    """
    return Health(verdict=verdict, passed=bool(verdict), acted=acted and verdict == UNHEALTHY)


def counts(rules: Rules, policy: Policy, process: Process, health: Health, now: float) -> bool:
    """Return whether a failure counts at this moment. After restarts for health one success is no reason to count again."""
    in_a_row = unfit_in_a_row(policy, process, now)
    if health.passed and not in_a_row:
        return True
    return now >= process.since + rules.patience_s(in_a_row)


def answered(rules: Rules, health: Health, answer: Answer, *, counting: bool) -> Health:
    """Return the health after an answer; `counting`: see `counts`."""
    heard = health.replace(last=answer)
    if answer.ok is None:
        return heard
    if answer.ok:
        heard = heard.replace(failures=0, successes=health.successes + 1, passed=True)
        enough = 1 if not health.verdict else rules.successes
        if health.verdict != HEALTHY and heard.successes >= enough:
            return _judged(heard, HEALTHY, answer.text, answer.at)
        return heard
    heard = heard.replace(failures=health.failures + counting, successes=0)
    if health.verdict != UNHEALTHY and heard.failures >= rules.retries:
        text = answer.text if rules.watchdog else f"{answer.text} ({heard.failures} of {rules.retries})"
        return _judged(heard, UNHEALTHY, text, answer.at)
    return heard


def _judged(health: Health, verdict: str, text: str, now: float) -> Health:
    changes = (*health.changes, (now, verdict, text))[-MOST_CHANGES:]
    return health.replace(verdict=verdict, changes=changes, acted=False, held_back="")


def is_due(rules: Rules, health: Health) -> bool:
    """Return whether something is to be done about an instance now."""
    return health.verdict == UNHEALTHY and not health.acted and health.failures >= rules.retries

"""Which records of the history a change of a process makes."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.events import EVENTS
from taskmasterd.core.alerting import troubles_in
from taskmasterd.core.process.events import (
    KILL,
    TERMINATE,
    Condemned,
    DeadlineReached,
    Due,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Judged,
    Kill,
    Ready,
    Restart,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    Unfit,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.words.history import by_of, happened
from taskmasterd.core.words.told import record_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self

NAMES = {15: "TERM", 9: "KILL"}
TERM, EXIT_1 = 15, 256


class Life:
    """A process to which things happen."""

    def __init__(self, **keys: object) -> None:
        self.entry = Entry(ProgramConfig.of(name="web", cmd=("x",), **keys), 0, Process())
        self.now = 100.0
        self.refuses: tuple[str, ...] = ()

    def meets(self, event: Event, after_s: float = 0.0) -> list[tuple[str, dict[str, Any]]]:
        """Return the records, without fields that are None."""
        self.now += after_s
        before = self.entry.process
        self.entry.process, action = step(self.entry.policy, before, event, self.now)
        if action in (TERMINATE, KILL):
            self.entry.process, _ = step(self.entry.policy, self.entry.process, Signalled(self.refuses), self.now)
        found = happened(self.entry, before, event, self.now, NAMES)
        return [(word, {key: value for key, value in fields.items() if value is not None}) for word, fields in found]

    def runs(self) -> Self:
        for event in (Start("uid 0"), Spawned(7), Executed()):
            self.meets(event)
        self.meets(DeadlineReached(), 1)
        assert self.entry.process.state == "RUNNING"
        return self


def test_a_start_is_started_and_running() -> None:
    life = Life()
    assert life.meets(Start("uid 0")) == []
    assert life.meets(Spawned(7)) == [("started", {"pid": 7, "cause": "start", "by": {"uid": 0}})]
    assert life.meets(Executed()) == []
    assert life.meets(DeadlineReached(), 1) == [("running", {"pid": 7})]


def test_a_failed_start_is_failed_and_backoff_and_the_last_one_fatal() -> None:
    life = Life(startretries=1)
    life.meets(Start("uid 0"))
    life.meets(Spawned(7))
    life.meets(Executed())
    (failed, backoff) = life.meets(Exited(EXIT_1, silent=True), 0.2)
    assert failed == ("failed", {"pid": 7, "status": EXIT_1, "after": 0.2, "expected": False, "silent": True})
    assert backoff[0] == "backoff"
    assert (backoff[1]["try"], backoff[1]["of"], backoff[1]["cause"]) == (1, 1, "failed")
    assert backoff[1]["deadline"] == pytest.approx(life.now + 0.5, abs=0.1)
    life.meets(DeadlineReached(), 1)
    again = life.meets(Spawned(8))
    assert again == [("started", {"pid": 8, "try": 2, "of": 2, "cause": "failed"})]
    life.meets(Executed())
    words = life.meets(Exited(EXIT_1), 0.2)
    assert words[1] == ("fatal", {"status": EXIT_1, "after": 0.2, "try": 2, "of": 2, "cause": "failed"})


def test_what_cannot_be_executed_has_the_reason_instead_of_a_status() -> None:
    life = Life(startretries=0)
    life.meets(Start("uid 0"))
    life.meets(Spawned(7))
    failed, fatal = life.meets(Exited(0, Failure("exec", "cannot execute x: no such file")))
    assert failed == ("failed", {"pid": 7, "expected": False, "reason": "cannot execute x: no such file"})
    assert fatal[1]["reason"] == "cannot execute x: no such file"


def test_a_stop_is_stopping_exited_and_stopped() -> None:
    life = Life().runs()
    stopping = {"pid": 7, "cause": "stop", "by": {"uid": 0}, "signal": "TERM", "deadline": life.now + 12}
    assert life.meets(Stop("uid 0"), 2) == [("stopping", stopping)]
    exited, stopped = life.meets(Exited(TERM), 0.5)
    assert exited == ("exited", {"pid": 7, "status": TERM, "after": 3.5, "expected": True})
    assert stopped == ("stopped", {"by": {"uid": 0}, "was": "STOPPING", "status": TERM, "after": 0.5})


def test_a_kill_after_stoptime_is_killed_once_and_stuck_when_that_does_not_help() -> None:
    life = Life().runs()
    life.meets(Stop("uid 0"))
    assert life.meets(DeadlineReached(), 10) == [("killed", {"pid": 7, "after": 10.0})]
    assert [word for word, _ in life.meets(DeadlineReached(), 2)] == ["stuck"]
    assert life.meets(DeadlineReached(), 4) == []
    exited, stopped = life.meets(Exited(9), 1)
    assert (exited[1]["status"], stopped[1]["killed"]) == (9, True)


def test_an_order_to_kill_says_who_gave_it() -> None:
    stopping, killed = reversed(Life().runs().meets(Kill("SIGQUIT")))
    assert stopping[1]["by"] == {"text": "SIGQUIT"}
    assert killed == ("killed", {"pid": 7, "after": 0.0, "by": {"text": "SIGQUIT"}, "cause": "kill"})


def test_a_crash_is_an_unexpected_exit_and_the_next_start_says_so() -> None:
    life = Life().runs()
    assert life.meets(Exited(EXIT_1), 5) == [("exited", {"pid": 7, "status": EXIT_1, "after": 6.0, "expected": False})]
    assert life.meets(Spawned(8)) == [("started", {"pid": 8, "cause": "crash"})]


def test_an_end_for_want_of_memory_is_what_alerts_call_oom() -> None:
    ((word, fields),) = Life().runs().meets(Exited(9, memory="limits.memory"), 5)
    assert troubles_in({"event": word, **fields}) == ("oom", "crash")


def test_what_a_leader_left_behind_is_named() -> None:
    life = Life(autorestart="never").runs()
    exited, stopping = life.meets(Exited(0, left=("sleep (9)",)))
    assert exited[1]["left"] == ["sleep (9)"]
    assert stopping == ("stopping", {"deadline": life.now + 10, "left": ["sleep (9)"]})
    assert life.meets(GroupEmpty()) == []


def test_a_restart_names_who_asked_at_both_ends() -> None:
    life = Life().runs()
    ((word, fields),) = life.meets(Restart("a reload (uid 7)"))
    assert (word, fields["cause"], fields["by"]) == ("stopping", "restart", {"uid": 7, "text": "a reload (uid 7)"})
    assert [word for word, _ in life.meets(Exited(TERM))] == ["exited"]
    assert life.meets(Spawned(8))[0][1] == {"pid": 8, "cause": "restart", "by": {"uid": 7, "text": "a reload (uid 7)"}}


def test_a_start_by_its_own_time_says_so() -> None:
    life = Life(type="oneshot", starttime=0.0)
    for event in (Start("uid 0"), Spawned(7), Executed(), Exited(0)):
        life.meets(event)
    life.meets(Due("its schedule (nominal 03:00)"))
    (started,) = life.meets(Spawned(8))
    assert started == ("started", {"pid": 8, "cause": "schedule", "by": {"text": "its schedule (nominal 03:00)"}})
    text = record_text({"name": "web", "mono": 1.0, "event": started[0], **started[1]}, NAMES)
    assert text == "pid 8, by its schedule (nominal 03:00)"


def test_a_job_is_done() -> None:
    life = Life(type="oneshot", starttime=0.0)
    for event in (Start("uid 0"), Spawned(7), Executed()):
        life.meets(event)
    words = [word for word, _ in life.meets(Exited(0), 2)]
    assert words[-1] == "done"


def test_readiness_and_health_have_words_of_their_own() -> None:
    life = Life(ready={"tcp": "1"}, health={"tcp": "1"}, starttime=0.0)
    for event in (Start("uid 0"), Spawned(7, awaits=True), Executed()):
        life.meets(event)
    ready, running = life.meets(Ready(7, "tcp 1 answers"), 0.3)
    assert (ready, running) == (
        ("ready", {"pid": 7, "after": 0.3, "reason": "tcp 1 answers"}), ("running", {"pid": 7}),
    )  # fmt: skip
    assert life.meets(Judged(7, "healthy"), 1) == [("healthy", {"pid": 7})]
    assert life.meets(Judged(7, "unhealthy", "tcp refused (3 of 3)"), 9) == [
        ("unhealthy", {"pid": 7, "reason": "tcp refused (3 of 3)"})
    ]
    assert life.meets(Judged(7, "healthy"), 4) == [("healthy", {"pid": 7, "after": 4.0})]
    life.meets(Judged(7, "unhealthy", "tcp refused (3 of 3)"))
    ((word, fields),) = life.meets(Unfit(7))
    assert (word, fields["reason"]) == ("stopping", "unhealthy: tcp refused (3 of 3)")


def test_what_does_not_become_ready_is_taken_down_for_that_reason() -> None:
    life = Life(ready={"tcp": "1"})
    for event in (Start("uid 0"), Spawned(7, awaits=True), Executed()):
        life.meets(event)
    ((word, fields),) = life.meets(Condemned(7, "not ready within 60s"))
    assert (word, fields["reason"], "by" in fields) == ("stopping", "not ready within 60s", False)
    words = life.meets(Exited(TERM))
    assert words[0][1]["reason"] == "not ready within 60s"
    assert words[1][0] == "backoff"


def test_a_shortage_of_the_daemon_is_a_backoff_each_time() -> None:
    life = Life()
    life.meets(Start("uid 0"))
    ((word, fields),) = life.meets(SpawnFailed("no process can be made"))
    assert (word, fields["reason"], "try" in fields) == ("backoff", "no process can be made", False)


def test_a_stop_of_what_does_not_run_says_what_it_was() -> None:
    assert Life().meets(Stop("uid 0")) == []
    life = Life(startretries=0)
    life.meets(Start("uid 0"))
    life.meets(Spawned(7))
    life.meets(Exited(EXIT_1))
    assert life.meets(Stop("uid 0")) == [("stopped", {"by": {"uid": 0}, "was": "FATAL"})]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("uid 0", {"uid": 0}),
        ("a reload (uid 1000)", {"uid": 1000, "text": "a reload (uid 1000)"}),
        ("a reload (SIGHUP)", {"text": "a reload (SIGHUP)"}),
        ("because uid went down", {"text": "because uid went down"}),
        ("", {"text": ""}),
    ],
)
def test_who_asked_is_an_object(text: str, who: dict[str, object]) -> None:
    assert by_of(text) == who


def test_all_words_that_a_process_has_are_known() -> None:
    assert len(set(EVENTS)) == len(EVENTS)

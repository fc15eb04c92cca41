"""`why`, told from processes to which things have happened."""

from __future__ import annotations

from typing import Any

import pytest

from taskmasterd.core.process.events import (
    DeadlineReached,
    Executed,
    Exited,
    Failure,
    Judged,
    Restart,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    Unfit,
)
from taskmasterd.core.programs.table import Table
from taskmasterd.core.words.story import Moment, Story, is_well, tell, together
from tests.unit.history.test_words import Life

SIGNALS = {9: "KILL", 11: "SEGV", 15: "TERM"}
EXIT_1 = 256


class Tale(Life):
    """A process that keeps its records, in a table of its own."""

    def __init__(self, **keys: object) -> None:
        super().__init__(**keys)
        self.table = Table()
        self.table.add(self.entry)
        self.records: list[dict[str, Any]] = []

    def meets(self, event: Any, after_s: float = 0.0) -> list[tuple[str, dict[str, Any]]]:
        found = super().meets(event, after_s)
        for word, fields in found:
            self.add("web", word, **fields)
        return found

    def add(self, name: str, word: str, **fields: Any) -> None:
        common = {
            "time": f"2026-11-28T10:{self.now:09.6f}Z",
            "mono": self.now,
            "boot": "b",
            "name": name,
            "event": word,
        }
        self.records.append({**common, **fields})

    def told(self, most: int = 10) -> Story:
        return tell(self.table, self.entry, self.records, Moment(self.now + 2, SIGNALS), most)

    def started(self) -> Tale:
        for event in (Start("uid 0"), Spawned(7), Executed()):
            self.meets(event)
        return self


def texts(story: Story) -> list[str]:
    return [text + (f" +{more}" if more else "") for _, text, more in story.events]


def test_a_program_that_gave_up_says_after_what_and_its_failures_are_one_line() -> None:
    tale = Tale(startretries=3).started()
    for pid in (8, 9, 10):
        tale.meets(Exited(EXIT_1), 0.2)
        tale.meets(DeadlineReached(), 5)
        tale.meets(Spawned(pid))
        tale.meets(Executed())
    tale.meets(Exited(EXIT_1), 0.2)
    tale.records[-1]["words"] = ["bind: in use"]
    story = tale.told()
    assert story.sentence == "gave up after 4 tries; each ended with exit 1 within 0.2s"
    assert texts(story)[0] == "started, pid 7, asked by uid 0"
    assert [text.split(";")[0] for text in texts(story)[1:]] == ["exit 1 after 0.2s", "exit 1 after 0.2s"]
    assert texts(story)[1].endswith("+2")
    assert texts(story)[2] == "exit 1 after 0.2s; gave up"
    assert (story.said, story.following) == (("bind: in use",), "nothing starts it by itself")
    assert story.do == ("taskmasterctl logs web", "taskmasterctl start web")
    assert (story.since_s, story.pids) == (2.0, (10,))
    assert len(tale.told(2).events) == 2


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (9, "within 0.2s each was killed by SIGKILL, not sent by Taskmaster"),
        (11, "within 0.2s each was killed by SIGSEGV: a segmentation fault, not sent by Taskmaster"),
        (127 * 256, "within 0.2s each ended with exit 127: a command that it ran was not found"),
        (EXIT_1, "each ended with exit 1 within 0.2s"),
    ],
)
def test_how_each_try_has_ended_is_a_sentence(status: int, sentence: str) -> None:
    tale = Tale(startretries=1).started()
    tale.meets(Exited(status), 0.2)
    tale.meets(DeadlineReached(), 5)
    tale.meets(Spawned(8))
    tale.meets(Executed())
    tale.meets(Exited(status), 0.2)
    assert tale.told().sentence == f"gave up after 2 tries; {sentence}"


def test_what_cannot_be_executed_is_looked_at_with_show() -> None:
    tale = Tale(startretries=0)
    tale.meets(Start("uid 0"))
    tale.meets(Spawned(7))
    tale.meets(Exited(0, Failure("exec", "cannot execute x: no such file", permanent=True)))
    story = tale.told()
    assert story.sentence == "gave up: cannot execute x: no such file"
    assert story.do == ("taskmasterctl show web", "taskmasterctl start web")


def test_a_stop_is_one_line_and_names_the_request() -> None:
    tale = Tale().runs()
    tale.add("", "operator", verb="stop", targets=["web"], by={"uid": 0, "pid": 5, "command": "taskmasterctl"})
    tale.meets(Stop("uid 0"), 1)
    tale.meets(Exited(15), 0.1)
    story = tale.told()
    assert story.sentence == 'was stopped by uid 0 ("taskmasterctl")'
    assert texts(story)[1:] == ['stop web by uid 0 ("taskmasterctl")', "stopped by uid 0 (TERM, 0.1s)"]
    assert story.do == ("taskmasterctl start web",)


def test_a_kill_at_stoptime_is_told_in_the_sentence() -> None:
    tale = Tale().runs()
    tale.meets(Stop("uid 0"), 1)
    tale.meets(DeadlineReached(), 10)
    tale.meets(Exited(9))
    story = tale.told()
    assert story.sentence == "was stopped by uid 0; it did not end within stoptime, so Taskmaster killed it"
    assert texts(story)[-1] == "stopped by uid 0 (TERM, then KILL, 10s)"


def test_a_running_one_says_who_started_it_and_its_restarts_of_the_last_day() -> None:
    tale = Tale().runs()
    assert tale.told().sentence == "runs, pid 7, started by uid 0"
    for pid, status in ((8, 9), (9, 9), (10, EXIT_1)):
        tale.meets(Exited(status), 5)
        tale.meets(Spawned(pid))
        tale.meets(Executed())
        tale.meets(DeadlineReached(), 1)
    assert tale.told().sentence == (
        "runs, pid 10, started by itself; 3 restarts in the last day: killed by SIGKILL, not sent by Taskmaster (2 times); exit 1"
    )
    assert tale.told().do == ("taskmasterctl logs web",)
    assert not is_well(tale.entry, tale.now)
    tale.now += 100_000
    assert is_well(tale.entry, tale.now)
    assert tale.told().sentence == "runs, pid 10, started by itself"
    assert (tale.told().do, tale.told().said) == ((), ())


def test_a_reload_is_told_with_its_keys() -> None:
    tale = Tale().runs()
    tale.add("web", "reload", change="restarted", keys=["cmd"], by={"uid": 0})
    tale.meets(Restart("a reload (uid 0)"))
    tale.meets(Exited(15), 0.1)
    tale.meets(Spawned(8))
    assert texts(tale.told())[1:] == [
        "reload by uid 0: cmd changed", "restarted by a reload (uid 0) (TERM, 0.1s); started, pid 8",
    ]  # fmt: skip


def test_waiting_states_say_what_comes_next() -> None:
    tale = Tale(startretries=2).started()
    tale.meets(Exited(EXIT_1), 0.2)
    story = tale.told()
    assert story.sentence == "a start has failed: exit 1 after 0.2s"
    assert story.following.startswith("retry 1 of 2 in ")
    shortage = Tale()
    shortage.meets(Start("uid 0"))
    shortage.meets(SpawnFailed("no process can be made"))
    assert shortage.told().sentence == "could not be started: no process can be made"
    assert shortage.told().following.startswith("it starts again in ")
    stopping = Tale().runs()
    stopping.meets(Stop("uid 0"))
    assert stopping.told().sentence == "is being stopped for uid 0"
    assert stopping.told().following == "SIGKILL in 8.0s, then STOPPED"


def test_health_names_the_probe() -> None:
    tale = Tale(health={"tcp": "1"}, starttime=0.0)
    for event in (Start("uid 0"), Spawned(7), Executed()):
        tale.meets(event)
    tale.meets(Judged(7, "unhealthy", "tcp refused (3 of 3)"))
    story = tale.told()
    assert story.sentence == "unhealthy: tcp refused (3 of 3)"
    assert story.do == ("taskmasterctl check web", "taskmasterctl restart web")
    tale.meets(Unfit(7, stop=True))
    tale.meets(Exited(15), 0.1)
    assert tale.told().sentence == "was stopped because it was unhealthy: tcp refused (3 of 3)"


def test_without_records_the_process_tells_what_it_knows() -> None:
    tale = Tale(startretries=0).started()
    tale.meets(Exited(EXIT_1), 0.2)
    tale.records.clear()
    assert tale.told().sentence == "gave up: exit 1 after 0.2s"
    assert tale.told().events == ()
    assert Tale().told().sentence == "nobody has started it"
    assert Tale(autostart=False).told().sentence == "nobody has started it (autostart: false)"
    done = Tale(autorestart="never").runs()
    done.meets(Exited(0), 3)
    done.records.clear()
    assert done.told().sentence == "ended as expected: exit 0 after 4.0s (autorestart: never)"


@pytest.mark.parametrize("keys", [{"type": "oneshot", "starttime": 0.0}])
def test_a_job_is_done_or_not(keys: dict[str, object]) -> None:
    tale = Tale(**keys).started()
    tale.meets(Exited(0), 2)
    assert tale.told().sentence == "the job is done: exit 0 after 2.0s"


def test_instances_that_are_as_wanted_share_a_sentence() -> None:
    first, second = Tale().runs(), Tale().runs()
    story = together([first.entry, second.entry], Moment(200.0, SIGNALS))
    assert (story.name, story.state, story.sentence) == ("web", "RUNNING", "all 2 instances are as wanted")


def test_an_older_end_is_not_told_as_the_present_one_where_the_history_has_a_hole() -> None:
    tale = Tale(startretries=0).started()
    tale.meets(Exited(EXIT_1), 0.2)
    for event in (Start("uid 0"), Spawned(8), Executed()):
        tale.meets(event)
    kept = list(tale.records)
    tale.meets(Exited(7 << 8), 0.2)
    assert "exit 7" in tale.told().sentence
    tale.records = kept
    assert "exit 7" in tale.told().sentence
    assert "exit 1" not in tale.told().sentence


def test_nobody_is_made_up_who_started_what_runs() -> None:
    tale = Tale().started()
    tale.meets(DeadlineReached(), 2)
    assert "started by uid 0" in tale.told().sentence
    tale.records = []
    assert "started" not in tale.told().sentence


def test_a_death_of_the_daemon_is_told_where_the_process_was_alive() -> None:
    tale = Tale()
    tale.add("", "crashed")
    tale.runs()
    tale.add("", "crashed")
    assert [text for text in texts(tale.told()) if "daemon" in text] == ["crashed: the daemon before this one died"]


def test_where_stderr_has_a_log_of_its_own_that_is_the_one_to_read() -> None:
    tale = Tale(startretries=0, stderr="/own.log").started()
    tale.meets(Exited(EXIT_1), 0.2)
    assert tale.told().do[0] == "taskmasterctl logs --stderr web"


def test_what_status_says_and_the_sentence_does_not_is_told_whole() -> None:
    tale = Tale().started()
    tale.meets(DeadlineReached(), 5)
    assert tale.told().detail == ""
    tale.entry.lack("limits.memory not in force: " + "no cgroup " * 20, losses="lost 1 process to limits.memory")
    tale.entry.lack("exit 1, again in 2s", logger=True)
    assert tale.told().detail.startswith("logger: exit 1, again in 2s; limits.memory not in force: no cgroup")
    assert tale.told().detail.endswith("; lost 1 process to limits.memory")
    tale.meets(Stop("uid 0"))
    assert tale.told().detail == "logger: exit 1, again in 2s"


def test_what_the_sentence_says_already_is_not_told_twice() -> None:
    tale = Tale(startretries=0).started()
    tale.meets(Exited(EXIT_1), 0.2)
    assert tale.told().detail == ""
    tale = Tale(health={"tcp": "1"}, starttime=0.0).started()
    tale.meets(Judged(7, "unhealthy", "tcp refused (3 of 3)"))
    assert tale.told().sentence == "unhealthy: tcp refused (3 of 3)"
    assert tale.told().detail == ""

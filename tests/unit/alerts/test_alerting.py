"""What a rule tells and when: trouble and its end, `for`, `batch`, `at_most`."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from taskmaster_common.config.alerts.words import WORDS
from taskmasterd.core.alerting import ENDED_BY, Alerting, Deliver, Settings, Tell

WALL = 1_000_000_000.0
"""The time of the day at the beginning of each test; the monotonic clock begins with 0."""


class Bench:
    """A rule, and what it has told so far: the events of each message that is due."""

    def __init__(self, **settings: Any) -> None:
        self.rule = Alerting(Settings(settings.pop("events", ("trouble", "recovered")), **settings))
        self.now = 0.0
        self.open: dict[int, list[dict[str, Any]]] = {}
        self.messages: list[list[dict[str, Any]]] = []

    def hear(self, *words: str, name: str = "web", **fields: Any) -> Bench:
        """Let it hear events."""
        for word in words:
            event = {"name": name, "event": word, **fields}
            self._take(self.rule.heard(event, self.now, WALL + self.now))
        return self

    def crash(self, name: str = "web") -> Bench:
        """Let it hear of an unexpected end."""
        return self.hear("exited", name=name, expected=False)

    def wait(self, seconds: float) -> Bench:
        """Let time pass, and call the rule whenever it wants to be."""
        until = self.now + seconds
        while (due := self.rule.next()) is not None and due <= until:
            self.now = max(self.now, due)
            self._take(self.rule.passed(self.now, WALL + self.now))
        self.now = until
        return self

    def _take(self, acts: list[Tell | Deliver]) -> None:
        for act in acts:
            if isinstance(act, Tell):
                self.open.setdefault(act.message, []).append(dict(act.event))
            else:
                self.messages.append(self.open.pop(act.message))

    @property
    def told(self) -> list[str]:
        """The words of all events in messages that are due."""
        return [event["event"] for message in self.messages for event in message]


def test_trouble_is_told_and_so_is_its_end() -> None:
    bench = Bench().hear("fatal").wait(720).hear("started", "running")
    assert bench.told == ["fatal", "recovered"]
    assert bench.messages[1] == [
        {"name": "web", "event": "recovered", "state": "RUNNING", "before": "FATAL", "was": "fatal", "lasted": 720.0}
    ]


def test_the_end_of_trouble_is_told_once() -> None:
    assert Bench().crash().hear("running", "running").crash().hear("stopped").told == [
        *("exited", "recovered"),
        *("exited", "recovered"),
    ]


def test_an_end_that_was_expected_is_no_trouble() -> None:
    bench = Bench().hear("exited", expected=True)
    assert bench.told == []


def test_an_end_without_trouble_is_not_told() -> None:
    assert Bench().hear("running", "healthy", "stopped").told == []


def test_a_slot_has_recovered_when_nothing_of_its_trouble_is_left() -> None:
    bench = Bench().hear("unhealthy").wait(5).crash().hear("running")
    assert bench.told == ["unhealthy", "exited"]
    assert bench.wait(5).hear("healthy").messages[-1][0]["lasted"] == 10.0


def test_slots_do_not_end_each_other_s_trouble() -> None:
    assert Bench().hear("fatal", name="web:0").hear("running", name="web:1").told == ["fatal"]


def test_a_crash_of_the_daemon_is_over_when_it_is_told() -> None:
    bench = Bench().hear("crashed", name="").hear("daemon-start", name="")
    assert (bench.told, list(bench.rule.open)) == (["crashed"], [])


def test_a_record_that_says_so_ends_the_trouble_of_its_own_word() -> None:
    bench = Bench().hear("log-trouble", name="").hear("log-trouble", name="", over=True)
    assert bench.told == ["log-trouble", "recovered"]


def test_a_refused_reload_is_over_with_the_next_one_that_works() -> None:
    assert Bench().hear("reload-failed", name="").hear("reload", name="").told == ["reload-failed", "recovered"]


# -- what a rule is about


def test_a_pattern_matches_words_and_never_what_several_stand_for() -> None:
    assert Bench(events=("*",)).crash().hear("running").told == ["exited", "running"]


def test_no_pattern_and_no_word_matches_a_failed_alert() -> None:
    assert Bench(events=("*", "alert-failed", "alert*")).hear("alert-failed", name="").told == []


def test_oom_is_a_crash_while_memory_was_short() -> None:
    starved: dict[str, Any] = {"expected": False, "memory": "limits.memory 64M"}
    assert Bench(events=("oom",)).crash().hear("exited", **starved).told == ["exited"]
    assert Bench(events=("crash",)).hear("exited", **starved).told == ["exited"]


def test_crash_is_an_end_that_nobody_expected() -> None:
    assert Bench(events=("crash",)).hear("exited", expected=True).hear("fatal").crash().told == ["exited"]


def test_a_rule_without_recovered_tells_no_end() -> None:
    assert Bench(events=("trouble",)).crash().hear("running").told == ["exited"]


def test_a_rule_tells_the_end_only_of_what_it_is_about() -> None:
    assert Bench(events=("fatal", "recovered")).crash().hear("running").hear("fatal", "running").told == [
        *("fatal", "recovered"),
    ]


def test_targets_are_programs_instances_and_patterns_and_the_daemon_always_counts() -> None:
    bench = Bench(events=("*",), targets=("web", "db:1", "w?"))
    for name in ("web", "web:3", "db:0", "db:1", "wx", "job", ""):
        bench.hear("running", name=name)
    assert [message[0]["name"] for message in bench.messages] == ["web", "web:3", "db:1", "wx", ""]


# -- for


def test_trouble_that_is_over_before_its_time_is_told_neither_way() -> None:
    assert Bench(for_s=2).crash().wait(1).hear("running").wait(10).told == []


def test_trouble_that_lasts_is_told_once_and_so_is_its_end() -> None:
    bench = Bench(for_s=2).crash().hear("failed", "backoff", "fatal").wait(3).hear("running").wait(10)
    assert bench.told == ["fatal", "recovered"]
    assert bench.messages[1][0]["lasted"] == 3.0


def test_trouble_that_goes_on_is_not_told_again_but_what_is_worse_is() -> None:
    assert Bench(for_s=2).crash().wait(3).crash().wait(3).hear("fatal").wait(3).told == ["exited", "fatal"]


def test_for_is_about_trouble_only() -> None:
    assert Bench(events=("running", "trouble"), for_s=2).hear("running").told == ["running"]


# -- batch


def test_events_are_gathered_from_the_first_one_on() -> None:
    bench = Bench(batch_s=30).crash("a").wait(20).crash("b").wait(9)
    assert bench.messages == []
    bench.wait(1).crash("c").wait(30)
    assert [[event["name"] for event in message] for message in bench.messages] == [["a", "b"], ["c"]]


def test_a_flush_makes_due_what_is_gathered() -> None:
    bench = Bench(batch_s=30).crash()
    bench._take(bench.rule.flush(0, WALL))
    assert bench.told == ["exited"]


# -- at_most


def test_what_is_beyond_the_limit_is_counted_in_the_next_message() -> None:
    bench = Bench(limit=(3, 60.0))
    for _ in range(10):
        bench.crash()
    assert bench.told == ["exited"] * 3
    bench.wait(60)
    assert bench.messages[3:] == [[{"event": "", "name": "", "left_out": 7}]]
    bench.wait(60).crash()
    assert bench.messages[4:] == [[{"name": "web", "event": "exited", "expected": False}]]


def test_the_end_of_told_trouble_waits_for_the_limit_and_is_never_left_out() -> None:
    bench = Bench(limit=(1, 60.0)).crash("a").crash("b").hear("running", name="b").hear("running", name="a")
    assert bench.told == ["exited"]
    assert [event["event"] for event in bench.wait(60).messages[1]] == ["recovered", ""]
    assert bench.messages[1][0]["name"] == "a"


def test_no_time_has_more_messages_than_the_limit() -> None:
    bench = Bench(limit=(5, 10.0), batch_s=0.5)
    times: list[float] = []
    for _ in range(200):
        before = len(bench.messages)
        bench.crash().wait(0.3)
        times += [bench.now] * (len(bench.messages) - before)
    assert len(times) > 20
    assert all(later - earlier > 10 - 0.9 for earlier, later in zip(times, times[5:]))


# -- a later daemon


def test_a_later_daemon_tells_the_end_of_what_an_earlier_one_has_told() -> None:
    before, after = Bench(for_s=2).crash().wait(3), Bench(for_s=2)
    after.rule.resume("web", before.rule.rows("web"), 0, WALL + 10)
    assert after.hear("running").told == ["recovered"]


def test_trouble_that_nobody_has_told_yet_goes_on_lasting() -> None:
    before, after = Bench(for_s=60).crash().wait(50), Bench(for_s=60)
    after.rule.resume("web", before.rule.rows("web"), 0, WALL + 50)
    assert after.wait(9).told == []
    assert after.wait(1).told == ["exited"]


def test_what_is_over_without_an_event_is_told_too() -> None:
    bench = Bench().hear("fatal")
    bench._take(bench.rule.over("web", "removed", 5, WALL + 5))
    assert bench.messages[-1][0]["state"] == "removed"
    bench._take(bench.rule.over("web", "removed", 6, WALL + 6))
    assert bench.told == ["fatal", "recovered"]


def test_messages_have_numbers_of_their_own_that_rise() -> None:
    rule = Alerting(Settings(("*",)))
    rule.begin_after(int(WALL * 1e6) + 5)
    numbers = [act.message for _ in range(3) for act in rule.heard({"name": "", "event": "reload"}, 0, WALL)[:1]]
    assert numbers == [int(WALL * 1e6) + 6, int(WALL * 1e6) + 7, int(WALL * 1e6) + 8]


HEARD = st.tuples(
    st.sampled_from(("fatal", "exited", "running", "unhealthy", "healthy", "blocked", "stopped", "done", "started")),
    st.sampled_from(("web", "db")),
    st.floats(0, 3),
)


def test_trouble_that_was_only_counted_holds_up_the_recovery_of_what_was_told() -> None:
    for for_s in (0.0, 1.0):
        bench = Bench(for_s=for_s, limit=(2, 1000.0))
        bench.hear("unhealthy").hear("fatal", name="db").wait(for_s)
        bench.hear("fatal").wait(for_s).hear("healthy").wait(2000)
        assert "recovered" not in bench.told, "it is still FATAL"
        bench.hear("running").wait(2000)
        assert bench.told[-1] == "recovered"


@given(
    st.lists(HEARD, max_size=40),
    st.sampled_from((0.0, 1.0)),
    st.sampled_from((0.0, 1.0)),
    st.sampled_from((None, (2, 4.0))),
)
@example(
    [("unhealthy", "web", 0.0), ("fatal", "db", 1.0), ("fatal", "web", 0.0), ("healthy", "web", 1.0)],
    1.0,
    0.0,
    (2, 4.0),
)
def test_who_is_told_of_trouble_is_told_of_its_end(
    heard: list[tuple[str, str, float]], for_s: float, batch_s: float, limit: tuple[int, float] | None
) -> None:
    bench = Bench(for_s=for_s, batch_s=batch_s, limit=limit)
    for word, name, pause in heard:
        bench.hear(word, name=name, expected=False).wait(pause)
    for name in ("web", "db"):
        bench.hear("running", "healthy", name=name)
    bench.wait(100)
    assert list(bench.rule.open) == []
    assert bench.rule.next() is None
    for name in ("web", "db"):
        told = [event["event"] for message in bench.messages for event in message if event["name"] == name]
        assert told[-1:] in ([], ["recovered"])
        assert told[:1] != ["recovered"]
        assert "recovered recovered" not in " ".join(told)


def test_every_trouble_is_a_word_of_rules() -> None:
    assert set(ENDED_BY) <= set(WORDS)


def test_processes_lost_to_limits_memory_are_oom_which_is_over_when_it_is_told() -> None:
    for settings in ({"events": ("oom", "recovered")}, {}, {"for_s": 30.0}):
        bench = Bench(**settings).hear("running").hear("lost", reason="1 process to limits.memory (30MB)").wait(60)
        assert (bench.told, list(bench.rule.open)) == (["lost"], []), settings
        assert bench.hear("stopped", "running").told == ["lost"]
    assert Bench(events=("crash", "fatal")).hear("lost").told == []


def test_runs_that_are_skipped_three_times_in_a_row_are_trouble_until_the_one_before_is_over() -> None:
    bench = Bench().hear("skipped", count=1).hear("skipped", count=2)
    assert bench.told == []
    assert bench.hear("skipped", count=3).told == ["skipped"]
    assert bench.hear("exited", "started", expected=True).told == ["skipped", "recovered"]
    assert Bench(events=("skipped",)).hear("skipped", count=1).told == ["skipped"], "who names the word hears of each"


def test_a_start_that_ends_for_want_of_memory_is_oom() -> None:
    bench = Bench(events=("oom", "recovered")).hear("failed", memory="out of memory", expected=False)
    assert bench.hear("backoff", "started", "running").told == ["failed", "recovered"]
    assert Bench(events=("oom",)).hear("failed", expected=False).told == []

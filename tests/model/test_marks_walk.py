"""An exhaustive walk of `marks.follow`, alone and together with `step` (tests/support/lives.py).

What is promised of the order of marks, of ends and of signals is checked on every edge.
"""

from __future__ import annotations

import itertools

import pytest

from taskmaster_common.config import ALWAYS, NEVER
from taskmaster_common.errors import BugError
from taskmaster_common.states import BACKOFF, DOWN_STATES, RUNNING, STARTING, STOPPING
from taskmasterd.core.process import marks
from tests.support.lives import NEWS as ACTIONS
from tests.support.lives import OF_THE_KERNEL, Edge, Lives, Node
from tests.support.model import policy

pytestmark = pytest.mark.slow

NEWS = {
    getattr(marks, name)
    for name in [
        "ASKED",
        "TAKEN_BACK",
        "TERMINATED",
        "KILLED",
        "REFUSED",
        "NOT_SET_UP",
        "FORKED",
        "SPAWNED",
        "EXECUTED",
        "NOT_EXECUTED",
        "LEADER_ENDED",
        "FOUND_NONE",
        "FOUND_SOME",
        "FOUND_SOME_KILLING",
        "BLIND",
        "TURN",
        "ADOPTED_LIVE",
        "ADOPTED_AWAITED",
        "ADOPTED_ENDED",
        "ADOPTED_LEADERLESS",
    ]
}
SIGNALS = {marks.TERMINATED, marks.KILLED}
FOUND = {marks.FOUND_NONE, marks.FOUND_SOME, marks.FOUND_SOME_KILLING}
POSSIBLE = {
    marks.NOTHING: {
        marks.ASKED,
        marks.ADOPTED_LIVE,
        marks.ADOPTED_AWAITED,
        marks.ADOPTED_ENDED,
        marks.ADOPTED_LEADERLESS,
    },
    marks.QUEUED: {marks.TAKEN_BACK, marks.REFUSED, marks.NOT_SET_UP, marks.FORKED, marks.SPAWNED},
    marks.SETTING_UP: {marks.KILLED, marks.EXECUTED, marks.NOT_EXECUTED, marks.LEADER_ENDED},
    marks.FAILED: {marks.KILLED, marks.LEADER_ENDED},
    marks.LIVE: SIGNALS | {marks.LEADER_ENDED},
    marks.AWAITED: SIGNALS | {marks.LEADER_ENDED},
    marks.UNREPORTED: {marks.KILLED, marks.EXECUTED, marks.NOT_EXECUTED},
    marks.ENDED: SIGNALS | FOUND | {marks.BLIND},
    marks.MISSED: FOUND,
    marks.CLEAN: SIGNALS | {marks.TURN},
    marks.LEAVING: SIGNALS | {marks.TURN},
    marks.LEADERLESS: SIGNALS | FOUND | {marks.BLIND},
}
"""Which news may come in which stage: all others cannot happen. A change of the table shows here."""
WITH_LEADER = {marks.SETTING_UP, marks.FAILED, marks.LIVE, marks.UNREPORTED}
POLICIES = [
    policy(autorestart=autorestart, startretries=retries, starttime=starttime, restart_burst=0)
    for autorestart, retries, starttime in itertools.product((ALWAYS, NEVER), (0, 1), (0, 1))
]


@pytest.fixture(scope="module")
def worlds() -> list[Lives]:
    """Return the world of every policy: to build it is to see that no event and no news ever is impossible."""
    return [Lives(rules) for rules in POLICIES]


@pytest.fixture(scope="module")
def edges(worlds: list[Lives]) -> list[Edge]:
    """Return every edge of every world."""
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


# -- the table alone


def test_every_pair_of_stage_and_news_is_answered_or_known_to_be_impossible() -> None:
    for stage, news in itertools.product(marks.TABLE, NEWS):
        if news in POSSIBLE[stage]:
            assert marks.follow(stage, news)[0] in marks.TABLE
        else:
            with pytest.raises(BugError, match=f"an instance that is {stage} cannot be {news}"):
                marks.follow(stage, news)


def test_the_marks_of_an_instance_come_in_their_order_and_each_at_most_once() -> None:
    order = [marks.TELL_SPAWNED, marks.TELL_EXECUTED, marks.TELL_EXITED, marks.TELL_EMPTY]
    seen: set[tuple[str, int]] = set()
    waiting = [(marks.QUEUED, 0)]
    while waiting:
        stage, past = waiting.pop()
        for news in marks.TABLE[stage]:
            after, effects = marks.follow(stage, news)
            now = past
            for mark in [effect for effect in effects if effect in order]:
                place = order.index(mark) + 1
                assert place > now, (stage, news)
                assert place == now + 1 or mark == marks.TELL_EXITED, (stage, news)
                now = place
            if after != marks.NOTHING and (after, now) not in seen:
                seen.add((after, now))
                waiting.append((after, now))
    for stage, past in seen:
        assert (past == 4) is False
        assert (past == 3) == (stage == marks.LEADERLESS), stage
        assert past == 1 or stage not in (marks.SETTING_UP, marks.FAILED, marks.UNREPORTED), stage
        assert past == 2 or stage != marks.LIVE


def test_a_slot_is_empty_before_its_last_mark_is_delivered() -> None:
    for stage, answers in marks.TABLE.items():
        for news, (after, effects) in answers.items():
            if after == marks.NOTHING and stage != marks.QUEUED:
                assert effects[-2:] in (
                    (marks.RELEASE, marks.TELL_EXITED),
                    (marks.RELEASE, marks.TELL_EMPTY),
                ), (stage, news)
            else:
                assert marks.RELEASE not in effects


def test_how_a_leader_ended_is_recorded_before_anything_else_is_done_about_it() -> None:
    for stage, answers in marks.TABLE.items():
        for news, (_after, effects) in answers.items():
            assert (news == marks.LEADER_ENDED) == (marks.RECORD_END in effects), (stage, news)
            assert marks.RECORD_END not in effects[1:]


def test_the_report_of_a_forked_child_is_read_before_its_leader_is_lost() -> None:
    assert marks.follow(marks.SETTING_UP, marks.LEADER_ENDED) == (
        marks.UNREPORTED,
        (marks.RECORD_END, marks.READ_REPORT),
    )
    for news in (marks.EXECUTED, marks.NOT_EXECUTED):
        after, effects = marks.follow(marks.UNREPORTED, news)
        assert after == marks.ENDED
        assert marks.LOSE_LEADER in effects
    assert marks.follow(marks.UNREPORTED, marks.EXECUTED)[1][0] == marks.TELL_EXECUTED


def test_the_live_rule_is_read_and_the_pipes_are_drained_when_a_leader_is_lost_and_before_the_look() -> None:
    for stage, answers in marks.TABLE.items():
        for news, (after, effects) in answers.items():
            lost = after == marks.ENDED and news in (marks.LEADER_ENDED, marks.EXECUTED, marks.NOT_EXECUTED)
            assert lost == (marks.LOSE_LEADER in effects), (stage, news)
            if lost:
                assert effects[-4:] == (marks.READ_RULE, marks.LOSE_LEADER, marks.DRAIN, marks.LOOK), (stage, news)
    assert marks.follow(marks.NOTHING, marks.ADOPTED_ENDED)[1] == (marks.DRAIN,)
    assert marks.follow(marks.LEADERLESS, marks.FOUND_NONE)[1][0] == marks.DRAIN


def test_each_signal_reads_the_live_rule_first_and_kill_reaches_everybody_anew() -> None:
    for stage, answers in marks.TABLE.items():
        if marks.TERMINATED in answers:
            assert answers[marks.TERMINATED] == (stage, (marks.READ_RULE, marks.STOP_ALL))
        if marks.KILLED in answers:
            kill = marks.KILL_GROUP if stage in WITH_LEADER else marks.KILL_SURVIVORS
            assert answers[marks.KILLED] == (stage, (marks.READ_RULE, marks.FORGET_SIGNALLED, kill))


def test_a_look_that_failed_is_repeated() -> None:
    assert marks.follow(marks.ENDED, marks.BLIND) == (marks.ENDED, (marks.LOOK,))
    assert marks.follow(marks.LEADERLESS, marks.BLIND) == (marks.LEADERLESS, (marks.LOOK_AGAIN,))


def test_an_adopted_instance_begins_where_the_earlier_daemon_was_with_it() -> None:
    adopted = {
        marks.ADOPTED_LIVE: (marks.LIVE, (marks.WATCH_LEADER,)),
        marks.ADOPTED_AWAITED: (marks.AWAITED, (marks.AWAIT_WORD,)),
        marks.ADOPTED_ENDED: (marks.MISSED, (marks.DRAIN,)),
        marks.ADOPTED_LEADERLESS: (marks.LEADERLESS, (marks.WATCH_SURVIVORS,)),
    }
    assert {news: marks.follow(marks.NOTHING, news) for news in adopted} == adopted


def test_an_end_that_no_daemon_saw_is_delivered_at_once() -> None:
    for news in FOUND:
        after, effects = marks.follow(marks.MISSED, news)
        assert after == (marks.NOTHING if news == marks.FOUND_NONE else marks.LEADERLESS)
        assert effects[-1] == marks.TELL_EXITED
        assert effects[0] == (marks.RELEASE if news == marks.FOUND_NONE else marks.WATCH_SURVIVORS)


@pytest.mark.parametrize(
    ("survivors", "past_asking", "news"),
    [
        (0, False, marks.FOUND_NONE),
        (0, True, marks.FOUND_NONE),
        (1, False, marks.FOUND_SOME),
        (3, True, marks.FOUND_SOME_KILLING),
    ],
)
def test_what_a_look_found_is_news_by_its_survivors_and_the_stop_that_is_under_way(
    *, survivors: int, past_asking: bool, news: str
) -> None:
    assert marks.found(survivors, past_asking=past_asking) == news


# -- both tables together


def test_the_world_is_large_and_every_stage_of_a_daemon_that_lives_is_in_it(
    worlds: list[Lives], edges: list[Edge]
) -> None:
    assert sum(len(world.edges) for world in worlds) > 200
    assert len(edges) > 3000
    assert (
        {edge.before.stage for edge in edges}
        == set(OF_THE_KERNEL)
        == set(marks.TABLE)
        - {
            marks.AWAITED,
            marks.MISSED,
        }
    )


def test_what_is_settled_is_what_step_believes(edges: list[Edge]) -> None:
    for edge in edges:
        process, stage = edge.after.process, edge.after.stage
        if stage in marks.UNSETTLED:
            assert process.pid is not None, edge
            assert process.state in (STARTING, RUNNING, STOPPING), edge
        else:
            assert (stage == marks.NOTHING) == (process.state in (*DOWN_STATES, BACKOFF)), edge
            assert (stage == marks.QUEUED) == (process.state == STARTING and process.pid is None), edge
            assert (stage == marks.LIVE) == (process.pid is not None and process.executed), edge
            assert (stage == marks.LEADERLESS) == (process.state == STOPPING and process.pid is None), edge


def test_an_instance_is_asked_for_only_where_nothing_is_left_of_the_last_one(edges: list[Edge]) -> None:
    for edge in edges:
        for place, effect in enumerate(edge.effects):
            if effect == marks.ENQUEUE:
                empty = edge.before.stage == marks.NOTHING or marks.RELEASE in edge.effects[:place]
                assert empty or edge.before.stage == marks.QUEUED, edge
            if effect == marks.TELL_SPAWNED:
                assert edge.before.stage == marks.QUEUED, edge


def test_no_end_is_lost(worlds: list[Lives]) -> None:
    for world in worlds:
        for process, stage, failed in world.edges:
            node = Node(process, stage, failed=failed)
            assert world.comes_to_rest(node), node


def test_after_a_look_that_failed_another_one_is_asked_for(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.what == marks.BLIND:
            assert {marks.LOOK, marks.LOOK_AGAIN} & set(edge.effects), edge
            assert edge.after.stage == edge.before.stage, edge


def test_newcomers_are_killed_where_the_others_are_and_asked_before(edges: list[Edge]) -> None:
    for edge in edges:
        killed, asked = marks.KILL_NEWCOMERS in edge.effects, marks.STOP_NEWCOMERS in edge.effects
        newcomers = edge.before.stage == marks.LEADERLESS and edge.what == 1
        assert killed == (newcomers and edge.before.process.past_asking), edge
        assert asked == (newcomers and not edge.before.process.past_asking), edge


def test_a_child_gets_no_stop_signal_before_it_was_executed(edges: list[Edge]) -> None:
    for edge in edges:
        if marks.STOP_ALL in edge.effects and edge.before.stage in (marks.SETTING_UP, marks.UNREPORTED):
            assert "Executed" in edge.delivered, edge


def test_a_signal_finds_who_is_alive(edges: list[Edge]) -> None:
    for edge in edges:
        if marks.KILL_GROUP in edge.effects:
            assert edge.before.stage in WITH_LEADER, edge
        if marks.KILL_SURVIVORS in edge.effects:
            assert edge.before.stage not in WITH_LEADER, edge


def test_every_action_of_step_is_news_of_an_instance() -> None:
    assert set(ACTIONS.values()) == {marks.ASKED, marks.TAKEN_BACK, marks.TERMINATED, marks.KILLED}

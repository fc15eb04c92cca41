"""Which of the processes that carry a slot's mark is its instance."""

from __future__ import annotations

from taskmasterd.core.programs.orphans import Orphan, judge

WEB = ("web", 0)


def orphan(pid: int, session: int | None = None, started: int = 100, uid: int = 0) -> Orphan:
    return Orphan(pid, started, pid if session is None else session, uid, "x")


def verdict(*orphans: Orphan, uid: int | None = 0) -> tuple[int | None, list[int]]:
    """Return the pid of the leader and all pids, in order."""
    found = judge([(WEB, each) for each in orphans], lambda _slot: uid)[WEB]
    return found.leader.pid if found.leader else None, [each.pid for each in found.all]


def test_the_only_one_that_leads_a_session_is_the_instance_whatever_descends_from_it() -> None:
    assert verdict(orphan(12, 10), orphan(10), orphan(11, 10, started=101)) == (10, [10, 12, 11])


def test_of_two_that_lead_a_session_nobody_knows_which_it_is() -> None:
    assert verdict(orphan(11, started=99), orphan(10)) == (None, [11, 10])


def test_what_leads_no_session_is_no_instance() -> None:
    assert verdict(orphan(12, 10)) == (None, [12])


def test_a_leader_of_another_user_is_not_ours() -> None:
    assert verdict(orphan(10, uid=7)) == (None, [10]), "a program of root can have become anybody"
    assert verdict(orphan(10, uid=7), uid=7) == (10, [10])
    assert verdict(orphan(10), uid=None) == (None, [10]), "nobody knows as whom it should run"


def test_a_process_as_which_the_program_cannot_run_makes_nothing_uncertain() -> None:
    assert verdict(orphan(10, uid=7), orphan(11, uid=8), uid=7) == (10, [10])
    assert judge([(WEB, orphan(11, uid=8))], lambda _slot: 7) == {}
    assert verdict(orphan(10, uid=0), uid=7) == (None, [10]), "it may have executed what is set-user-ID"


def test_each_slot_is_judged_by_itself() -> None:
    other = ("web", 1)
    found = judge([(WEB, orphan(10)), (other, orphan(11)), (other, orphan(12))], lambda _slot: 0)
    assert {slot: each.leader and each.leader.pid for slot, each in found.items()} == {WEB: 10, other: None}

"""The kernel's news as news of instances, and the looks at what leaders left."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest

from taskmaster_common.states import STOPPED, STOPPING
from taskmasterd.core.process.events import Failure
from taskmasterd.core.process.marks import (
    BLIND,
    EXECUTED,
    FOUND_NONE,
    FOUND_SOME,
    FOUND_SOME_KILLING,
    LEADER_ENDED,
    LIVE,
    NOT_EXECUTED,
)
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.ondemand import Made
from taskmasterd.processes.ends import Ends
from taskmasterd.processes.instance import Instance, Instances
from taskmasterd.processes.members.group import Group
from taskmasterd.processes.survivors import PROBE_FIRST_S, PROBE_MOST_S, Survivors
from taskmasterd.system.procfs import Survivor
from tests.support.model import program


class Loop:
    """What is due at the end of a turn, and what later; work in steps is done at once."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.rounds = self

    def now(self) -> float:
        return 0.0

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.later.append((seconds, callback))

    def begin(self, steps: Iterable[None]) -> None:
        for _ in steps:
            pass

    def turn(self) -> None:
        """End a turn."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def pass_time(self) -> list[float]:
        """Let everything happen that is due later; return the pauses."""
        later, self.later = self.later, []
        for _seconds, callback in later:
            callback()
        return [seconds for seconds, _callback in later]


class Kernel:
    """Groups whose survivors are what a test says; `error` is raised by one look."""

    can_see = True

    def __init__(self) -> None:
        self.left: dict[Group, list[Survivor]] = {}
        self.looks: list[set[int]] = []
        self.forgotten: list[int] = []
        self.sleeping: set[Group] = set()
        self.hidden: list[Survivor] = []
        self.error: OSError | None = None
        self.emptied: dict[str, Callable[[], None]] = {}
        self.outputs = self

    def add(self, group: Group) -> None:
        return None

    def reaped(self, pid: int) -> None:
        self.forgotten.append(pid)

    def wakes(self, group: Group) -> bool:
        return group not in self.sleeping

    def await_empty(self, path: str, emptied: Callable[[], None]) -> bool:
        self.emptied[path] = emptied
        return True

    def guardian_died(self, groups: Iterable[Group]) -> None:
        self.sleeping |= set(groups)

    def look(self, groups: Iterable[Group]) -> Generator[None, None, dict[Group, list[Survivor]]]:
        if self.error:
            error, self.error = self.error, None
            raise error
        self.looks.append({group.pid for group in groups})
        yield
        return self.left


class Stage:
    """Three instances with the pids 1, 2 and 3."""

    def __init__(self) -> None:
        loop: Any = Loop()
        kernel: Any = Kernel()
        self.loop, self.kernel = loop, kernel
        self.news: list[tuple[int, str]] = []
        self.changes: list[Entry] = []
        self.blind: list[str] = []
        recorder: Any = self
        self.instances = Instances(self.kernel, self.kernel)
        self.survivors = Survivors(
            self.loop, self.kernel, recorder, Made(lambda: kernel), self._happen, self.blind.append
        )
        self.ends = Ends(self.loop, self.instances, self.survivors, kernel, self._happen)
        self.all = [self._instance(pid) for pid in (1, 2, 3)]

    def _instance(self, pid: int) -> Instance:
        entry = Entry(program(f"p{pid}"), 0, Process(state=STOPPING, then=STOPPED, pid=pid))
        instance = Instance(entry, Group(pid, (f"p{pid}", 0), stop_group=True), (), (2.0, 2.0))
        self.instances.add(instance, leader=True)
        self.instances.enter(instance, LIVE)
        return instance

    def changed(self, entry: Entry) -> None:
        self.changes.append(entry)

    def _happen(self, instance: Instance, news: str) -> None:
        self.news.append((instance.group.pid, news))
        if news == LEADER_ENDED:
            self.instances.lose_leader(instance)
            self.survivors.expect(instance)

    def leave(self, instance: Instance, *pids: int) -> None:
        """Let these be alive of an instance."""
        self.kernel.left[instance.group] = [Survivor(pid, 0, "sleep", 1, 1, 1) for pid in pids]


@pytest.fixture
def stage() -> Stage:
    """Return three live instances."""
    return Stage()


def test_one_look_serves_all_leaders_that_were_reaped_and_strangers_are_forgotten(stage: Stage) -> None:
    stage.ends.children_ended([(1, 256), (9, 0), (2, 9)])
    assert stage.news == [(1, LEADER_ENDED), (2, LEADER_ENDED), (1, FOUND_NONE), (2, FOUND_NONE)]
    assert [instance.ended for instance in stage.all] == [256, 9, None]
    assert stage.kernel.forgotten == [1, 9, 2]
    assert stage.kernel.looks == [{1, 2}]


def test_one_look_serves_all_adopted_leaders_that_end_in_one_turn(stage: Stage) -> None:
    for pid in (1, 2):
        stage.ends.adopted().expect(pid)
    stage.ends.orphans_ended([(1, 256), (2, 9)])
    assert stage.kernel.looks == []
    stage.loop.turn()
    assert stage.kernel.looks == [{1, 2}]
    assert [instance.ended for instance in stage.all] == [256, 9, None]
    stage.ends.adopted().expect(3)
    stage.ends.orphans_ended([(3, 0)])
    stage.loop.turn()
    assert stage.kernel.looks == [{1, 2}, {3}]


def test_a_stranger_that_the_guardian_reaped_has_leaderless_groups_looked_at(stage: Stage) -> None:
    stage.survivors.watch(stage.all[0])
    stage.ends.orphans_ended([(9, 0)])
    assert stage.kernel.forgotten == [9]
    assert stage.kernel.looks == [{1}]


def test_a_report_says_whether_a_child_was_executed_and_which_step_failed(stage: Stage) -> None:
    stage.ends.reported(1, None)
    stage.ends.reported(2, ("exec", "cannot execute"))
    stage.ends.reported(9, None)
    assert stage.news == [(1, EXECUTED), (2, NOT_EXECUTED)]
    assert [instance.failure for instance in stage.all] == [None, Failure("exec", "cannot execute"), None]


def test_a_look_that_failed_is_news_of_all_that_it_was_for(stage: Stage) -> None:
    stage.survivors.watch(stage.all[2])
    stage.kernel.error = OSError(24, "too many open files")
    stage.ends.children_ended([(1, 0), (9, 0)])
    assert stage.news == [(1, LEADER_ENDED), (1, BLIND), (3, BLIND)]
    assert stage.blind == ["cannot look for what programs left behind: too many open files"]
    assert not stage.survivors.settled


def test_without_strangers_only_new_groups_are_looked_at_where_the_system_shows_whose_a_process_is(
    stage: Stage,
) -> None:
    stage.survivors.watch(stage.all[2])
    stage.leave(stage.all[2], 7)
    stage.ends.children_ended([(1, 0)])
    stage.kernel.can_see = False
    stage.ends.children_ended([(2, 0)])
    assert stage.kernel.looks == [{1}, {2, 3}]


def test_an_instance_without_a_leader_is_looked_at_in_the_next_turn_and_kept_until_it_is_empty(stage: Stage) -> None:
    first = stage.all[0]
    stage.leave(first, 7)
    stage.survivors.watch(first)
    assert stage.kernel.looks == []
    stage.loop.turn()
    assert stage.news == [(1, FOUND_SOME)]
    assert stage.changes == [first.entry]
    stage.survivors.look(strangers=True)
    assert stage.changes == [first.entry], "nothing has changed"
    first.entry.process = first.entry.process.replace(killing=1)
    stage.survivors.look(strangers=True)
    stage.leave(first)
    stage.survivors.look(strangers=True)
    assert stage.news[1:] == [(1, FOUND_SOME), (1, FOUND_SOME_KILLING), (1, FOUND_NONE)]
    stage.survivors.look(strangers=True)
    assert len(stage.kernel.looks) == 4
    assert first.survivors == []


def test_where_an_end_does_not_wake_us_looks_come_again_after_pauses_that_grow_to_a_bound(stage: Stage) -> None:
    first = stage.all[0]
    stage.kernel.sleeping.add(first.group)
    stage.leave(first, 7)
    stage.survivors.watch(first)
    pauses = [pause for _ in range(8) for pause in stage.loop.pass_time()]
    assert pauses == [PROBE_FIRST_S * 2**n for n in range(6)] + [PROBE_MOST_S] * 2
    stage.leave(first)
    stage.loop.pass_time()
    assert stage.loop.pass_time() == []
    assert stage.survivors._probe_s == PROBE_FIRST_S


def test_where_the_kernel_says_when_a_control_group_is_empty_nobody_looks_before_and_after_it_for_what_has_left_it(
    stage: Stage,
) -> None:
    instance, grouped = stage.all[0], stage.all[0].group
    stage.kernel.sleeping.add(grouped)
    stage.leave(instance, 7)
    grouped.cgroup = "/sys/fs/cgroup/web-0"
    stage.survivors.watch(instance)
    stage.loop.turn()
    looks = len(stage.kernel.looks)
    assert (looks, stage.loop.pass_time()) == (1, []), "no pauses"
    stage.kernel.emptied["/sys/fs/cgroup/web-0"]()
    assert len(stage.kernel.looks) == looks + 1
    assert stage.loop.pass_time() == [PROBE_FIRST_S], "what has left the group may still be there"
    stage.leave(instance)
    stage.survivors.look(strangers=True)
    stage.loop.pass_time()
    assert stage.loop.pass_time() == []


def test_when_the_guardian_dies_what_leaders_left_is_looked_at_again_and_again(stage: Stage) -> None:
    stage.survivors.watch(stage.all[0])
    stage.leave(stage.all[0], 7)
    stage.survivors.guardian_died()
    assert stage.kernel.looks == [{1}]
    assert stage.loop.pass_time() == [PROBE_FIRST_S * 2]


def test_what_hides_whose_it_is_is_named_once_and_only_where_it_may_be_of_the_instance(stage: Stage) -> None:
    first, second = stage.all[0], stage.all[1]
    old, young = Survivor(70, 199, "old", 1, 1, 1), Survivor(71, 200, "young", 1, 1, 1)
    stage.kernel.hidden = [old, young]
    text = "young (71) may be left of it, and hides whose it is; end that: kill 71"
    for _ in range(2):
        stage.survivors.note_hidden(first)
        assert stage.survivors.hidden == {first.entry: text}
    assert stage.blind == [f"p1:0: {text}"]
    second.group.follow(stop_group=False, leader_first=False)
    stage.survivors.note_hidden(second)
    stage.kernel.hidden = []
    stage.survivors.note_hidden(first)
    assert stage.survivors.hidden == {}

"""A closed world of one slot under both tables: `step` decides, `marks.follow` keeps the order, the kernel does anything.

Its nodes are pairs of a process (`walk.canonical`) and the stage of its instance. An edge is one thing that happens, with the
effects of the two tables on each other, exactly as in `Performer.happen`.
"""

from __future__ import annotations

from collections.abc import Iterator

from taskmaster_common.config import Policy
from taskmasterd.core.process import marks
from taskmasterd.core.process.events import (
    KILL,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    DeadlineReached,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Kill,
    Restart,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from tests.support.model import LEFT, REFUSED
from tests.support.walk import canonical

NEWS = {SPAWN: marks.ASKED, UNQUEUE: marks.TAKEN_BACK, TERMINATE: marks.TERMINATED, KILL: marks.KILLED}
COMMANDS: dict[str, Event] = {"Start": Start(), "Stop": Stop(), "Restart": Restart(), "Kill": Kill()}
OF_THE_KERNEL = {
    marks.NOTHING: (),
    marks.QUEUED: (marks.REFUSED, marks.NOT_SET_UP, marks.FORKED, marks.SPAWNED),
    marks.SETTING_UP: (marks.EXECUTED, marks.NOT_EXECUTED, marks.LEADER_ENDED),
    marks.FAILED: (marks.LEADER_ENDED,),
    marks.LIVE: (marks.LEADER_ENDED,),
    marks.UNREPORTED: (marks.EXECUTED, marks.NOT_EXECUTED),
    marks.ENDED: (0, 1, marks.BLIND),
    marks.CLEAN: (marks.TURN,),
    marks.LEAVING: (marks.TURN,),
    marks.LEADERLESS: (0, 1, marks.BLIND),
}
"""News that the kernel may send in each stage; a number is the count of survivors that a look finds."""
REPORTS = (marks.EXECUTED, marks.NOT_EXECUTED, None)
"""Reports that can be read when a forked child has ended; None: nothing yet."""


class Node:
    """A process and the stage of its instance; `failed`: a step of its set-up has failed."""

    def __init__(self, process: Process, stage: str, *, failed: bool) -> None:
        self.process = process
        self.stage = stage
        self.failed = failed
        self.key = (process, stage, failed)

    def __repr__(self) -> str:
        return f"{self.process} whose instance is {self.stage}{', failed' if self.failed else ''}"


class Edge:
    """One thing that happens, and the effects and marks that follow from it, in order."""

    def __init__(self, rules: Policy, before: Node, what: object, report: str | None, *, refusing: bool) -> None:
        self.policy, self.before, self.what, self.report, self.refusing = rules, before, what, report, refusing
        self.effects: list[str] = []
        self.delivered: list[str] = []
        self._process, self._stage, self._failed = before.process, before.stage, before.failed
        if isinstance(what, Event):
            self._deliver(what)
        else:
            self._happen(self._news(what))
        self.process = self._process
        self.after = Node(canonical(self._process, 0.0), self._stage, failed=self._failed)

    def __repr__(self) -> str:
        said = f"{self.before} -- {self.what}"
        return f"{said} (report {self.report}, refusing {self.refusing}): {self.effects} --> {self.after}"

    def _news(self, what: object) -> str:
        if isinstance(what, int):
            return marks.found(what, past_asking=self._process.past_asking)
        return str(what)

    def _happen(self, news: str) -> None:
        self._stage, effects = marks.follow(self._stage, news)
        self._failed = (self._failed or news == marks.NOT_EXECUTED) and self._stage != marks.NOTHING
        lasting = self._failed or self.before.failed
        for effect in effects:
            self.effects.append(effect)
            if effect == marks.READ_REPORT and self.report:
                self._happen(self.report)
            event = self._event(effect, news, failed=lasting)
            if event:
                self._deliver(event)

    def _event(self, effect: str, news: str, *, failed: bool) -> Event | None:
        failure = Failure("exec", "cannot execute") if failed else None
        if effect == marks.TELL_FAILED:
            return SpawnFailed("x") if news == marks.REFUSED else Exited(0, Failure("user", "no such user"))
        return {
            marks.TELL_SPAWNED: Spawned(7),
            marks.TELL_EXECUTED: Executed(),
            marks.TELL_EXITED: Exited(0, failure, LEFT if self._stage == marks.LEADERLESS else ()),
            marks.TELL_EMPTY: GroupEmpty(),
        }.get(effect)

    def _deliver(self, event: Event) -> None:
        self.delivered.append(type(event).__name__)
        self._process, action = step(self.policy, self._process, event, 0.0)
        if action in NEWS:
            self._happen(NEWS[action])
        if action in (TERMINATE, KILL):
            answer = Signalled(REFUSED) if self.refusing else Signalled()
            self._process = step(self.policy, self._process, answer, 0.0)[0]


class Lives:
    """All nodes and edges of one policy. Raises BugError if the tables do not fit each other."""

    def __init__(self, rules: Policy) -> None:
        self.policy = rules
        self.edges: dict[tuple[Process, str, bool], list[Edge]] = {}
        waiting = [Node(canonical(Process(), 0.0), marks.NOTHING, failed=False)]
        while waiting:
            node = waiting.pop()
            if node.key not in self.edges:
                self.edges[node.key] = list(self._leave(node))
                waiting.extend(edge.after for edge in self.edges[node.key])

    def _leave(self, node: Node) -> Iterator[Edge]:
        happenings: list[object] = [*COMMANDS.values(), *OF_THE_KERNEL[node.stage]]
        if node.process.deadline is not None:
            happenings.append(DeadlineReached())
        for what in happenings:
            reading = node.stage == marks.SETTING_UP and what == marks.LEADER_ENDED
            for report in REPORTS if reading else (None,):
                for refusing in (False, True):
                    yield Edge(self.policy, node, what, report, refusing=refusing)

    def comes_to_rest(self, node: Node) -> bool:
        """Return whether the kernel's news alone settle the instance, if looks do not fail and find nothing."""
        for _ in range(10):
            if node.stage in (marks.NOTHING, marks.LIVE):
                return True
            news = next(what for what in OF_THE_KERNEL[node.stage] if what not in (1, marks.REFUSED))
            node = next(edge for edge in self.edges[node.key] if edge.what == news).after
        return False

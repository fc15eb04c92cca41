"""What a reload will do about a program's keys: each key by its class, each state by its rule, edits undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskmaster_common.config import (
    KIND,
    LIVE,
    LIVE_OR_NEXT,
    NEXT,
    RELOAD_CLASS,
    RESTART,
    Config,
    DaemonConfig,
    ProgramConfig,
)
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import SPAWN, TERMINATE
from taskmasterd.core.programs.plan import KEPT, RESTARTED, UPDATED, diff
from taskmasterd.core.programs.selection import select
from taskmasterd.core.steps import run
from taskmasterd.core.words.plans import plan_lines, plan_view
from tests.support.model import LEFT, World, code, config, program, world_in

if TYPE_CHECKING:
    from taskmasterd.core.programs.plan import Refused

OTHER_OF_KIND = {
    "account": "nobody",
    "autorestart": "always",
    "choice": "oneshot",
    "cleared": True,
    "command": ("sleep", "10"),
    "dependencies": ("db",),
    "exit codes": (0, 2),
    "limits": ("memory 512000000",),
    "log prefix": "> ",
    "octal": 0o77,
    "path": "/tmp",
    "hook": ("30", "", "", "./hook"),
    "input": "pipe",
    "processors": (1,),
    "ready": {"tcp": "80"},
    "rlimits": ("nofile 512 512",),
    "watch": {"paths": ["src"]},
    "recycle": {"age": 60.0, "interval": 15.0, "samples": 2, "jitter": 0.0},
    "health": {"tcp": "80"},
    "seconds": 7.25,
    "signal": 2,
    "size": 1,
    "boolean or word": "leader",
    "stream": "/tmp/out",
    "sockets": ("http\t\t\t:80",),
    "text": "x",
    "tty": {"rows": 24, "cols": 80, "term": "xterm-256color"},
    "variable files": ("/x.env",),
    "schedule": {"every": 60.0},
    "update": {"max_unavailable": 1, "pause": 0.0, "monitor": 5.0, "on_failure": "stop"},
    "environment": {"A": "1"},
    "whole": 7,
}
OTHER = {
    **{key: OTHER_OF_KIND[kind] for key, kind in KIND.items() if kind != "boolean"},
    **{key: not ProgramConfig("web", ("x",)).value(key) for key, kind in KIND.items() if kind == "boolean"},
    "refusal": "no such user",
    "socket_options": ("http 10 666",),
}
"""For each key but numprocs a value that is not the default."""

WEB = program()
EDITED = program(cmd=("sleep", "10"))


# -- keys


@pytest.mark.parametrize("key", [key for key in (*KIND, "refusal", "socket_options") if key != "numprocs"])
def test_a_changed_key_does_what_its_class_says(key: str) -> None:
    world = World().load(WEB).cooperate()
    pid = world.entry("web").process.pid
    plan = world.reload(program("web", **{key: OTHER[key]})).programs[0]
    shown = "sockets" if key == "socket_options" else key  # of which it is a part
    assert plan.keys == (shown,)
    if RELOAD_CLASS[key] == RESTART:
        assert (plan.change, plan.restart, plan.why) == (RESTARTED, (0,), f"{key} cannot change while it runs")
        assert world.actions == [("web:0", TERMINATE)]
    elif RELOAD_CLASS[key] == NEXT:
        assert (plan.change, plan.restart, plan.why) == (UPDATED, (), f"{key} used at the next start")
        assert world.actions == []
    else:
        assert RELOAD_CLASS[key] in (LIVE, LIVE_OR_NEXT)
        assert (plan.change, plan.restart, plan.why) == (UPDATED, (), f"{shown} applied without a restart")
        assert world.actions == []
        assert (world.entry("web").process.pid, world.done) == (pid, 1)
    assert world.entry("web").wanted.value(key) == OTHER[key]


@pytest.mark.parametrize("state", [STOPPED, BACKOFF, EXITED, FATAL, STOPPING, STARTING])
def test_a_live_key_never_starts_stops_or_delays_anything(state: ProcessState) -> None:
    for key in KIND:
        if RELOAD_CLASS[key] == LIVE:
            world = world_in(state)
            web = world.entry("web")
            before = web.process
            world.reload(web.wanted.with_keys(**{key: OTHER[key]}))
            assert web.process is before, key
            assert world.actions == [], key


def test_what_the_kernel_refuses_for_a_running_process_waits_for_the_next_start_and_the_plan_says_so() -> None:
    asked = []

    def refused(before: ProgramConfig, wanted: ProgramConfig) -> tuple[str, ...]:
        asked.append((before.may_use.nice, wanted.may_use.nice))
        return ("nice",)

    world = World().load(program(nice=10)).cooperate()
    wanted = config(program(nice=0, cpu_affinity=(1,), stoptime=3.0))
    (plan,) = diff(world.table, DaemonConfig(), wanted, refused).programs
    assert (plan.change, plan.restart, plan.late) == (UPDATED, (), ("nice",))
    assert plan.why == "stoptime, cpu_affinity applied without a restart; nice used at the next start: not permitted"
    assert plan_view_next(world, wanted, refused) == ["nice"]
    assert asked == [(10, 0)] * 2
    (plan,) = diff(world.table, DaemonConfig(), config(program(nice=0, umask=0o77)), refused).programs
    assert (plan.change, plan.late) == (RESTARTED, ()), "a new one gets it anyway"
    (plan,) = diff(world.table, DaemonConfig(), config(program(nice=0, stoptime=3.0, numprocs=2)), refused).programs
    assert (
        plan.why == "numprocs changed; stoptime applied without a restart; nice used at the next start: not permitted"
    )


def plan_view_next(world: World, wanted: Config, refused: Refused) -> list[str]:
    view = run(plan_view(world.table, diff(world.table, DaemonConfig(), wanted, refused), DaemonConfig(), {}))
    found: list[str] = view["programs"][0]["next"]
    return found


def test_an_instance_is_outdated_until_it_has_what_was_set_on_it() -> None:
    world = World().load(program(nice=10)).cooperate()
    world.reload(program(nice=5))
    web = world.entry("web")
    assert web.outdated_keys() == ("nice",)
    web.current = web.wanted
    assert web.outdated_keys() == ()


def test_a_live_key_is_applied_to_the_running_process() -> None:
    world = World().load(WEB).cooperate()
    world.reload(program(stoptime=3.0, startretries=7))
    assert (world.entry("web").policy.stoptime, world.entry("web").policy.startretries) == (3.0, 7)
    world.stop("web")
    assert world.armed[world.entry("web")] == world.now + 3


def test_a_changed_watchdog_waits_for_the_next_start_and_the_plan_says_so() -> None:
    world = World().load(program(health={"watchdog": 5.0})).cooperate()
    plan = world.reload(program(health={"watchdog": 9.0})).programs[0]
    assert plan.why == "health applied without a restart; its watchdog used at the next start"
    assert world.reload(program(health={"watchdog": 9.0, "action": "stop"})).programs[0].why.endswith("a restart")
    assert world.reload(program(health={})).programs[0].why == "health applied without a restart"


def test_nothing_changed_means_nothing_touched() -> None:
    a, b = program("a", env={"X": "1", "Y": "2"}), program("b", numprocs=3)
    world = World().load(a, b).cooperate()
    before = [entry.process for entry in world.table]
    for _ in range(3):
        plan = world.reload(program("a", env={"Y": "2", "X": "1"}), b)
        assert [each.change for each in plan.programs] == [KEPT, KEPT]
        assert not plan.changes
    assert all(entry.process is process for entry, process in zip(world.table, before))
    assert world.actions == []
    assert world.done == 3


def test_only_the_changed_program_is_touched() -> None:
    world = World().load(program("a"), program("b")).cooperate()
    plan = world.reload(program("a"), program("b", umask=0o77))
    assert [each.change for each in plan.programs] == [KEPT, RESTARTED]
    assert world.actions == [("b:0", TERMINATE)]


# -- a changed restart key, by state


@pytest.mark.parametrize("state", [STARTING, RUNNING])
def test_a_changed_restart_key_restarts_what_is_alive_with_a_new_budget(state: ProcessState) -> None:
    world = world_in(state)
    if state == STARTING:
        world.execute(world.entry("web"))
    world.reload(EDITED)
    web = world.entry("web")
    assert world.actions == [("web:0", TERMINATE)]
    assert (web.process.then, web.process.tries, web.process.recent) == (STARTING, 0, ())
    world.cooperate()
    assert web.current == EDITED
    assert world.results == [("web:0", "restarted", True)]


def test_a_changed_restart_key_ends_the_wait_of_a_backoff_with_a_new_budget() -> None:
    world = world_in(BACKOFF)
    plan = world.reload(EDITED).programs[0]
    assert (plan.change, plan.restart) == (RESTARTED, (0,))
    assert world.actions == [("web:0", SPAWN)]
    assert world.entry("web").process.tries == 0


def test_a_changed_restart_key_starts_what_gave_up() -> None:
    world = world_in(FATAL)
    plan = world.reload(program(startretries=0, cmd=("true",))).programs[0]
    assert (plan.change, plan.start, plan.restart) == (RESTARTED, (0,), ())
    assert world.actions == [("web:0", SPAWN)]


@pytest.mark.parametrize("state", [STOPPED, EXITED])
def test_a_changed_restart_key_is_used_at_the_next_start_of_what_is_down(state: ProcessState) -> None:
    world = world_in(state)
    edited = world.entry("web").wanted.replace(cmd=("sleep", "10"))
    plan = world.reload(edited).programs[0]
    assert (plan.change, plan.why, plan.keys) == (UPDATED, "cmd used at the next start", ("cmd",))
    assert world.actions == []
    assert world.entry("web").process.state is state
    assert not world.plan(edited).changes
    world.start("web")
    world.cooperate()
    assert world.entry("web").current == edited


def test_a_changed_restart_key_while_stopping_is_used_by_what_was_to_follow() -> None:
    world = world_in(STOPPING)
    plan = world.reload(EDITED).programs[0]
    assert (plan.change, plan.why) == (UPDATED, "cmd used at the next start")
    assert world.entry("web").process.then == STOPPED
    assert world.actions == []
    assert not world.plan(EDITED).changes, "it has been told already"
    world.cooperate()
    assert world.states() == {"web:0": "STOPPED"}


def test_a_changed_restart_key_during_a_restart_makes_it_one_restart() -> None:
    world = World().load(WEB).cooperate()
    world.restart("web")
    world.reload(EDITED)
    world.cooperate()
    assert world.actions == [("web:0", SPAWN)]
    assert world.entry("web").current == EDITED


def test_the_same_file_again_does_not_cut_a_backoff_short() -> None:
    world = World().load(program(starttime=5.0)).cooperate()
    web = world.entry("web")
    world.restart("web")
    world.end(web)
    world.spawn(web)
    world.execute(web)
    world.end(web, code(1), LEFT)
    edited = program(starttime=5.0, cmd=("true",))
    world.reload(edited)
    world.empty(web)
    assert web.process.state == BACKOFF
    before = web.process
    assert not world.reload(edited).changes
    assert web.process is before


def test_the_same_file_again_leaves_a_start_that_is_asked_for_alone() -> None:
    world = World().load(WEB).cooperate()
    world.reload(EDITED)
    world.end(world.entry("web"))
    assert world.entry("web").process.pid is None
    assert not world.plan(EDITED).changes


@pytest.mark.parametrize("ended", [False, True])
def test_an_edit_that_is_undone_before_it_took_effect_changes_nothing(ended: bool) -> None:
    world = World().load(WEB).cooperate()
    world.reload(EDITED)
    if ended:
        world.end(world.entry("web"))
    plan = world.reload(WEB).programs[0]
    assert plan.change == UPDATED
    assert plan.why == ("cmd again as it was started with" if ended else "cmd used at the next start")
    assert world.actions == []
    world.cooperate()
    assert world.entry("web").current == WEB
    assert [action for _, action in world.actions] == ([] if ended else [SPAWN])


def test_an_undone_edit_does_not_start_what_gave_up() -> None:
    first, second = program(startretries=0), program(startretries=0, cmd=("true",))
    world = World().load(first).cooperate()
    world.end(world.entry("web"), code(1))
    world.spawn(world.entry("web"))
    world.execute(world.entry("web"))
    world.end(world.entry("web"), code(1), LEFT)
    world.reload(second)
    world.empty(world.entry("web"))
    assert world.entry("web").process.state == FATAL
    world.reload(first)
    assert world.actions == []


# -- the daemon's own keys


def test_the_daemons_keys_are_live_or_wait_for_its_next_start() -> None:
    world = World()
    wanted = config(loglevel="debug", shutdown_timeout=5.0, socket="/x", log_dir="/y", umask=0o77)
    plan = diff(world.table, config().daemon, wanted)
    assert plan.live_keys == ("loglevel", "shutdown_timeout")
    assert plan.daemon_keys == ("socket", "log_dir", "umask")
    assert plan.changes
    assert not diff(world.table, wanted.daemon, wanted).changes


def test_groups_alone_are_a_change_that_touches_no_program() -> None:
    world = World().load(WEB).cooperate()
    grouped = config(WEB).replace(groups={"front": ("web",)})
    plan = diff(world.table, config().daemon, grouped)
    assert plan.changes
    assert plan.groups_changed
    assert plan_lines(plan) == ["1 program untouched", "groups changed"]
    run(world.supervisor.follow(grouped))
    assert select(world.table, ["front"], 5) == (world.entry("web"),)
    assert not diff(world.table, config().daemon, grouped).changes
    assert diff(world.table, config().daemon, config(WEB)).changes


def test_a_plan_changes_nothing_by_being_made() -> None:
    world = World().load(WEB).cooperate()
    before = world.entry("web").process
    world.actions.clear()
    world.plan(EDITED, program("new"))
    assert world.entry("web").process is before
    assert (world.table.names(), world.actions) == (("web",), [])
    assert world.entry("web").wanted is WEB

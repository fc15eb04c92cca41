"""Which sockets slots need, and what a reload opens before it stops anything."""

from __future__ import annotations

import pytest

from taskmaster_common.config.sockets import Socket, socket_rows
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.plan import KEPT, RESTARTED
from taskmasterd.core.programs.sockets import claims_of, environment, moves, needed, without
from taskmasterd.core.programs.table import Entry
from tests.support.model import World, program


def listening(*addresses: str, **fields: object) -> dict[str, object]:
    """Return the fields of a program that listens there."""
    rows, options = socket_rows(Socket(f"s{at}", address, **fields) for at, address in enumerate(addresses))  # type: ignore[arg-type]
    return {"sockets": rows, "socket_options": options}


def slot(state: ProcessState, *, pid: int | None = None, was: str = ":1", wanted: str = ":2") -> Entry:
    """Return a slot whose last instance had one address while another one is wanted."""
    entry = Entry(program("web", **listening(wanted)), 0, Process(state=state, pid=pid))
    entry.current = program("web", **listening(was))
    return entry


@pytest.mark.parametrize("state", [STOPPED, EXITED, FATAL])
def test_a_slot_that_is_down_needs_nothing(state: ProcessState) -> None:
    assert needed(slot(state)) == {}


@pytest.mark.parametrize("state", [STARTING, BACKOFF])
def test_a_slot_on_its_way_up_needs_what_is_wanted(state: ProcessState) -> None:
    assert list(needed(slot(state))) == [":2"]


@pytest.mark.parametrize("state", [STARTING, RUNNING, STOPPING])
def test_what_a_live_instance_has_stays_until_it_is_gone(state: ProcessState) -> None:
    assert list(needed(slot(state, pid=9))) == [":1", ":2"]


def test_an_update_that_has_yet_to_reach_a_slot_keeps_its_sockets_open() -> None:
    entry = slot(RUNNING, pid=9, was=":1", wanted=":1")
    entry.pend(program("web", **listening(":3")))
    assert list(needed(entry)) == [":1", ":3"]


def test_instances_have_addresses_of_their_own_where_they_say_so() -> None:
    web = program("web", **listening(":800\0", "localhost:90"))
    assert [claim.address for claim in claims_of(web, 2)] == [":8002", "127.0.0.1:90", "[::1]:90"]
    assert environment(claims_of(web, 2)) == {
        "LISTEN_FDS": "3",
        "LISTEN_FDNAMES": "s0:s1:s1",
        "SOCKET_s0": "3",
        "SOCKET_s1": "4",
    }


def test_a_reload_opens_what_restarts_need_and_leaves_alone_what_cannot_be_had() -> None:
    world = (
        World()
        .load(program("web", **listening(":1")), program("db"), program("off", autostart=False, **listening(":5")))
        .cooperate()
    )
    plan = world.plan(
        program("web", **listening(":2")), program("db", umask=0), program("off", autostart=False, **listening(":6"))
    )
    assert [(each.name, [claim.address for claim in claims]) for each, claims in moves(plan)] == [("web", [":2"])]
    before = world.entry("web").newest
    kept = without(plan, {"web": "socket s0: :2: address in use"}, {"web": before})
    web, db, _off = kept.programs
    assert (web.change, web.restart, web.wanted) == (KEPT, (), before)
    assert web.why == "socket s0: :2: address in use; it stays as it is"
    assert db.change == RESTARTED
    assert web.put_off is not None
    assert claims_of(web.put_off, 0)[0].address == ":2"
    assert without(plan, {}, {}) is plan

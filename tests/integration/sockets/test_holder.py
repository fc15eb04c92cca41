"""What is handed over to the holder of sockets: it goes on with it, and gives it to nobody else."""

from __future__ import annotations

import os
from typing import Any

from taskmaster_common.config.sockets import Socket, socket_rows
from taskmaster_common.errors import SystemFailure
from taskmaster_common.states import STARTING
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.sockets import SocketUse
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.sockets.holder import ProgramSockets
from taskmasterd.sockets.opened import OpenSocket, open_for
from tests.support.listening import is_open, own_host
from tests.support.model import program


class NoKeeper:
    """A keeper that cannot be started."""

    def keep(self, _key: str, _fds: object) -> None:
        raise SystemFailure("start", "a keeper", "there is none")

    def claim(self, _key: str) -> None:
        return None


def table_with(*addresses: str) -> tuple[Table, Entry]:
    """Return a table with one slot on its way up, which listens there."""
    rows, _options = socket_rows(Socket(f"s{at}", address) for at, address in enumerate(addresses))
    table, entry = Table(), Entry(program(sockets=rows), 0, Process(state=STARTING))
    table.add(entry)
    return table, entry


def test_what_an_upgrade_hands_over_is_used_where_the_keeper_has_nothing_and_no_child_inherits_it() -> None:
    address = f"{own_host()}:8000"
    before = open_for(SocketUse(address, Socket("s0", address)))
    os.set_inheritable(before.fd, True)  # as it comes through an exec
    table, entry = table_with(address)
    said: list[str] = []
    keeper: Any = NoKeeper()
    sockets = ProgramSockets(
        table, lambda: keeper, lambda level, text: said.append(f"{level} {text}"), {address: (before.fd, None)}
    )
    sockets.resume([{**before.to_data(), "key": "gone"}])
    sockets.begin()
    assert sockets.open.handed_over() == ((address, before.fd),)
    assert not os.get_inheritable(before.fd)
    assert said == [
        f"warning socket s0: {address} is closed if the daemon dies: nobody can keep it: cannot start a keeper: there is none"
    ]
    assert sockets.view(entry) == [{"name": "s0", "address": address, "state": "listening"}]
    sockets.open.close_all()
    assert not is_open((own_host(), 8000))


def test_rows_that_make_no_sense_and_what_nobody_needs_any_more_are_let_go() -> None:
    address = f"{own_host()}:8000"
    before = open_for(SocketUse(address, Socket("s0", address)))
    table, _entry = table_with()
    keeper: Any = NoKeeper()
    sockets = ProgramSockets(table, lambda: keeper, lambda _level, _text: None, {address: (before.fd, None)})
    sockets.resume(
        [{"address": address}, {**before.to_data(), "options": []}, {**before.to_data(), "options": {"name": "s0"}}]
    )
    sockets.begin()
    assert sockets.open.handed_over() == ()
    assert not is_open((own_host(), 8000))
    assert isinstance(before, OpenSocket)


def test_a_socket_that_is_closed_takes_no_clients_though_others_hold_it_for_a_moment_longer() -> None:
    address = f"{own_host()}:8000"
    table, _entry = table_with(address)
    keeper: Any = NoKeeper()
    sockets = ProgramSockets(table, lambda: keeper, lambda _level, _text: None, {})
    sockets.begin()
    second = os.dup(sockets.open.by_address[address].fd)  # as the keeper has it
    try:
        sockets.open.close_all()
        assert not is_open((own_host(), 8000))
    finally:
        os.close(second)

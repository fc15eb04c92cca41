"""From a value of `ready` or `health` to the try that it means."""

from __future__ import annotations

from taskmaster_common.config import for_instance, said_of_instance
from taskmaster_common.records import Record
from taskmasterd.output.targets import account_of, is_another
from taskmasterd.probing.children import ChildCommand, Order
from taskmasterd.probing.text.address import tcp_addresses, unix_address
from taskmasterd.probing.text.http import http_request
from taskmasterd.probing.text.pattern import LinePattern
from taskmasterd.probing.tries.connect import ConnectTry, ImpossibleTry
from taskmasterd.probing.tries.execute import ExecTry
from taskmasterd.probing.tries.log import LogTry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.streams import Outputs
    from taskmasterd.probing.children import Children
    from taskmasterd.probing.tries.queue import Queue, Try
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.users import Account

NOTIFY, FD, LOG, EXEC, HTTP, TCP, UNIX = ("notify", "fd", "log", "exec", "http", "tcp", "unix")
HEALTH, WATCHDOG = "health", "watchdog"
WAYS = (NOTIFY, FD, LOG, EXEC, HTTP, TCP, UNIX, HEALTH, WATCHDOG)
ANNOUNCED = (NOTIFY, FD)
"""Ways in which the program speaks; in all others it is asked."""
PROBE = "probe"
USUAL_INTERVAL_S, USUAL_TIMEOUT_S = 1.0, 3.0


class Asking(Record):
    """What tries are made from."""

    reactor: Reactor
    outputs: Outputs
    children: Children
    signals: Mapping[int, str]
    children_at_once: Queue
    connections_at_once: Queue

    def queue(self, way: str) -> Queue:
        """Return where tries of this way wait for their turn."""
        return self.children_at_once if way == EXEC else self.connections_at_once


def way_of(probe: Mapping[str, Any]) -> str:
    """Return the way that a value of `ready` or `health` names, "" for an empty one."""
    return next((way for way in WAYS if way in probe), "")


def readiness_probe(program: ProgramConfig) -> Mapping[str, Any]:
    """Return how a program becomes ready: its `ready`, or its `health` where that is what `ready` says; {} without."""
    return program.health if HEALTH in program.ready else program.ready


def for_slot(value: Any, index: int) -> Any:
    """Return a value of `ready` or `health` with the number of the instance in its texts."""
    if isinstance(value, str):
        return for_instance(value, index)
    if isinstance(value, list):
        return [for_slot(each, index) for each in value]
    return {name: for_slot(each, index) for name, each in value.items()} if isinstance(value, dict) else value


def problem(probe: Mapping[str, Any], count: int = 1) -> str:
    """Return why an address of this way is none for the first or the last of so many instances, or ""."""
    for index in sorted({0, max(0, count - 1)}):
        found = for_slot(probe, index)
        if reason := _problem(found):
            return reason if found == probe else said_of_instance(reason, index)
    return ""


def _problem(probe: Mapping[str, Any]) -> str:
    way = way_of(probe)
    try:
        if way == HTTP:
            http_request(probe[HTTP], probe.get("status", ()), probe.get("headers"))
        elif way == TCP:
            tcp_addresses(probe[TCP])
        elif way == UNIX:
            unix_address(probe[UNIX])
    except ValueError as error:
        return str(error)
    return ""


def try_of(asking: Asking, entry: Entry, probe: Mapping[str, Any], starts: Sequence[tuple[str, int]] = ()) -> Try:
    """Return the try for the present instance of a slot that a value of `ready` or `health` means.

    `starts` are its logs as `LogTry` wants them.
    """
    program, pid = entry.present, entry.process.pid
    probe = for_slot(probe, entry.index)
    way, timeout_s = way_of(probe), probe.get("timeout", USUAL_TIMEOUT_S)
    if way == LOG:
        return LogTry(asking.reactor, asking.outputs, starts, LinePattern(probe[LOG]))
    if way == EXEC:
        command = ChildCommand(tuple(probe[EXEC]), shell=probe.get("shell", False))
        order = Order(PROBE, program, entry.index, command, {"TASKMASTER_PID": str(pid)})
        return ExecTry(asking.reactor, asking.children, order, timeout_s, asking.signals)
    try:
        request = http_request(probe[HTTP], probe.get("status", ()), probe.get("headers")) if way == HTTP else None
        addresses = (
            request.addresses if request else tcp_addresses(probe[TCP]) if way == TCP else unix_address(probe[UNIX])
        )
    except ValueError as error:  # of this instance alone: a daemon before did not look at each
        return ImpossibleTry(asking.reactor, str(error))
    return ConnectTry(asking.reactor, addresses, timeout_s, request, _who(program))


def _who(program: ProgramConfig) -> Account | None:
    """Return the program's user, with whose rights a path is used; None for the daemon's own."""
    account = account_of(program)
    return account if account and is_another(account, program) else None
